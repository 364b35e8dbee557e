"""SHIRG-v2 with its variance normalised over the whole image instead of per view, to measure what that is worth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import Unpack

from shirg_core import ShirgV2
from shirg_core.budget import kept_tokens
from shirg_core.layout import ViewLayout
from shirg_core.scores import channel_variance, combine, minmax, text_relevance
from shirg_core.selection import Selection
from shirg_core.selection.assemble import assemble, find_regions
from shirg_core.selection.inputs import Inputs, check_inputs


@dataclass(frozen=True)
class ImageWide:
    """A `Selector`; it differs from v2 only in layouts of several views."""

    v2: ShirgV2

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Choose tokens of a layout without padding; shapes and errors as in `Selector`."""
        check_inputs(features, layout, **inputs)
        v2, text, edges = self.v2, inputs.get("text"), inputs.get("edges")
        k = kept_tokens(v2.budget, layout)
        with torch.no_grad():
            components = [(v2.alpha, channel_variance(features))]
            if v2.relevance_weight > 0 and text is not None:
                components.append((v2.relevance_weight, text_relevance(features, text, inputs.get("text_mask"))))
            if v2.beta > 0 and edges is not None:
                components.append((v2.beta, edges))
            scaled = [(weight, minmax(component, layout, "image")) for weight, component in components]
            scores = combine(scaled, features, layout)
            regions = find_regions(v2.coverage, features, layout, k, v2.coverage_share)
        return assemble(features, layout, k, scores, regions, v2.summary, inputs.get("attention"))
