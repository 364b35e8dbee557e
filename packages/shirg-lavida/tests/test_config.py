import pytest

from shirg_lavida.config import LavidaConfig, parse_canvases
from shirg_lavida.testing import tiny_raw_config, tiny_vision

FIVE = ((384, 768), (768, 384), (768, 768), (1152, 384), (384, 1152))


def config(**overrides):
    vision = tiny_vision(side=6, patch_size=4)
    return LavidaConfig.from_checkpoint(tiny_raw_config(vision, **overrides), vision)


def test_pooled_sides():
    odd = tiny_vision(side=7, patch_size=4)
    raw = tiny_raw_config(odd)
    sides = {
        m: LavidaConfig.from_checkpoint({**raw, "mm_spatial_pool_mode": m}, odd) for m in ("bilinear", "average", "max")
    }
    assert {m: c.pooled_side for m, c in sides.items()} == {"bilinear": 4, "average": 3, "max": 3}
    pooler = LavidaConfig.from_checkpoint({**raw, "mm_projector_type": "pooler"}, odd)
    assert (pooler.projected_side, sides["bilinear"].projected_side) == (3, 7)


def test_ids_come_from_the_checkpoint():
    read = config(mask_token_id=7, eos_token_id=9)
    assert (read.mask_token_id, read.eos_token_id) == (7, 9)
    raw = tiny_raw_config(tiny_vision(), vocab_size=126464, embedding_size=126464)
    default = {k: v for k, v in raw.items() if k not in {"mask_token_id", "eos_token_id"}}
    read = LavidaConfig.from_checkpoint(default, tiny_vision())
    assert (read.mask_token_id, read.eos_token_id) == (126336, 126081)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model_type": "llava_qwen"}, "model_type"),
        ({"image_aspect_ratio": "pad"}, "image_aspect_ratio"),
        ({"mm_patch_merge_type": "flat"}, "mm_patch_merge_type"),
        ({"mm_hidden_size": 31}, "mm_hidden_size is 31"),
        ({"mm_spatial_pool_mode": "sum"}, "mm_spatial_pool_mode"),
        ({"mask_token_id": 256}, "mask_token_id"),
        ({"eos_token_id": [1, 2]}, "eos_token_id"),
        ({"image_grid_pinpoints": [[30, 25]]}, "image_grid_pinpoints"),
        ({"image_grid_pinpoints": []}, "image_grid_pinpoints"),
        ({"block_type": "sequential"}, "block_type"),
    ],
)
def test_what_cannot_be_honoured_is_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        config(**overrides)


def test_canvases():
    assert parse_canvases([list(c) for c in FIVE], 384) == FIVE
    assert parse_canvases(str(list(FIVE)), 384) == FIVE
    assert parse_canvases(None, 384) == FIVE
    assert parse_canvases(None, 10) == ((10, 20), (20, 10), (20, 20), (30, 10), (10, 30))
    assert parse_canvases("(1x1),...,(2x2)", 10) == ((10, 10), (10, 20), (20, 10), (20, 20))
