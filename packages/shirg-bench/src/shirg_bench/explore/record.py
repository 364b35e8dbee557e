"""What a selector saw and chose, kept while something else calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple, Unpack

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shirg_bench.explore.explored import Floats, Ints, Run
from shirg_core.images.views import cut_views
from shirg_core.layout import ViewLayout
from shirg_core.scores.edges import ink_recall, layout_edges
from shirg_core.selection import Selection, Selector
from shirg_core.selection.inputs import Inputs
from shirg_core.selection.preset import Preset
from shirg_core.selection.recipe import Given
from shirg_core.selection.reference import score_terms


class Seen(NamedTuple):
    """One call of a selector: its inputs and its result."""

    selector: Selector
    features: Tensor
    layout: ViewLayout
    given: Given
    selection: Selection


def recording(selector: Selector, keep: Callable[[Seen], None]) -> Selector:
    """The same selector; `keep` is told every call."""

    def choose(features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        selection = selector(features, layout, **inputs)
        given = Given(inputs.get("text"), inputs.get("text_mask"), inputs.get("edges"), inputs.get("attention"))
        keep(Seen(selector, features, layout, given, selection))
        return selection

    return choose


def terms_of(seen: Seen | None) -> Mapping[str, tuple[float, Floats]]:
    """What the score of a preset adds up: weight and `[N]` component by name; nothing for other selectors."""
    if seen is None or not isinstance(seen.selector, Preset):
        return {}
    found = score_terms(seen.selector.recipe, seen.features, seen.layout, seen.given)
    return {name: (weight, _array(values)) for name, (weight, values) in found.items() if weight > 0}


def run_of(layout: ViewLayout, seen: Seen | None, edges: Tensor, *, merges: bool) -> Run:
    """What a call kept of its only image; every token of the layout where no selector was called.

    `edges [1, N]` see `page_edges`, `merges` see `Method`.
    """
    kept = layout.valid_mask()[None] if seen is None else seen.selection.mask.cpu()
    run = Run(kept[0].numpy(), ink_recall=None if merges else float(ink_recall(edges, kept, layout)))
    if seen is None:
        return run
    regions = seen.selection.regions[0].cpu().numpy()
    return replace(run, scores=_array(seen.selection.scores), regions=regions if regions.max() > 0 else None)


def page_edges(image: Image.Image, layout: ViewLayout) -> Tensor:
    """`[1, N]` edge density of the patches of an upright RGB image."""
    return layout_edges(cut_views(image, layout).pixels, layout)


def ranks(scores: Floats, layout: ViewLayout) -> Ints:
    """`[N]`, the place of each token by its score, best = 1, ties by index; 0 for padding."""
    places = np.zeros(layout.n_tokens, dtype=np.int64)
    valid = np.flatnonzero(layout.valid_mask().numpy())
    places[valid[np.argsort(-scores[valid], kind="stable")]] = np.arange(1, len(valid) + 1)
    return places


def _array(values: Tensor) -> Floats:
    with torch.no_grad():
        array: Floats = values[0].float().cpu().numpy()
    return array
