import dataclasses

import pytest
from transformers import SiglipConfig, SiglipVisionConfig

from shirg_lavida.testing import tiny_vision
from shirg_lavida.vision.config import VisionConfig

SO400M = SiglipVisionConfig(
    hidden_size=1152,
    intermediate_size=4304,
    num_hidden_layers=27,
    num_attention_heads=16,
    image_size=384,
    patch_size=14,
)


def test_so400m_geometry():
    vision = VisionConfig.from_checkpoint(SO400M.to_dict())
    assert (vision.side, vision.single_px, vision.single_px // vision.patch_size) == (27, 672, 48)
    assert vision.to_transformers().num_hidden_layers == 27
    assert vision.to_transformers(num_hidden_layers=0).num_hidden_layers == 0
    whole_model = SiglipConfig(vision_config=SO400M.to_dict()).to_dict()
    assert VisionConfig.from_checkpoint(whole_model) == vision


@pytest.mark.parametrize("given", [{}, {"hidden_size": 384, "hidden_act": "gelu", "layer_norm_eps": 1e-5}])
def test_keys_left_out_are_those_of_transformers(given):
    vision = VisionConfig.from_checkpoint({"model_type": "siglip_vision_model", **given})
    theirs = SiglipVisionConfig(**given)
    assert dataclasses.asdict(vision) == {name: getattr(theirs, name) for name in dataclasses.asdict(vision)}


@pytest.mark.parametrize("value", [None, "27", 0, -1, 2.5, True])
def test_sizes_are_whole_numbers(value):
    with pytest.raises(ValueError, match="patch_size must be a whole number ≥ 1, got"):
        VisionConfig.from_checkpoint({"model_type": "siglip_vision_model", "patch_size": value})


def test_tower_must_be_siglip():
    with pytest.raises(ValueError, match="clip_vision_model"):
        VisionConfig.from_checkpoint({"model_type": "clip_vision_model"})


@pytest.mark.parametrize(("key", "value"), [("num_hidden_layers", 1), ("image_size", 3), ("patch_size", 0)])
def test_impossible_tower(key, value):
    with pytest.raises(ValueError, match=str(value)):
        dataclasses.replace(tiny_vision(side=6, patch_size=4), **{key: value})
