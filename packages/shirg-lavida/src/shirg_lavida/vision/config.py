"""The SigLIP tower that a checkpoint was trained with, read from the tower's own `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import SiglipVisionConfig

DEFAULTS: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
}
"""What transformers' `SiglipVisionConfig` takes for keys that a `config.json` leaves out: SigLIP base."""


@dataclass(frozen=True)
class VisionConfig:
    """A SigLIP tower as trained; LaViDa runs all its layers but the last.

    Args:
        hidden_size: channels.
        intermediate_size: channels inside the MLP.
        num_hidden_layers: layers before the last one is removed, ≥ 2.
        num_attention_heads: heads.
        image_size: side of a view in pixels.
        patch_size: side of a token in pixels; leftover pixels at the right and bottom are not seen.
        hidden_act: activation of the MLP.
        layer_norm_eps: ε of the layer norms.
    """

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int
    patch_size: int
    hidden_act: str = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        for name in DEFAULTS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"the vision tower's {name} must be a whole number ≥ 1, got {value!r}")
        if self.num_hidden_layers < 2:
            raise ValueError(f"the tower loses its last layer, so it needs at least 2, got {self.num_hidden_layers}")
        if self.image_size < self.patch_size:
            raise ValueError(f"a view of {self.image_size} px holds no patch of {self.patch_size} px")

    def holds(self, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether these are shapes of the tower's weights, by transformers' names without `vision_model.`."""
        layers = {name.split(".")[2] for name in shapes if name.startswith("encoder.layers.")}
        patch, width = self.patch_size, self.hidden_size
        expected = {
            "embeddings.patch_embedding.weight": (width, 3, patch, patch),
            "embeddings.position_embedding.weight": (self.side**2, width),
            "encoder.layers.0.mlp.fc1.weight": (self.intermediate_size, width),
        }
        # LaViDa trains a tower without its last layer.
        return len(layers) == self.num_hidden_layers - 1 and all(
            shapes.get(name) == shape for name, shape in expected.items()
        )

    @classmethod
    def from_checkpoint(cls, config: Mapping[str, Any]) -> VisionConfig:
        """Read a SigLIP `config.json`: a whole SigLIP model's, or its vision part alone.

        Keys that are left out have transformers' defaults.

        Raises:
            ValueError: another kind of model, or an invalid size.
        """
        if config.get("model_type") == "siglip":
            config = config["vision_config"]
        if config.get("model_type") != "siglip_vision_model":
            raise ValueError(f"the vision tower must be a SigLIP model, got model_type {config.get('model_type')!r}")
        return cls(**DEFAULTS | {name: config[name] for name in cls.__dataclass_fields__ if name in config})

    def to_transformers(self, *, num_hidden_layers: int | None = None) -> SiglipVisionConfig:
        """The same tower for transformers, without its pooling head; `num_hidden_layers` overrides the depth."""
        from transformers import SiglipVisionConfig  # a part of a second, which loading a checkpoint does without

        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if num_hidden_layers is not None:
            values["num_hidden_layers"] = num_hidden_layers
        return SiglipVisionConfig(**values, vision_use_head=False)

    @property
    def side(self) -> int:
        """Tokens along a view's side."""
        return self.image_size // self.patch_size

    @property
    def single_px(self) -> int:
        """Side in pixels of SHIRG-v3's one larger view: 7/4 of a crop, in whole patches (384 → 672)."""
        return self.image_size * 7 // 4 // self.patch_size * self.patch_size


SO400M_384 = VisionConfig(
    hidden_size=1152,
    intermediate_size=4304,
    num_hidden_layers=27,
    num_attention_heads=16,
    image_size=384,
    patch_size=14,
)
"""`google/siglip-so400m-patch14-384`, the tower of every released LaViDa."""
