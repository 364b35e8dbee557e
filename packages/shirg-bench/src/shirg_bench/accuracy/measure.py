"""Every variant's answers to every question: chunk by chunk, what the journal holds is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from shirg_bench.accuracy.answering import answer_batch
from shirg_bench.accuracy.answers import Answers
from shirg_bench.accuracy.case import Adapters
from shirg_bench.accuracy.learned import TrainedRun
from shirg_bench.accuracy.likelihood import page_nll
from shirg_bench.accuracy.pages import SPLIT, Encoded, check_model, draw, encode_pages
from shirg_bench.accuracy.variant import Source, Variant
from shirg_bench.results.journal import Journal
from shirg_bench.results.provenance import digest, folder_digest, source_digest
from shirg_core.versions import versions
from shirg_lavida.checkpoint.adapter import merge_adapter, trained_positions
from shirg_lavida.checkpoint.load import load_lavida
from shirg_lavida.model import LavidaModel
from shirg_train.seeds import derive
from shirg_train.testbed.compressors.contract import Compressor
from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.micro.config import DataConfig
from shirg_train.testbed.pages.config import Split
from shirg_train.testbed.pages.tokenizer import build_tokenizer

CHUNK = 32
"""Pages that are answered together."""


@dataclass(frozen=True)
class Bench:
    """What answers, and the answers it gave so far; made by `open_bench`.

    Attributes:
        models: by adapter or training run; None = the checkpoint's own weights.
        runs: training runs by name.
        adapters: the positions each was trained on.
        digests: of each one's files.
        journal: of answers.
        about: what all answers depend on: weights, code, versions, …
        tokenizer: the micro models'.
        data: how pages are drawn.
        seed: of random selections.
        split: whose pages are asked.
    """

    models: Mapping[str | None, LavidaModel]
    runs: Mapping[str, TrainedRun]
    adapters: Adapters
    digests: Mapping[str | None, str]
    journal: Journal[Answers]
    about: Mapping[str, object]
    tokenizer: Tokenizer
    data: DataConfig
    seed: int
    split: Split = SPLIT

    def answers(
        self, variants: Sequence[Variant], tier: str, pages: int, advance: Callable[[], None] = lambda: None
    ) -> list[Answers]:
        """Ask every question of `pages` unseen pages of a tier under every variant.

        Raises:
            ValueError: a selector that refuses.
        """
        parts: list[list[Answers]] = [[] for _ in variants]
        for chunk in chunks(pages):
            batch: MicroBatch | None = None
            encoded: dict[tuple[str | None, Source], Encoded] = {}
            for own, variant in zip(parts, variants, strict=True):
                key = self._key(variant, tier, chunk)
                answers = self.journal.find(key)
                if answers is None:
                    if batch is None:
                        batch = draw(self.models[None], self.tokenizer, self.data, tier, chunk, self.split)
                    sight = variant.adapter, variant.source
                    if sight not in encoded:
                        encoded[sight] = encode_pages(self.models[variant.adapter], batch.images, variant.source)
                    answers = self._answer(batch, encoded[sight], variant, chunk)
                    self.journal.add(key, answers)
                own.append(answers)
                advance()
        return [Answers.joined(own) for own in parts]

    def compressor(self, variant: Variant) -> Compressor | None:
        """What came with a variant's weights; None where its policy makes the tokens."""
        return None if variant.compression is None else self.runs[str(variant.adapter)].compressor

    def _answer(self, batch: MicroBatch, encoded: Encoded, variant: Variant, chunk: range) -> Answers:
        model = self.models[variant.adapter]
        seeds = [derive(self.seed, "accuracy", page) for page in chunk]
        found, asked, probes = answer_batch(model, batch, encoded, variant, seeds, self.compressor(variant))
        given = found.view_as(batch.answers)
        seeds = [derive(self.seed, "nll", page) for page in chunk]
        nll = page_nll(model, asked.prefix, batch.answers, variant.nll_times, seeds)
        per_question = batch.answers.shape[:2]
        return Answers(
            given=given.numpy(),
            correct=(given == batch.answers).all(dim=-1).numpy(),
            probes=torch.tensor(probes).view(per_question).numpy(),
            kept=torch.tensor(asked.kept).view(per_question).numpy(),
            base=torch.tensor(asked.base, dtype=torch.float64).view(per_question).numpy(),
            visual=torch.tensor(asked.visual).view(per_question).numpy(),
            shown=torch.tensor(asked.shown, dtype=torch.float64).view(per_question).numpy(),
            nll=nll[:, 0].numpy(),
            scored=nll[:, 1].numpy(),
        )

    def _key(self, variant: Variant, tier: str, chunk: range) -> str:
        data = asdict(self.data)
        weights = [self.digests[None], None if variant.adapter is None else self.digests[variant.adapter]]
        # By content: renaming an adapter changes nothing.
        facts = {**variant.facts(), "adapter": None, "weights": weights, "tier": tier, "data": data}
        return digest([self.about, facts, chunk.start, chunk.stop])


def open_bench(
    checkpoint: Path,
    journal: Path,
    *,
    adapters: Mapping[str, Path] | None = None,
    runs: Mapping[str, Path] | None = None,
    data: DataConfig | None = None,
    seed: int = 0,
    split: Split = SPLIT,
) -> Bench:
    """Load a micro model; its own (bfloat16-rounded) weights run in float32.

    Args:
        checkpoint: a folder `save_lavida` wrote.
        journal: folder for answers; those that are there already are not computed again.
        adapters: name → folder of a LoRA, each merged into a separate copy of the weights.
        runs: name → output folder of a micro training run that began with the checkpoint.
        data: how pages are drawn; None = as in training.
        seed: of random selections.
        split: whose pages are asked.

    Raises:
        OSError: a folder that is not there.
        ValueError: no checkpoint, adapter or finished run that can be used, or not a micro model.
    """
    tokenizer = build_tokenizer()
    # Loaded before it is digested: a folder that is no checkpoint may hold anything, and digesting it takes long.
    models: dict[str | None, LavidaModel] = {None: load_lavida(checkpoint, dtype=torch.float32)}
    digests: dict[str | None, str] = {None: folder_digest(checkpoint)}
    check_model(models[None], tokenizer)
    for name, folder in (adapters or {}).items():
        models[name] = load_lavida(checkpoint, dtype=torch.float32)
        merge_adapter(models[name], folder)
        digests[name] = folder_digest(folder)
    trained = {name: TrainedRun.read(folder, models[None]) for name, folder in (runs or {}).items()}
    models |= {name: run.model for name, run in trained.items()}
    digests |= {name: run.digest for name, run in trained.items()}
    about = {"seed": seed, "split": split, "versions": versions(), "code": source_digest("shirg_bench.accuracy")}
    positions = {name: trained_positions(folder) for name, folder in (adapters or {}).items()}
    answers = Journal(journal, Answers.decoded)
    return Bench(
        models,
        trained,
        positions,
        digests,
        answers,
        about,
        tokenizer,
        DataConfig() if data is None else data,
        seed,
        split,
    )


def chunks(pages: int) -> list[range]:
    """Page numbers 0 … pages − 1 in stretches of `CHUNK`.

    Raises:
        ValueError: no page.
    """
    if pages < 1:
        raise ValueError(f"pages must be ≥ 1, got {pages}")
    return [range(start, min(start + CHUNK, pages)) for start in range(0, pages, CHUNK)]
