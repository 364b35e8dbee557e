"""A training step of an adapter beside the strategy of LaViDa's released code, same masks, loss and gradient.

The released forward gives each of the two complementary samples a row of its own, computes logits for every token of
both, prompt included, and keeps only each block's input for the backward pass. Restated here on our own backbone, so
that both run the same kernels; under prefix attention, which costs the two rows less than full attention.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from shirg_lavida.language.attention import attend
from shirg_lavida.language.backbone import Backbone, BackboneConfig
from shirg_train.loss import diffusion_nll
from shirg_train.noise import forward_process

PREFIX, ANSWER, WIDTH, PAIRS = 1040, 64, 512, 2
IGNORED = -100


def case(vocabulary: int):
    """Backbone, prefix, answer and noise of one sample."""
    draws = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = Backbone(BackboneConfig(WIDTH, 8, 8, 1536, vocabulary)).requires_grad_(requires_grad=False)
    prefix = torch.randn(1, PREFIX, WIDTH, generator=draws)
    answer = torch.randint(0, vocabulary - 1, (1, ANSWER), generator=draws)
    return backbone, prefix, answer, forward_process(torch.ones(1, ANSWER, dtype=torch.bool), generator=draws)


def ours(backbone, prefix, answer, noise):
    """Loss and its gradient in the prefix."""
    leaf = prefix.clone().requires_grad_()
    loss = diffusion_nll(backbone, leaf, answer, noise, mask_id=backbone.vocab_size - 1).mean
    loss.backward()
    return loss.detach(), leaf.grad


def released(backbone, prefix, answer, noise):
    """The same, as the released code goes about it."""
    leaf = prefix.clone().requires_grad_()
    hidden = torch.cat([noise.masked, noise.complement])
    answers = answer.repeat(2, 1)
    x = backbone.embed(answers.masked_fill(hidden, backbone.vocab_size - 1))
    x = torch.cat([leaf.repeat(2, 1, 1), x], dim=1)
    labels = F.pad(answers.masked_fill(~hidden, IGNORED), (PREFIX, 0), value=IGNORED)
    rotary = backbone.rotary(torch.arange(x.shape[1])[None])
    for block in backbone.blocks:
        x = checkpoint(whole_block, block, x, rotary, use_reentrant=False)
    logits = backbone.logits(backbone.ln_f(x))
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    loss.backward()
    return loss.detach(), leaf.grad


def whole_block(block, x, rotary):
    q, k, v = block.project(x, rotary)
    prefix = attend(q[:, :, :PREFIX], k[:, :, :PREFIX], v[:, :, :PREFIX], None)
    return block.finish(x, torch.cat([prefix, attend(q[:, :, PREFIX:], k, v, None)], dim=2))


@pytest.mark.parametrize(("vocabulary", "bar"), [(126_464, 1 / 4.5), (32_768, 1 / 3)], ids=["llada", "small"])
def test_a_step_beside_the_released_strategy(track, vocabulary, bar):
    given = case(vocabulary)
    step, reference = partial(ours, *given), partial(released, *given)
    for mine, theirs in zip(step(), reference(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-8)
    track(f"train-step-{vocabulary}-over-released", step, reference, bar=bar, pairs=PAIRS)
