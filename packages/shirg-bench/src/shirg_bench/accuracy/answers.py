"""Answers of one variant to the questions of several pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Answers:
    """P pages, Q questions of each, L answer tokens, T diffusion times.

    Attributes:
        given: `[P, Q, L]` ids that the model answered.
        correct: `[P, Q]` bool, all L ids are right.
        kept: `[P, Q]` kept tokens.
        base: `[P, Q]` kept tokens of the base view, NaN without one.
        visual: `[P, Q]` entries of the prefix that stand for the page, newlines and summary included.
        shown: `[P, Q]` share of the true answer's characters whose patch is among the kept tokens; NaN where tokens are
            mixtures of patches. What is dropped cannot be read; what is kept may still be misread.
        nll: `[P]` sum of the page's weighted cross-entropies, see `shirg_train.validation`; 0 where not measured.
        scored: `[P]` what to divide it by, T times the page's scored tokens; 0 where not measured.
        probes: `[P, Q]` budgets that were tried before the answer's own, a prefill and a forward pass each.
    """

    given: NDArray[np.int64]
    correct: NDArray[np.bool_]
    kept: NDArray[np.int64]
    base: NDArray[np.float64]
    visual: NDArray[np.int64]
    shown: NDArray[np.float64]
    nll: NDArray[np.float64]
    scored: NDArray[np.float64]
    probes: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """Chunks as one, in their order."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    @classmethod
    def decoded(cls, arrays: Mapping[str, Any]) -> Answers:
        """From nested lists by name; answers of before there were adaptive budgets took no probes.

        Raises:
            ValueError, KeyError, TypeError: they are no answers.
        """
        whole, real = np.int64, np.float64
        kinds = (whole, np.bool_, whole, real, whole, real, real, real, whole)
        arrays = {"probes": np.zeros_like(arrays["kept"]), **arrays}
        return cls(*(np.array(arrays[f.name], dtype=kind) for f, kind in zip(fields(cls), kinds, strict=True)))
