"""What a LaViDa checkpoint is made of, read and validated once.

Everything comes from the checkpoint's own `config.json` (upstream's keys) and the SigLIP tower's `config.json`. A key
that this code reads is either there, or has the default the released code uses; a value it cannot honour is an error.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from shirg_core.anyres import LAVIDA_CANVASES
from shirg_core.checks import check_choice
from shirg_lavida.families.family import Family
from shirg_lavida.families.llada import LLADA
from shirg_lavida.families.registry import family_of
from shirg_lavida.language.config import BackboneConfig
from shirg_lavida.sampling.options import VALUES
from shirg_lavida.vision.config import VisionConfig

IMAGE_TOKEN_ID = -200
"""Stands for one image in `input_ids`; never an embedding's index."""

PoolMode = Literal["bilinear", "average", "max"]
LAVIDA_CROP_PX = 384
POOL_STRIDE = 2
"""The released code pools images by 2 whatever `mm_spatial_pool_stride` says (that key is for its videos)."""


@dataclass(frozen=True)
class LavidaConfig:
    """A whole LaViDa.

    Args:
        family: which of the released LaViDas it is one of.
        language: the language model.
        vision: the tower.
        projector: `linear`, `mlp<n>x_gelu` or `pooler`.
        canvases: `(width, height)` in pixels, candidates for the crops' mosaic.
        pool_mode: how the released model pools each view's grid.
        pooler_ratio: stride of a `pooler` projector.
        mask_token_id: the mask.
        eos_token_id: end of text.
        raw: the checkpoint's whole `config.json`, so that saving loses nothing.
    """

    family: Family
    language: BackboneConfig
    vision: VisionConfig
    projector: str
    canvases: tuple[tuple[int, int], ...]
    mask_token_id: int
    eos_token_id: int
    pool_mode: PoolMode = "bilinear"
    pooler_ratio: int = 2
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_choice("mm_spatial_pool_mode", self.pool_mode, get_args(PoolMode))
        for name in ("mask_token_id", "eos_token_id"):
            value, limit = getattr(self, name), self.language.vocab_size
            if not isinstance(value, int) or not 0 <= value < limit:
                raise ValueError(f"{name} must be an id below the vocabulary's {limit}, got {value!r}")
        crop = self.vision.image_size
        for canvas in self.canvases:
            if len(canvas) != 2 or min(canvas) < 1 or canvas[0] % crop or canvas[1] % crop:
                raise ValueError(f"image_grid_pinpoints: {canvas} is not made of whole crops of {crop} px")

    @classmethod
    def from_checkpoint(cls, config: Mapping[str, Any], vision: VisionConfig) -> LavidaConfig:
        """Read a LaViDa's `config.json`.

        Raises:
            ValueError: no LaViDa of a known family, or a value this code cannot honour; the message names the key.
        """
        family = check_lavida(config)
        if config.get("mm_hidden_size", vision.hidden_size) != vision.hidden_size:
            raise ValueError(f"mm_hidden_size is {config['mm_hidden_size']}, but the tower has {vision.hidden_size}")
        return cls(
            family=family,
            language=family.read(config),
            vision=vision,
            projector=config.get("mm_projector_type", "linear"),
            canvases=parse_canvases(config.get("image_grid_pinpoints"), vision.image_size),
            pool_mode=cast("PoolMode", config.get("mm_spatial_pool_mode", "bilinear")),
            pooler_ratio=config.get("mm_pooler_ratio", 2),
            mask_token_id=config.get("mask_token_id", family.mask_token_id),
            eos_token_id=config.get("eos_token_id", family.eos_token_id),
            raw=dict(config),
        )

    @property
    def sampling(self) -> dict[str, Any]:
        """The sampler's options by name, with the values that reproduce the family's released sampler."""
        return {option.name: option.default for option in VALUES} | dict(self.family.sampling)

    @property
    def projected_side(self) -> int:
        """Tokens along a crop's side after the projector."""
        return self.vision.side // self.pooler_ratio if self.projector == "pooler" else self.vision.side

    @property
    def pooled_side(self) -> int:
        """Tokens along a view's side after 2D pooling: bilinear rounds up (27 → 14), the others down (27 → 13)."""
        if self.pool_mode == "bilinear":
            return math.ceil(self.vision.side / POOL_STRIDE)
        return self.vision.side // POOL_STRIDE


def upstream_config(
    language: BackboneConfig,
    vision: VisionConfig,
    *,
    mask_token_id: int,
    eos_token_id: int,
    family: Family = LLADA,
    **more: Any,
) -> dict[str, Any]:
    """A new LaViDa's `config.json` in upstream's keys, with LaViDa's projector, pooling and canvases.

    Args:
        language: the language model.
        vision: the tower.
        mask_token_id: the mask.
        eos_token_id: end of text, and padding.
        family: whose keys the language model has.
        more: further keys, or other values.
    """
    return {
        "model_type": family.model_type,
        "architectures": [family.architecture],
        **family.write(language),
        "mask_token_id": mask_token_id,
        "eos_token_id": eos_token_id,
        "pad_token_id": eos_token_id,
        "image_aspect_ratio": "anyres",
        "image_grid_pinpoints": [list(canvas) for canvas in parse_canvases(None, vision.image_size)],
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_type": "mlp2x_gelu",
        "mm_hidden_size": vision.hidden_size,
        "mm_spatial_pool_mode": "bilinear",
        **more,
    }


def check_lavida(config: Mapping[str, Any]) -> Family:
    """The family of the LaViDa that a `config.json` describes, which this code runs.

    Only `model_type` must be there; what LaViDa leaves to its launch scripts means LaViDa's choice when it is absent.

    Raises:
        ValueError: it describes something else; the message names the key.
    """
    family = family_of(config)
    for key, value in (("image_aspect_ratio", "anyres"), ("mm_patch_merge_type", "spatial_unpad")):
        if config.get(key, value) != value:
            raise ValueError(f"{key} must be {value!r}, the only one implemented, got {config[key]!r}")
    return family


def parse_canvases(value: Any, crop_px: int) -> tuple[tuple[int, int], ...]:
    """`image_grid_pinpoints` as `(width, height)` pairs in pixels.

    It is a list of pairs, the same as a string, or a range of crops such as `(1x1),...,(3x3)`; None means LaViDa's five
    canvases, in crops of `crop_px`.

    Raises:
        ValueError: unreadable.
    """
    if value is None:
        return tuple((w // LAVIDA_CROP_PX * crop_px, h // LAVIDA_CROP_PX * crop_px) for w, h in LAVIDA_CANVASES)
    if isinstance(value, str) and "x" in value:
        corners = [tuple(int(n) for n in part.strip(" ()").split("x")) for part in value.split(",") if "x" in part]
        (w0, h0), (w1, h1) = corners[0], corners[-1]
        value = [(w * crop_px, h * crop_px) for w in range(w0, w1 + 1) for h in range(h0, h1 + 1)]
    elif isinstance(value, str):
        value = ast.literal_eval(value)
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"image_grid_pinpoints must list candidate canvases (width, height), got {value!r}")
    return tuple((int(width), int(height)) for width, height in value)
