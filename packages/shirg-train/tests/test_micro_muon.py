"""Muon takes the steps of `torch.optim.Muon`, which iterates in bfloat16, one matrix at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shirg_train.testbed.micro.muon import Muon, orthogonalize


def test_steps_are_those_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(24, 96), (24, 96), (96, 24), (24, 24)]
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    start = [p.detach().clone() for p in ours]
    optimizers = (
        Muon(ours, lr=0.02, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for mine, other, before in zip(ours, theirs, start, strict=True):
        assert (mine - other).norm() <= 0.03 * (other - before).norm()


def test_singular_values_become_alike() -> None:
    matrices = torch.randn(3, 40, 12, generator=torch.Generator().manual_seed(1)) * torch.logspace(-1, 1, 12)
    values = torch.linalg.svdvals(orthogonalize(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_only_matrices() -> None:
    with pytest.raises(ValueError, match=r"\(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))], lr=1.0, weight_decay=0.0)
