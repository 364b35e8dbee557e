"""What a pipeline gives back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.sampling.sampler import SampleResult


@dataclass(frozen=True)
class Confidence:
    """Probabilities of an answer's tokens, its end of text included, each at the step that settled it.

    Attributes:
        mean: arithmetic mean.
        min: the least.
    """

    mean: float
    min: float


@dataclass(frozen=True, eq=False)
class Answer:
    """An answer and what it cost. Times are those of the batch it was part of.

    Attributes:
        text: up to the end of the answer, without special tokens.
        ids: `[L]` int64, everything that was sampled.
        confidence: how sure the model was of it.
        nfe: denoising steps, one forward pass of the language model each; the prefill is not among them.
        prefix_tokens: entries of the prefix, prompt and image.
        visual_tokens: those of them that stand for the image, newlines and summary included; 0 without an image.
        kv_bytes: bytes of the prefix cache that this answer's row takes, padding included; 0 without cache.
        timings_ms: wall time by stage: load, embed (views, tower, projector, selection), prefill, steps, decode, total.
        step_ms: wall time per step.
        selection: what was kept (batch of one); None without a selector or an image.
        layout: geometry of the tokens that were chosen from, or of those the image became without a selector; None
            without an image.
    """

    text: str
    ids: Tensor
    confidence: Confidence
    nfe: int
    prefix_tokens: int
    visual_tokens: int
    kv_bytes: int
    timings_ms: Mapping[str, float]
    step_ms: tuple[float, ...]
    selection: Selection | None = field(repr=False)
    layout: ViewLayout | None = field(repr=False)


def split_answers(
    texts: Sequence[str],
    prefix: Prefix,
    result: SampleResult,
    timings_ms: Mapping[str, float],
    stops: Collection[int],
) -> list[Answer]:
    """One `Answer` per row of a batch, whose rows have one image or none; `stops` are the ids that end an answer."""
    shown = dict(zip(prefix.owners, zip(prefix.selections, prefix.layouts, strict=True), strict=True))
    batch, length = prefix.shape[:2]
    prefix_tokens = [length] * batch if prefix.mask is None else prefix.mask.sum(dim=1).tolist()
    confidences = [
        confidence(ids, probabilities, stops)
        for ids, probabilities in zip(result.ids.tolist(), result.probabilities.tolist(), strict=True)
    ]
    return [
        Answer(
            text=text,
            ids=result.ids[b],
            confidence=confidences[b],
            nfe=result.nfe,
            prefix_tokens=prefix_tokens[b],
            visual_tokens=prefix.visual_tokens[b],
            kv_bytes=result.kv_bytes // batch,
            timings_ms=timings_ms,
            step_ms=result.step_ms,
            selection=shown[b][0] if b in shown else None,
            layout=shown[b][1] if b in shown else None,
        )
        for b, text in enumerate(texts)
    ]


def confidence(ids: Sequence[int], probabilities: Sequence[float], stops: Collection[int]) -> Confidence:
    """Of one row's L ≥ 1 tokens: those up to and including the first of `stops`."""
    end = next((i + 1 for i, token in enumerate(ids) if token in stops), len(ids))
    return Confidence(fmean(probabilities[:end]), min(probabilities[:end]))
