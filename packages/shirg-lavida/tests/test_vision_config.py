import dataclasses

import pytest
from transformers import SiglipConfig, SiglipVisionConfig

from shirg_lavida.testing import tiny_vision
from shirg_lavida.vision_config import VisionConfig

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
    whole_model = SiglipConfig(vision_config=SO400M.to_dict()).to_dict()
    assert VisionConfig.from_checkpoint(whole_model) == vision


def test_tower_must_be_siglip():
    with pytest.raises(ValueError, match="clip_vision_model"):
        VisionConfig.from_checkpoint({"model_type": "clip_vision_model"})


@pytest.mark.parametrize(("key", "value"), [("num_hidden_layers", 1), ("image_size", 3), ("patch_size", 0)])
def test_impossible_tower(key, value):
    with pytest.raises(ValueError, match=str(value)):
        dataclasses.replace(tiny_vision(side=6, patch_size=4), **{key: value})
