"""`torch.set_default_dtype` changes no answer, no plan and no weight."""

import pytest
import torch
from PIL import Image

from shirg_core import shirg_v2, shirg_v3
from shirg_core.precision import default_dtype
from shirg_lavida import load_lavida
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.pruning.fastv import FastV
from shirg_lavida.pruning.two_stage import TwoStage
from shirg_lavida.sampling.schedule import PLANNED, transfer_plan
from shirg_lavida.testing import tiny_lavida, write_tiny_checkpoint

DTYPES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=["bf16", "fp64"])


@pytest.fixture(scope="module")
def model():
    return tiny_lavida(side=6, patch_size=4)


@DTYPES
@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "shift"},
        {"remasking": "random", "temperature": 0.7},
        {"remasking": "margin", "allow_mask_prediction": False, "schedule": "cosine"},
        {"attention": "full", "cache": False},
        {"wrap_step": lambda step: step, "remasking": "random"},
    ],
    ids=["shift", "random", "margin", "full", "static"],
)
@pytest.mark.parametrize(
    "vision",
    [
        {"selector": shirg_v2(budget=0.4)},
        {"selector": shirg_v3(budget=0.4), "tower_attention": True, "views": "single", "positions": "original"},
        {},
    ],
    ids=["v2", "v3-tower", "pooled"],
)
def test_answers_are_the_same(model, vision, options, dtype):
    image = Image.radial_gradient("L").crop((0, 0, 90, 60))

    def ask():
        prefix = model.embed_prompt([[1, 2, IMAGE_TOKEN_ID, 3], [4, IMAGE_TOKEN_ID]], [image, image], **vision)
        draw = torch.Generator().manual_seed(3)
        return prefix, model.sample(prefix, answer_length=16, step_ratio=0.5, generator=draw, **options)

    prefix, answer = ask()
    with default_dtype(dtype):
        other_prefix, other = ask()
    assert torch.equal(other_prefix.embeddings, prefix.embeddings)
    assert torch.equal(other, answer)


@DTYPES
def test_pruning_drops_the_same(model, dtype):
    prefix = model.embed_prompt([[1, 2, IMAGE_TOKEN_ID, 3]], [Image.radial_gradient("L")], views="single384")
    chosen = model.embed_prompt(
        [[1, 2, IMAGE_TOKEN_ID, 3]], [Image.radial_gradient("L")], selector=shirg_v3(budget=0.4), every_token=True
    )
    for of, pruning in ((prefix, FastV(0.3, 1)), (chosen, TwoStage())):
        (plain,) = model.generate(of, answer_length=8, pruning=pruning)
        with default_dtype(dtype):
            (other,) = model.generate(of, answer_length=8, pruning=pruning)
        assert torch.equal(other.ids, plain.ids)
        for ours, theirs in zip(other.selections, plain.selections, strict=True):
            assert ours is theirs or torch.equal(ours.indices, theirs.indices)


@DTYPES
@pytest.mark.parametrize("schedule", PLANNED)
def test_schedules_are_the_same(schedule, dtype):
    plan = transfer_plan([1000, 37], 300, schedule=schedule)
    with default_dtype(dtype):
        assert transfer_plan([1000, 37], 300, schedule=schedule) == plan


@DTYPES
@pytest.mark.parametrize("tower", ["checkpoint", "folder"])
def test_checkpoints_are_written_and_read_the_same(tmp_path, tower, dtype):
    written = load_lavida(write_tiny_checkpoint(tmp_path / "plain", side=6, patch_size=4, tower=tower))
    with default_dtype(dtype):
        folder = write_tiny_checkpoint(tmp_path / "other", side=6, patch_size=4, tower=tower)
        read = load_lavida(tmp_path / "plain")
        own = load_lavida(folder)
    for name, value in written.named_parameters():
        for other in (read, own):
            assert other.get_parameter(name).dtype == torch.float32
            assert torch.equal(other.get_parameter(name), value)
