"""One definition of the question: a selector sees the same text wherever it is asked to choose."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from shirg_core import shirg_v2
from shirg_core.methods import METHODS
from shirg_core.selection import Selection
from shirg_lavida.pipeline import LavidaPipeline
from shirg_train.data import Encode
from shirg_train.data.record import Record, Turn
from shirg_train.data.samples import Reader
from shirg_train.keep_ratio import Policy
from shirg_train.testbed.micro import objective
from shirg_train.testbed.micro.auxiliary import AuxiliaryHeads
from shirg_train.testbed.micro.batches import to_tensors
from shirg_train.testbed.micro.build import build_model
from shirg_train.testbed.micro.config import AuxiliaryLosses, DataConfig, SizeConfig, StageConfig
from shirg_train.testbed.micro.run import export
from shirg_train.testbed.micro.visual import VIEWS
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES
from shirg_train.trainer.config import LossConfig
from shirg_train.trainer.distributed import World
from shirg_train.trainer.measure import held_out_batch
from shirg_train.trainer.module import LossModule
from shirg_train.trainer.samples import step_batches

SIZE = SizeConfig(tower_width=24, tower_layers=1, tower_mlp=32, width=24, layers=2, mlp=32, heads=3)
SYSTEM = "please read the page."


class Spy:
    """v2 that remembers the text it was shown, row by row."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, features, layout, *, text=None, text_mask=None, edges=None, **_) -> Selection:
        mask = torch.ones(text.shape[:2], dtype=torch.bool) if text_mask is None else text_mask
        self.seen += [row[own].detach() for row, own in zip(text, mask, strict=True)]
        return shirg_v2(budget=0.25)(features, layout, text=text, text_mask=text_mask, edges=edges)


@pytest.fixture(scope="module")
def pages():
    return draw_pages(DataConfig(questions=2).pages(SIZE, "hard"), [3, 4])


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("micro") / "micro"
    export(build_model(SIZE, build_tokenizer(), seed=0).eval(), folder)
    return LavidaPipeline.from_pretrained(folder, dtype=torch.float32)


def questions(pages) -> list[str]:
    return [TEMPLATES[0].format(pages.label(page, asked)) for page in range(2) for asked in range(2)]


def by_pipeline(pipe, pages, asked: list[str]) -> list[torch.Tensor]:
    spy = Spy()
    images = [[Image.fromarray(page).convert("RGB")] for page in pages.images for _ in range(len(asked) // 2)]
    whole = LavidaPipeline(pipe.model, pipe.tokenizer, spy, VIEWS)  # LaViDa's system turn
    with torch.no_grad():
        whole.embed(asked, images)
    return spy.seen


def same(found: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return len(found) == len(expected) and all(map(torch.equal, found, expected))


def test_the_adapter_trainer_shows_what_the_pipeline_shows(pipe, pages) -> None:
    file = io.BytesIO()
    Image.fromarray(pages.images[0]).save(file, "PNG")
    asked = ["What is the total?", "how much is it, please?"]
    talks = [(Turn("user", asked[0]), Turn("assistant", "7")), (Turn("user", asked[1]), Turn("assistant", "8"))]
    read = Reader(Encode(build_tokenizer()), system=SYSTEM)
    samples = [read(Record(str(i), (file.getvalue(),), talk)) for i, talk in enumerate(talks)]
    module = LossModule(pipe.model, LossConfig(), torch.float32, recompute=False)
    alone = World(0, 1, torch.device("cpu"))
    (batch,) = step_batches(samples, 2, room=99, loss=LossConfig(), eos_id=0, seed=0, step=0, world=alone)
    for given in (batch, held_out_batch(samples, 0, 2, 0, alone.device)):
        spy = Spy()
        with torch.no_grad():
            module(given, Policy("v2", METHODS["v2"], spy, VIEWS))
        assert same(spy.seen, by_pipeline(pipe, pages, asked))


def test_micro_training_shows_what_the_pipeline_shows(pipe, pages) -> None:
    expected = by_pipeline(pipe, pages, questions(pages))
    batch = to_tensors(pages, build_tokenizer(), TEMPLATES[0])
    spy = Spy()
    stage = StageConfig("s", 1, layout="joined", aids=AuxiliaryLosses(chars=0, places=0, values=0, owners=0))
    objective.objective(
        pipe.model,
        AuxiliaryHeads(1, 1, (1, 1)),
        batch,
        stage,
        Policy("tome", METHODS["tome"], spy, VIEWS),
        labels=torch.arange(2),
        unknown=0,
        generator=torch.Generator().manual_seed(0),
    )
    assert same(spy.seen, expected)
