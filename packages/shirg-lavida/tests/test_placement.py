import pytest
import torch

from shirg_lavida.checkpoint.placement import part_devices, part_of
from shirg_lavida.testing import tiny_lavida


@pytest.fixture(scope="module")
def model():
    return tiny_lavida(0, side=6, patch_size=4)


def test_named_parts_and_the_rest(model):
    devices = part_devices(model, {"tower": "cpu", "": "meta"}, None)
    assert devices == {
        "tower": torch.device("cpu"),
        "projector": torch.device("meta"),
        "backbone": torch.device("meta"),
    }


def test_auto_uses_what_is_there(model):
    where = "cuda" if torch.cuda.is_available() else "cpu"
    assert {d.type for d in part_devices(model, "auto", torch.float32).values()} == {where}


@pytest.mark.parametrize(
    ("device_map", "message"),
    [
        ({"tower": "cpu"}, "'projector' no device"),
        ({"": "cpu", "backbone.blocks.0": "cpu"}, "backbone.blocks.0"),
        ({"": "disk"}, "disk is not supported"),
        ("balanced", "'auto' or map"),
    ],
)
def test_maps_that_cannot_be(model, device_map, message):
    with pytest.raises(ValueError, match=message):
        part_devices(model, device_map, None)


def test_newline_lives_with_the_backbone():
    assert part_of("image_newline") == "backbone"
    assert part_of("tower.siglip.embeddings.patch_embedding.weight") == "tower"
