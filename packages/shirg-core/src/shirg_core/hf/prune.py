"""The inputs of a transformers model with fewer visual tokens: chosen once, before the language model sees any."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from shirg_core.checks import check_choice
from shirg_core.hf.cut import BESIDE_THE_IDS, Cut, cut_features, keep_rows, packed_positions, prompt_positions
from shirg_core.hf.features import ImageRows, encode, encoder_of, unwrapped
from shirg_core.hf.places import cell_edges, cell_pixels
from shirg_core.hf.prompts import padding_id, placeholder_id, read_prompts
from shirg_core.hf.question import Question, question_words
from shirg_core.layout import ViewLayout
from shirg_core.methods import compares_pixels
from shirg_core.scores.heads import PENULTIMATE
from shirg_core.selection import Selection, Selector

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from shirg_core.images.load import Picture

Positions: TypeAlias = Literal["original", "packed"]


class _ReadOnce(dict[str, Any]):
    """Features that go when they are read: DiffusionGemma of transformers 5.23 would offer them to every canvas."""

    def __getitem__(self, key: str) -> Any:
        return self.pop(key)


class Pruned(Mapping[str, Any]):
    """What `model(**pruned)` and `model.generate(**pruned)` take, any number of times.

    Attributes:
        selections: one of B = 1 for every image, in the order of the prompts.
        layouts: geometry of each image's tokens, which the indices of its selection point into.
    """

    def __init__(
        self,
        inputs: dict[str, Any],
        features: Callable[[], dict[str, Any]],
        images: list[ImageRows],
        chosen: list[Selection],
    ) -> None:
        self.selections: list[Selection] = chosen
        self.layouts: list[ViewLayout] = [image.layout for image in images]
        self._inputs = {**inputs, "mm_encoder_outputs": None}
        self._features = features

    def __getitem__(self, key: str) -> Any:
        if key != "mm_encoder_outputs":
            return self._inputs[key]
        # New ones every time: `generate` writes into them when it expands a prompt to several beams.
        return self._features()

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def overlay(self, image: Picture, index: int = 0, title: str = "kept visual tokens") -> Figure:
        """Draw what was kept of one image, see `shirg_core.plot.selection_figure`; `save_figure` there writes it."""
        from shirg_core.plot import selection_figure

        return selection_figure(image, self.layouts[index], self.selections[index], title)


@torch.no_grad()
def prune(
    model: Any,
    inputs: Mapping[str, Any],
    selector: Selector,
    *,
    positions: Positions = "original",
    question: Question = "auto",
    tower_attention: bool = False,
    attention_layer: int = PENULTIMATE,
) -> Pruned:
    """Encode the images, choose their tokens, and cut the prompts accordingly. Without gradients.

    Args:
        model: a vision-language model of transformers ≥ 5.23 that generates.
        inputs: what its processor wrote, with `return_tensors="pt"`; prompts of a batch may differ in everything. Other
            arguments of `model` or `generate` are passed on.
        selector: called for each image by itself, with B = 1. One that compares pixels, as `dedup-max` does, gets those
            of every token instead of its features.
        positions: `original`: kept tokens keep the places they had, dropped ones leave gaps; `packed`: the model
            counts what is there.
        question: `auto`, all ids of the prompt except special ids and placeholders; or the ids of exactly the user's
            words, `[M]` or one sequence per prompt; or None.
        tower_attention: pass the selector the attention that each token received in the vision tower, as v3's A; see
            `shirg_core.hf.tower_attention`. Where features stand for several patches, it is their mean.
        attention_layer: in which layer of the tower, as in Python.

    Returns:
        `input_ids`, `attention_mask`, `position_ids`, `mm_encoder_outputs` and what else was given, without pixels.
        Exactly K placeholders an image remain, and one more where the selector makes a summary, in the place of the
        last dropped token. Newlines (LLaVA-NeXT, LLaVA-OneVision) are not tokens: every row that keeps a token also
        keeps its newline.

    Raises:
        ValueError: a model without transformers' convention, no image, images and placeholders that do not match,
            features instead of pixels, videos, a tower whose attention cannot be observed or does not fit the features,
            or what the selector raises.
    """
    check_choice("positions", positions, get_args(Positions))
    model = unwrapped(model)
    home, arguments = encoder_of(model), inspect.signature(model.forward).parameters
    by_canvas = "decoder_position_ids" in arguments
    if by_canvas and positions == "original":
        raise ValueError(f"{type(model).__name__}.generate takes no position_ids: give positions='packed'")
    ids, real = read_prompts(inputs)
    placeholder = placeholder_id(home)
    places = (ids == placeholder).nonzero()
    if not len(places):
        raise ValueError(f"no prompt has an image placeholder (id {placeholder}), so there is nothing to prune")
    words = question_words(model, ids, real, question)
    measure = cell_pixels if compares_pixels(selector) else cell_edges
    images, output, encoded = encode(home, inputs, places, measure, attention_layer if tower_attention else None)
    chosen = [_choose(selector, image, words[image.prompt]) for image in images]
    if positions == "original" or any(image.deep for image in images):
        _check_own_places(images, chosen)
    kept = [keep_rows(*pair) for pair in zip(images, chosen, strict=True)]
    keep = real.clone()
    keep[places[:, 0], places[:, 1]] = torch.cat([rows.keep for rows in kept]).to(ids.device)
    cut = Cut(keep, real)
    given = {name: value for name, value in inputs.items() if name not in encoded}
    given |= {name: cut(given[name], fill) for name, fill in BESIDE_THE_IDS.items() if given.get(name) is not None}
    given |= {"input_ids": cut(ids, padding_id(model, ids, real)), "attention_mask": cut.real.long()}
    if "position_ids" in arguments and not by_canvas:
        original = positions == "original"
        given["position_ids"] = cut(prompt_positions(home, inputs, real)) if original else packed_positions(cut.real)
    fields, container = cut_features(output, kept), _ReadOnce if by_canvas else dict
    return Pruned(given, lambda: container(image=type(output)(**fields)), images, chosen)


def _choose(selector: Selector, image: ImageRows, words: Tensor | None) -> Selection:
    rows = image.rows[image.tokens][None]
    if compares_pixels(selector):
        if image.pixels is None:
            raise ValueError("the selector compares pixels, and those of this model have no known shape")
        chosen = selector(image.pixels.to(rows.device), image.layout)
        return replace(chosen, kept=chosen.gather(rows))
    given = {"text": words, "edges": image.pixels, "attention": image.attention}
    moved: dict[str, Any] = {name: x if x is None else x.to(rows.device) for name, x in given.items()}
    return selector(rows, image.layout, **moved)


def _check_own_places(images: list[ImageRows], chosen: list[Selection]) -> None:
    for image, selection in zip(images, chosen, strict=True):
        kept, own = selection.kept, selection.gather(image.rows[image.tokens][None])
        if not torch.equal(kept.nan_to_num(), own.nan_to_num()):
            lack = "rows in deeper layers" if image.deep else "original positions: give positions='packed'"
            raise ValueError(f"the selector merges tokens, and merged tokens have no {lack}")
