"""What answers cost, where lmms-eval shows it: per logged sample, and over a run in its throughput table."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, TypeVar

import torch
from lmms_eval.api.instance import TokenCounts  # type: ignore[import-untyped]

from shirg_lavida.sampling.answer import Answer

T = TypeVar("T")
MIB = 2**20


@dataclass
class AnswerCosts(TokenCounts):  # type: ignore[misc]
    """Upstream's token counts and what else an answer cost. Times are those of the batch it was part of.

    Attributes:
        visual_tokens: entries of the prefix that stand for images, newlines and summaries included.
        kv_bytes: bytes of the prefix cache that this row takes, padding included; 0 without cache.
        nfe: denoising steps, those that chose an adaptive budget among them.
        latency_ms: from images and question to text.
        embed_ms: views, tower, projector and selection.
        prefill_ms: the prefix through the language model; 0 without cache.
        step_ms: mean over the steps.
        batch_size: rows of the batch.
        kept_tokens: K, over all images of the question; None = not known.
    """

    visual_tokens: int = 0
    kv_bytes: int = 0
    nfe: int = 0
    latency_ms: float = 0.0
    embed_ms: float = 0.0
    prefill_ms: float = 0.0
    step_ms: float = 0.0
    batch_size: int = 1
    kept_tokens: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For the log of samples; what is not known is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def costs_of(answer: Answer, batch_size: int) -> AnswerCosts:
    """What an answer cost that a pipeline timed; the prefix is the input, padding left out."""
    ms = answer.timings_ms
    return AnswerCosts(
        input_tokens=answer.prefix_tokens,
        output_tokens=answer.output_tokens,
        visual_tokens=answer.visual_tokens,
        kept_tokens=answer.kept_tokens,
        kv_bytes=answer.kv_bytes,
        nfe=answer.nfe,
        latency_ms=ms["total"],
        embed_ms=ms["embed"],
        prefill_ms=ms["prefill"],
        step_ms=round(fmean(answer.step_ms), 3) if answer.step_ms else 0.0,
        batch_size=batch_size,
    )


def log_costs(costs: Sequence[AnswerCosts], device: torch.device) -> None:
    """Feed the throughput table: means over the answers of all processes, which work at the same time.

    The time is the slowest process's, the peak memory the largest one's. Every process has to call this, as often as
    the others, also one that had nothing to answer.
    """
    from lmms_eval.models.model_utils.gen_metrics import log_metrics  # type: ignore[import-untyped]

    shares = _all_processes((list(costs), peak_memory(device)))
    answered = [one for share, _ in shares for one in share]
    if not answered:
        return
    seconds = max(sum(one.latency_ms / one.batch_size for one in share) for share, _ in shares) / 1e3
    tokens = sum(one.output_tokens for one in answered)
    names = ["prefill_ms", "step_ms", "embed_ms", "nfe", "visual_tokens", "kv_bytes"]
    names += ["kept_tokens"] if all(one.kept_tokens is not None for one in answered) else []
    log_metrics(
        total_elapsed_time=seconds,
        total_gen_tokens=tokens,
        avg_speed=tokens / seconds if seconds else 0.0,
        additional_metrics={name: fmean(getattr(one, name) for one in answered) for name in names}
        | {name: max(peak[name] for _, peak in shares) for name in shares[0][1]}
        | {"num_requests": len(answered), "processes": len(shares)},
    )


def _all_processes(value: T) -> list[T]:
    """Every process's value, in the order of their ranks."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, value)
    return gathered


def peak_memory(device: torch.device) -> dict[str, float]:
    """MiB: what torch allocated on a GPU, or on a CPU the resident set of the whole process."""
    if device.type == "cuda":
        return {"peak_gpu_mib": torch.cuda.max_memory_allocated(device) / MIB}
    return {"peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB}
