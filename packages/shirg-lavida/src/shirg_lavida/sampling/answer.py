"""What answering gives back, from the sampler on: one `Answer` per row of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from torch import Tensor

from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection


@dataclass(frozen=True)
class Confidence:
    """Probabilities of an answer's tokens, its end of text included, each at the step that settled it.

    Attributes:
        mean: arithmetic mean.
        min: the least.
    """

    mean: float
    min: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """An answer and what it cost. Times are those of the batch it was part of.

    Attributes:
        text: up to the end of the answer, without special tokens; empty from a model, which has no tokenizer.
        ids: `[L]` int64, everything that was sampled.
        probabilities: `[L]` float32, the probability of each token at the step that settled it, before noise; 1 for
            tokens of a draft and behind the end of text, 0 for a mask that was left.
        stops: ids that end an answer.
        nfe: denoising steps, one forward pass of the language model each, those that chose an adaptive budget among
            them; prefills are not.
        probed: mean entropies, in nats, of the steps that chose an adaptive budget, one per budget that was tried; see
            `shirg_lavida.adaptive`.
        extra_passes: forward passes beside prefill and steps: 1 where a `Pruning` swapped tokens in, else 0.
        extra_tokens: visual tokens of this row in that pass.
        prefix_tokens: entries of the prefix, prompt and images.
        visual_tokens: those of them that stand for images, newlines and summaries included; 0 without an image.
        kv_bytes: bytes of the prefix cache that this row takes in the last step, padding included; 0 without cache.
        timings_ms: wall time by stage, where it was asked for: prefill and steps, and of these `rewrite`, where a
            `Pruning` replaced the cache; from a pipeline also load, tower, select, embed (views, tower, projector,
            selection), decode, total.
        step_ms: wall time per step, where it was asked for.
        selections: per image, what was kept (batch of one), after all steps if a `Pruning` chose again; None without a
            selector.
        layouts: per image, the geometry of the tokens that were chosen from, or without a selector of those that the
            image became.
    """

    text: str = ""
    ids: Tensor
    probabilities: Tensor = field(repr=False)
    stops: frozenset[int] = field(repr=False)
    nfe: int
    extra_passes: int = 0
    extra_tokens: int = 0
    prefix_tokens: int
    visual_tokens: int
    kv_bytes: int
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    step_ms: tuple[float, ...] = ()
    probed: tuple[float, ...] = ()
    selections: tuple[Selection | None, ...] = field(default=(), repr=False)
    layouts: tuple[ViewLayout, ...] = field(default=(), repr=False)

    @property
    def output_tokens(self) -> int:
        """Tokens before the first of `stops`."""
        return next((i for i, token in enumerate(self.ids.tolist()) if token in self.stops), len(self.ids))

    @property
    def kept_tokens(self) -> int:
        """K over all images, newlines and summaries not counted; every token of an image without a selector."""
        pairs = zip(self.selections, self.layouts, strict=True)
        return sum(of.n_selectable if kept is None else kept.indices.shape[1] for kept, of in pairs)

    @property
    def confidence(self) -> Confidence:
        """How sure the model was of the tokens up to and including the first of `stops`."""
        probabilities = self.probabilities[: self.output_tokens + 1].tolist()
        return Confidence(fmean(probabilities), min(probabilities))

    @property
    def selection(self) -> Selection | None:
        """What was kept of the first image; None without a selector or an image."""
        return self.selections[0] if self.selections else None

    @property
    def layout(self) -> ViewLayout | None:
        """Of the first image; None without an image."""
        return self.layouts[0] if self.layouts else None
