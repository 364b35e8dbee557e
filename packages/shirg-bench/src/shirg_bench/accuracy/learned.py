"""Selectors and compressors, trained or not, at the same number of visual tokens.

Each training run went equally long from the same start, with one way to make tokens of a page; it is asked as it was
trained. Beside accuracy stand what was trained, and what training and answering cost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import thread_time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from shirg_bench.accuracy.case import Case, Comparison
from shirg_bench.accuracy.pages import Encoded, draw
from shirg_bench.accuracy.prefixes import ask
from shirg_bench.accuracy.variant import Compression, Variant
from shirg_bench.latency.quiet import one_thread
from shirg_bench.results.provenance import folder_digest
from shirg_lavida.checkpoint.load import load_lavida
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.sampling.denoiser import Denoiser
from shirg_lavida.vision.views import to_unit
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.compressors.contract import Compressor
from shirg_train.testbed.compressors.registry import load_compressor
from shirg_train.testbed.micro.batches import ANSWER_LENGTH, MicroBatch
from shirg_train.testbed.micro.config import MicroConfig
from shirg_train.testbed.micro.loop import CHECKPOINT, LOG_FILE
from shirg_train.testbed.micro.state import finished_recipe
from shirg_train.testbed.micro.visual import page_views, tower_features

if TYPE_CHECKING:
    from shirg_bench.accuracy.measure import Bench

QUARTER = 0.25
"""What is measured of the untrained checkpoint: pooling keeps as many tokens."""
UNTRAINED = ("quadtree", "tome", "divprune", "cdpruner", "v2", "v4")
NOTE = "What is untrained reads tokens at original positions, which it does better"
"""Of rows without training."""
ROUNDS = 25


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a finished micro training run left.

    Attributes:
        model: in float32.
        compressor: None where a policy made the tokens.
        config: its recipe.
        digest: of the checkpoint's files.
        parameters: that training changed, and the compressor's.
        cpu_s: CPU time of training; None in logs of earlier versions.
    """

    model: LavidaModel
    compressor: Compressor | None
    config: MicroConfig
    digest: str
    parameters: int
    cpu_s: float | None

    @classmethod
    def read(cls, folder: Path, start: LavidaModel) -> TrainedRun:
        """Read a run's folder; `start` is what it began with.

        Raises:
            OSError: a folder that is not there.
            ValueError: no finished run, or one of a model with other weights than `start`'s.
        """
        config = finished_recipe(folder)
        model = load_lavida(folder / CHECKPOINT, dtype=torch.float32)
        compressor = load_compressor(folder / CHECKPOINT, model)
        before = dict(start.named_parameters())
        if other := before.keys() ^ {name for name, _ in model.named_parameters()}:
            raise ValueError(f"the run in {folder} did not begin with this model: only one of them has {min(other)}")
        changed = [p for name, p in model.named_parameters() if not torch.equal(p, before[name])]
        own = [] if compressor is None else list(compressor.parameters())
        lines = [json.loads(line) for line in (folder / LOG_FILE).read_text(encoding="utf-8").splitlines()]
        times = [line.get("cpu_seconds") for line in lines]
        cpu_s = None if None in times else round(sum(times))
        count = sum(p.numel() for p in (*changed, *own))
        return cls(model, compressor, config, folder_digest(folder / CHECKPOINT), count, cpu_s)

    def variants(self, name: str) -> list[Variant]:
        """The ways in which it was trained to see pages, answered by the weights called `name`."""
        compressor = self.config.compressor
        if compressor is not None:
            budgets = compressor.budgets or (None,)
            return [Variant(adapter=name, compression=Compression(compressor.method, each)) for each in budgets]
        asked = {policy.name: policy for policy in self.config.stages[-1].policies if policy.up_to is None}
        return [Variant(policy, adapter=name) for policy in asked.values()]


def learned(runs: Mapping[str, TrainedRun]) -> list[Comparison]:
    """Training runs, and their start as it is, with the start that sees all tokens."""
    if not runs:
        return []
    policies = [PolicyConfig("pooling"), *(PolicyConfig(method, QUARTER) for method in UNTRAINED)]
    untrained = [
        Case(f"{policy.method}, untrained", Variant(policy, positions="original"), note=NOTE) for policy in policies
    ]
    trained = [Case(f"{name}, trained", variant) for name, run in runs.items() for variant in run.variants(name)]
    return [Comparison(Case("all tokens, untrained", Variant()), [*untrained, *trained])]


class Times(NamedTuple):
    """CPU time of one thread, one page and one question; medians.

    Attributes:
        prefill_ms: from the page's pixels to the prefix's keys and values.
        step_ms: of one denoising step.
    """

    prefill_ms: float
    step_ms: float


def measured_costs(bench: Bench, variants: Sequence[Variant], rounds: int = ROUNDS) -> dict[str, dict[str, Any]]:
    """What rows say of training and time, by the variant's key; rounds are interleaved."""
    samples: dict[str, list[Times]] = {variant.key: [] for variant in variants}
    pages = {name: _one_question(bench, model) for name, model in bench.models.items()}
    with one_thread(), torch.no_grad():
        for number in range(rounds + 1):
            for variant in variants:
                once = _time_once(bench, variant, pages[variant.adapter])
                # The first round also sets up what later ones find.
                if number:
                    samples[variant.key].append(once)
    costs = {}
    for variant in variants:
        run = None if variant.adapter is None else bench.runs[variant.adapter]
        times = Times(*(round(median(column), 2) for column in zip(*samples[variant.key], strict=True)))
        costs[variant.key] = {
            "trained_parameters": 0 if run is None else run.parameters,
            "training_cpu_s": 0 if run is None else run.cpu_s,
            **times._asdict(),
        }
    return costs


def _one_question(bench: Bench, model: LavidaModel) -> MicroBatch:
    page = draw(model, bench.tokenizer, bench.data, "easy", range(1))
    asked = {name: getattr(page, name)[:, :1] for name in ("tails", "questions", "answers", "pointers")}
    return replace(page, **asked)


def _time_once(bench: Bench, variant: Variant, batch: MicroBatch) -> Times:
    model = bench.models[variant.adapter]
    ids = torch.full((1, ANSWER_LENGTH), model.config.mask_token_id)
    start = thread_time()
    encoded = None
    if variant.compression is None:
        tokens = model.projector(tower_features(model, batch.images))
        encoded = Encoded(tokens, to_unit(page_views(model, batch.images)), tokens.new_zeros(tokens.shape[:2]))
    asked = ask(model, batch, encoded, variant, [0], bench.compressor(variant))
    context = answer_context(asked.prefix, ANSWER_LENGTH, model.backbone.max_sequence_length)
    denoiser = Denoiser.cached(model.backbone, context)
    ready = thread_time()
    model.backbone.logits(denoiser.hidden(ids))
    return Times((ready - start) * 1e3, (thread_time() - ready) * 1e3)
