"""Validation NLL of the true answers, page by page, with masks that depend on the page alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.prefix import Prefix
from shirg_train.seeds import generator
from shirg_train.validation import validation_nll


def page_nll(model: LavidaModel, prefix: Prefix, answers: Tensor, times: int, seeds: Sequence[int]) -> Tensor:
    """Sum and normaliser of each page's validation NLL, see `shirg_train.validation`.

    The end of turn and one end of text are scored; further padding would only dilute the measure.

    Args:
        model: answers.
        prefix: `[P·Q, S, d]`, the prompts of P pages with Q questions each.
        answers: `[P, Q, L]` int64.
        times: T; 0 = it is not measured.
        seeds: the pages' own, for their masks.

    Returns:
        Float64 `[P, 2]`; zeros where it is not measured.
    """
    sums = torch.zeros(len(seeds), 2, dtype=torch.float64)
    questions, mask_id = answers.shape[1], model.config.mask_token_id
    scored = (answers == model.config.eos_token_id).cumsum(-1) <= 1
    for i, seed in enumerate(seeds if times else ()):
        rows = prefix[i * questions : (i + 1) * questions]
        draws = torch.rand(times, *scored[i].shape, generator=generator(seed), dtype=torch.float32)
        nll = validation_nll(model.backbone, rows, answers[i], scored[i], mask_id=mask_id, draws=draws)
        sums[i] = torch.stack([nll.total, nll.normaliser])
    return sums
