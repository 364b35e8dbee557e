"""What answers cost, where lmms-eval shows it: per logged sample, and over a run in its throughput table."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, TypeVar

import torch
from lmms_eval.api.instance import GenerationResult, TokenCounts  # type: ignore[import-untyped]

from shirg_bench.lmms.reply import Reply

T = TypeVar("T")
MIB = 2**20
PER_SAMPLE = ("visual_tokens", "kv_bytes", "nfe", "latency_ms", "embed_ms", "prefill_ms", "step_ms", "batch_size")


@dataclass
class AnswerCosts(TokenCounts):  # type: ignore[misc]
    """Upstream's token counts, and the fields of `Reply` named in `PER_SAMPLE`."""

    extra: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For the log of samples."""
        return {**super().to_dict(), **(self.extra or {})}


def generation(reply: Reply) -> GenerationResult:
    """A reply as lmms-eval takes it."""
    fields = asdict(reply)
    costs = AnswerCosts(
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        extra={name: fields[name] for name in PER_SAMPLE},
    )
    return GenerationResult(reply.text, costs)


def log_costs(replies: Sequence[Reply], device: torch.device) -> None:
    """Feed the throughput table: means over the answers of all processes, which work at the same time.

    The time is the slowest process's, the peak memory the largest one's. Every process has to call this, as often as
    the others, also one that had nothing to answer.
    """
    from lmms_eval.models.model_utils.gen_metrics import log_metrics  # type: ignore[import-untyped]

    shares = _all_processes((list(replies), peak_memory(device)))
    answered = [reply for share, _ in shares for reply in share]
    if not answered:
        return
    seconds = max(sum(reply.latency_ms / reply.batch_size for reply in share) for share, _ in shares) / 1e3
    tokens = sum(reply.output_tokens for reply in answered)
    names = ("prefill_ms", "step_ms", "embed_ms", "nfe", "visual_tokens", "kv_bytes")
    log_metrics(
        total_elapsed_time=seconds,
        total_gen_tokens=tokens,
        avg_speed=tokens / seconds if seconds else 0.0,
        additional_metrics={name: fmean(getattr(reply, name) for reply in answered) for name in names}
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
