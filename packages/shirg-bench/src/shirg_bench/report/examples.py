"""Examples: the embedded model's answers to sample pages, per method, with overlays of the kept tokens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from shirg_bench.explore.choosers import ByModel
from shirg_bench.explore.command import first_shown
from shirg_bench.explore.explore import explore_methods
from shirg_bench.explore.explored import ExploredImage
from shirg_bench.explore.html import explorer_page
from shirg_bench.explore.request import BUDGETS, WITH_MODEL
from shirg_bench.names import split_names
from shirg_bench.plots.answers import Example, Panel
from shirg_bench.plots.tokens import TokenCloud
from shirg_core.cli.methods import parse_budget
from shirg_core.methods import get_method
from shirg_lavida.checkpoint.embedded import DEFAULT
from shirg_lavida.cli.paths import model_location
from shirg_lavida.methods import with_method
from shirg_lavida.pipeline import LavidaPipeline
from shirg_train.testbed.micro.batches import ANSWER_LENGTH
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.micro.samples import listed_samples
from shirg_train.testbed.micro.visual import tower_features
from shirg_train.testbed.pages.batch import PageBatch
from shirg_train.testbed.pages.config import split_seed
from shirg_train.testbed.pages.page import draw_pages

THIRD = 1 / 3
METHODS = {
    "all": "full",
    "pooling": "pooling",
    "SHIRG-v2 1/3": "v2",
    "SHIRG-v3 1/3": "v3",
    "random 1/3": "random",
}
"""What a row of the answer sheet compares, in words and by the registry's name; at a third of the tokens."""
CLOUD_METHODS = ("SHIRG-v2 1/3", "SHIRG-v3 1/3")
CLOUD_PAGES, CLOUD_TIER, SEED = 6, "easy", 0


class Cloud(NamedTuple):
    """Tokens of several pages, for `plots.token_clouds`.

    Attributes:
        features: `[N, d]` projected tokens, all pages.
        shows_answer: `[N]` tokens whose patch shows the answer to the page's first question.
        clouds: what methods kept when asked that question.
    """

    features: NDArray[np.float32]
    shows_answer: NDArray[np.bool_]
    clouds: list[TokenCloud]


def embedded_pipeline() -> LavidaPipeline:
    """The embedded model that `shirg ask` asks, in float32."""
    return LavidaPipeline.from_pretrained(model_location(None), dtype=torch.float32)


def ask_samples(pipe: LavidaPipeline, pages: int = 4) -> list[Example]:
    """Answers to the first `pages` shipped samples under every method."""
    examples = []
    for sample in listed_samples()[:pages]:
        page = draw_pages(DataConfig().pages(SizeConfig(), sample["tier"]), [sample["seed"]])
        image, question = page.image(0), page.question(0, sample["question"])
        panels = []
        for words, name in METHODS.items():
            answer = with_method(pipe, name, THIRD, None, SEED)(image, question, max_new_tokens=ANSWER_LENGTH)
            panels.append(Panel(words, answer, get_method(name).merges))
        examples.append(Example(image, question, page.answer(0, sample["question"]), panels))
    return examples


def explore_samples(pipe: LavidaPipeline, pages: int = 2) -> str:
    """The explorer's page about the first `pages` shipped samples."""
    methods = [get_method(name) for name in WITH_MODEL]
    budgets = {words: parse_budget(words) for words in split_names("--budgets", BUDGETS)}
    explored = []
    for number, sample in enumerate(listed_samples()[:pages]):
        page = draw_pages(DataConfig().pages(SizeConfig(), sample["tier"]), [sample["seed"]])
        image, question = page.image(0).convert("RGB"), page.question(0, sample["question"])
        expected = page.answer(0, sample["question"])
        chooser = ByModel(pipe, image, question, expected, None, SEED, ANSWER_LENGTH, embedded=True)
        runs = explore_methods(chooser, image, methods, budgets)
        explored.append(ExploredImage(f"sample page {number}", image, runs, DEFAULT, question, expected))
    return explorer_page(explored, list(budgets), first_shown(explored[0].methods, budgets))


def cloud_of_tokens(pipe: LavidaPipeline, pages: int = CLOUD_PAGES) -> Cloud:
    """Projected tokens of `pages` unseen pages, and which of them each method of `CLOUD_METHODS` keeps."""
    seeds = [split_seed("test", i) for i in range(pages)]
    batch = draw_pages(DataConfig().pages(SizeConfig(), CLOUD_TIER), seeds)
    kept = {name: [_kept(pipe, name, batch, page) for page in range(pages)] for name in CLOUD_METHODS}
    images = torch.from_numpy(batch.images)[:, None].expand(-1, 3, -1, -1)
    with torch.no_grad():
        features = pipe.model.projector(tower_features(pipe.model, images)).flatten(0, 1).numpy()
    clouds = [TokenCloud(name, np.concatenate(masks)) for name, masks in kept.items()]
    return Cloud(features, batch.answer_patches[:, 0].reshape(-1), clouds)


def _kept(pipe: LavidaPipeline, method: str, batch: PageBatch, page: int) -> NDArray[np.bool_]:
    asked = with_method(pipe, METHODS[method], THIRD, None, SEED)
    selection = asked(batch.image(page), batch.question(page, 0), max_new_tokens=ANSWER_LENGTH).selection
    if selection is None:
        raise ValueError(f"{method} selects nothing")
    kept: NDArray[np.bool_] = selection.mask[0].numpy()
    return kept
