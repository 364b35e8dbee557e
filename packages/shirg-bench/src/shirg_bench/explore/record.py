"""What a selector saw and chose, kept while something else calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

    features: Tensor
    layout: ViewLayout
    given: Given
    selection: Selection


def recording(selector: Selector, keep: Callable[[Seen], None]) -> Selector:
    """The same selector; `keep` is told every call."""

    def choose(features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        selection = selector(features, layout, **inputs)
        given = Given(inputs.get("text"), inputs.get("text_mask"), inputs.get("edges"), inputs.get("attention"))
        keep(Seen(features, layout, given, selection))
        return selection

    return choose


def terms_of(selector: Selector | None, seen: Seen | None) -> Mapping[str, tuple[float, Floats]]:
    """What the score of a preset adds up: weight and `[N]` component by name; nothing for other selectors."""
    if not isinstance(selector, Preset) or seen is None:
        return {}
    found = score_terms(selector.recipe, seen.features, seen.layout, seen.given)
    return {name: (weight, _array(values)) for name, (weight, values) in found.items() if weight > 0}


def run_of(seen: Seen, edges: Tensor, *, merges: bool) -> Run:
    """What a call kept of its only image; `edges [1, N]` see `page_edges`, `merges` see `Method`."""
    chosen, layout = seen.selection, seen.layout
    several = int(chosen.regions.max()) > 0
    return Run(
        kept=chosen.mask[0].cpu().numpy(),
        scores=_array(chosen.scores),
        regions=chosen.regions[0].cpu().numpy() if several else None,
        ink_recall=None if merges else _ink(edges, chosen.mask.cpu(), layout),
    )


def all_kept(layout: ViewLayout, edges: Tensor, *, merges: bool) -> Run:
    """The run of a model that reads every token of a layout, pooled ones where it `merges`."""
    kept = layout.valid_mask()[None]
    return Run(kept[0].numpy(), ink_recall=None if merges else _ink(edges, kept, layout))


def page_edges(image: Image.Image, layout: ViewLayout) -> Tensor:
    """`[1, N]` edge density of the patches of an upright RGB image."""
    return layout_edges(cut_views(image, layout).pixels, layout)


def ranks(scores: Floats, layout: ViewLayout) -> Ints:
    """`[N]`, the place of each token by its score, best = 1, ties by index; 0 for padding."""
    places = np.zeros(layout.n_tokens, dtype=np.int64)
    valid = np.flatnonzero(layout.valid_mask().numpy())
    places[valid[np.argsort(-scores[valid], kind="stable")]] = np.arange(1, len(valid) + 1)
    return places


def _ink(edges: Tensor, kept: Tensor, layout: ViewLayout) -> float:
    return float(ink_recall(edges, kept, layout))


def _array(values: Tensor) -> Floats:
    with torch.no_grad():
        array: Floats = values[0].float().cpu().numpy()
    return array
