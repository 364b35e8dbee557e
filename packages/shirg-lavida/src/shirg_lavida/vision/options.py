"""How images become entries of the prefix, and the parts of a model they pass through."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, get_args

from PIL import Image
from torch import nn

from shirg_core.checks import check_choice
from shirg_core.scores.heads import PENULTIMATE, layer_index
from shirg_core.selection import Selector
from shirg_lavida.config import LavidaConfig
from shirg_lavida.vision.reading_order import Newline
from shirg_lavida.vision.tower import SiglipTower
from shirg_lavida.vision.views import Views

SelectOn: TypeAlias = Literal["projected", "tower", "pixels"]


class VisionPath(Protocol):
    """The parts of a model that an image passes through."""

    config: LavidaConfig
    tower: SiglipTower
    projector: nn.Module
    image_newline: nn.Parameter


@dataclass(frozen=True)
class VisionOptions:
    """How images become entries of the prefix.

    Args:
        selector: chooses tokens; None = the released model's way for `anyres` (2D pooling), every token of other views.
        views: see `shirg_lavida.vision.views`.
        newline: see `shirg_lavida.vision.reading_order`.
        select_on: what the selector sees. `projected` features live in the language model's space, like the text;
            `tower` features do not, so no text is passed, and only the kept tokens are projected afterwards. `pixels`
            are those of each token's patch, for methods that work before the tower (`on_pixels` in the registry):
            only the choice counts, so tokens are neither merged nor summarised.
        tower_attention: pass the selector the attention that each token received in the tower itself, as v3's A.
        attention_layer: in which layer of the tower as trained: −2, the last that runs, whose features are projected;
            or −L … −2, or 0 … L − 2.
        every_token: keep dropped tokens beside the prefix, for a `Pruning` that swaps some of them in.

    Raises:
        ValueError: not a selector, an unknown `select_on`, or options that need a selector and have none.
    """

    selector: Selector | None = None
    views: Views = "anyres"
    newline: Newline = "row"
    select_on: SelectOn = "projected"
    tower_attention: bool = False
    attention_layer: int = PENULTIMATE
    every_token: bool = False

    def __post_init__(self) -> None:
        if self.selector is not None:
            _check_selector(self.selector)
        check_choice("select_on", self.select_on, get_args(SelectOn))
        if self.selector is None and (self.select_on != "projected" or self.tower_attention):
            raise ValueError(
                f"select_on={self.select_on!r} and tower_attention={self.tower_attention} say what a selector sees; "
                "there is no selector"
            )
        if self.select_on == "tower" and self.views == "pooled_base":
            raise ValueError("select_on='tower' selects before the projector, but views='pooled_base' pools after it")

    def check(self, config: LavidaConfig) -> None:
        """Whether a checkpoint can serve these options.

        Raises:
            ValueError: it has a `pooler` projector and they need one that works token by token, or a tower without the
                layer.
        """
        if self.tower_attention:
            layers = config.vision.num_hidden_layers
            layer_index(self.attention_layer, layers, runs=layers - 1)
        if config.projector != "pooler":
            return
        if self.select_on == "tower" or self.tower_attention:
            asked = "select_on='tower'" if self.select_on == "tower" else "tower_attention=True"
            raise ValueError(
                f"{asked} does not fit a pooler projector, which needs each view's full grid: select after"
            )


def check_images(images: object) -> None:
    """Whether these are images as `visual_prefix` takes them.

    Raises:
        ValueError: not a sequence of Pillow images.
    """
    if not isinstance(images, Sequence) or isinstance(images, str | bytes):
        raise ValueError(f"images must be a list of Pillow images, got {_kind(images)}")
    for i, image in enumerate(images):
        if not isinstance(image, Image.Image):
            raise ValueError(f"images must be Pillow images, but number {i} is {_kind(image)}")


def _check_selector(selector: object) -> None:
    """A selector's name, its class or the function that builds it are easily passed in its place."""
    example = "expected one that is built, such as shirg_v3(budget=512)"
    if isinstance(selector, type) or not callable(selector):
        raise ValueError(f"selector {selector!r} cannot choose tokens; {example}")
    try:
        inspect.signature(selector).bind(None, None, text=None, text_mask=None, edges=None, attention=None)
    except TypeError as error:
        raise ValueError(f"selector {selector!r} cannot choose tokens ({error}); {example}") from error


def _kind(value: object) -> str:
    return f"{value!r}" if isinstance(value, str) else f"a {type(value).__name__}"
