"""What answers cost, where lmms-eval shows it: per logged sample, and over a run in its throughput table."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, TokenCounts  # type: ignore[import-untyped]

from shirg_bench.lmms.reply import Reply

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
    """Feed the throughput table: means over the answers, and the peak memory of this process."""
    from lmms_eval.models.model_utils.gen_metrics import log_metrics  # type: ignore[import-untyped]

    seconds = sum(reply.latency_ms / reply.batch_size for reply in replies) / 1e3
    tokens = sum(reply.output_tokens for reply in replies)
    names = ("prefill_ms", "step_ms", "embed_ms", "nfe", "visual_tokens", "kv_bytes")
    log_metrics(
        total_elapsed_time=seconds,
        total_gen_tokens=tokens,
        avg_speed=tokens / seconds if seconds else 0.0,
        additional_metrics={name: fmean(getattr(reply, name) for reply in replies) for name in names}
        | peak_memory(device)
        | {"num_requests": len(replies)},
    )


def peak_memory(device: torch.device) -> dict[str, float]:
    """MiB: what torch allocated on a GPU, or on a CPU the resident set of the whole process."""
    if device.type == "cuda":
        return {"peak_gpu_mib": torch.cuda.max_memory_allocated(device) / MIB}
    return {"peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB}
