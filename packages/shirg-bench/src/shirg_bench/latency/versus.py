"""Diffusion against autoregression: one prefix, one answer length, the same weights, from L steps down to L / 8."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from shirg_bench.latency.autoregressive import Greedy, greedy, twin
from shirg_bench.latency.plan import Plan
from shirg_bench.latency.stages import answer, embed
from shirg_bench.latency.subject import Subject
from shirg_bench.latency.variant import Variant
from shirg_core.clock import Clock
from shirg_core.progress import Report
from shirg_lavida.sampling.answer import Answer

FEWER = (1, 2, 4, 8)
"""L over these steps; those that leave no whole step are left out."""


class Taken(NamedTuple):
    """A round of one variant: the autoregressive answer, and the diffusion ones from the most steps to the fewest."""

    prefix_tokens: int
    embed_ms: float
    one: Greedy
    many: list[Answer]


def versus(
    subject: Subject, variants: Sequence[Variant], plan: Plan, report: Report = lambda _: None
) -> Iterator[list[dict[str, Any]]]:
    """Measure in turn the autoregressive answer and the diffusion ones; the table as it stands, after every round.

    Lines have `variant`, `prefix_tokens`, `answer_tokens`, `nfe`, `embed_ms` (both pay it), `autoregressive_ms`,
    `autoregressive_token_ms` (None where the prefill gave the only token), `diffusion_ms`, `step_ms`, `speedup` (of the
    language model: autoregressive over diffusion) and `speedup_end_to_end` (from image to answer), medians over rounds.

    Raises:
        ValueError: a projector that LLaVA does not have, or a variant that the model refuses.
    """
    now, model = Clock(subject.device, work=True).now, subject.pipe.model
    llava = twin(model)
    steps = [plan.answer_tokens // fewer for fewer in FEWER if plan.answer_tokens >= fewer]
    pipes = {variant.name: variant.pipeline(subject.pipe, plan.seed) for variant in variants}
    taken: dict[str, list[Taken]] = {name: [] for name in pipes}
    options = {"answer_length": plan.answer_tokens, "block_length": plan.answer_tokens}
    for number in range(plan.rounds + 1):
        for name, pipe in pipes.items():
            report(
                f"{name}: autoregressive and diffusion, {f'round {number} of {plan.rounds}' if number else 'warm-up'}"
            )
            prefix, embed_ms = embed(subject, pipe)
            one = greedy(llava, prefix.embeddings, plan.answer_tokens, now)
            many = [answer(model, prefix, **options, steps=count) for count in steps]
            if number:
                taken[name].append(Taken(prefix.shape[1], embed_ms["embed"], one, many))
        if number:
            yield [_row(name, taken[name], i, plan) for name in pipes for i in range(len(steps))]


def _row(name: str, taken: Sequence[Taken], i: int, plan: Plan) -> dict[str, Any]:
    ours = [each.many[i] for each in taken]
    token_ms = [ms for each in taken for ms in each.one.token_ms]
    pairs = [(each.embed_ms, each.one.answer_ms, each.many[i].timings_ms["answer"]) for each in taken]
    return {
        "variant": name,
        "prefix_tokens": taken[0].prefix_tokens,
        "answer_tokens": plan.answer_tokens,
        "nfe": ours[0].nfe,
        "embed_ms": statistics.median(embedded_ms for embedded_ms, _, _ in pairs),
        "autoregressive_ms": statistics.median(theirs for _, theirs, _ in pairs),
        "autoregressive_token_ms": statistics.median(token_ms) if token_ms else None,
        "diffusion_ms": statistics.median(mine for _, _, mine in pairs),
        "step_ms": statistics.median(ms for each in ours for ms in each.step_ms),
        "speedup": statistics.median(theirs / mine for _, theirs, mine in pairs),
        "speedup_end_to_end": statistics.median((e + theirs) / (e + mine) for e, theirs, mine in pairs),
        "rounds": len(taken),
    }
