"""A training step of an adapter beside the strategy of LaViDa's released code, same masks, loss and gradient.

The released forward gives each of the two complementary samples a row of its own, computes logits for every token of
both, prompt included, and keeps only each block's input for the backward pass. Restated here on our own backbone, so
that both run the same kernels; under prefix attention, which costs the two rows less than full attention.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.checkpoint import checkpoint

from shirg_bench.latency.random_models import RandomShape, random_pipeline
from shirg_core.clock import Clock
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.language.attention import attend
from shirg_lavida.language.backbone import Backbone, BackboneConfig
from shirg_lavida.vision.config import VisionConfig
from shirg_lavida.vision.views import plan_views
from shirg_train.adapter.lora import AdapterConfig, attach
from shirg_train.cost import step_cost
from shirg_train.keep_ratio import PolicyConfig, build_policy
from shirg_train.loss import diffusion_nll
from shirg_train.noise import forward_process
from shirg_train.trainer.config import LossConfig, OptimConfig
from shirg_train.trainer.distributed import World
from shirg_train.trainer.engine import TorchEngine
from shirg_train.trainer.module import LossModule
from shirg_train.trainer.samples import MicroBatch

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


WIDE = RandomShape(VisionConfig(1152, 4304, 4, 16, 384, 14), BackboneConfig(4096, 32, 2, 12_288, 32_768))
"""LaViDa-LLaDA's widths, three layers of its tower and two blocks of its language model."""
KEPT, ASKED, ANSWERED = 256, 40, 48


def wide_step():
    """One step of one sample, to call again and again: one page in one view, 256 tokens of SHIRG-v4; and its cost."""
    draws = torch.Generator().manual_seed(0)
    pipe = random_pipeline(WIDE)
    lavida, cpu = pipe.model, torch.device("cpu")
    policy = build_policy(PolicyConfig("v4", budget=KEPT, views="single"), 0)
    words = torch.randint(5, 100, (ASKED,), generator=draws)
    prompt = torch.cat([torch.tensor([IMAGE_TOKEN_ID]), words])
    page = Image.fromarray(np.random.default_rng(0).integers(0, 256, (768, 768, 3), dtype=np.uint8))
    answer = torch.randint(5, 100, (1, ANSWERED), generator=draws)
    noise = forward_process(torch.ones(1, ANSWERED, dtype=torch.bool), generator=draws)
    batch = MicroBatch([prompt], [words], [page], answer, noise, torch.tensor([1]))
    with torch.no_grad():
        prefix = lavida.embed_prompt([prompt], [page], question=[words], selector=policy.selector, views=policy.views)
    attach(lavida, AdapterConfig(language_blocks="all"))
    loss = LossModule(lavida, LossConfig(), torch.float32, recompute=False)
    engine = TorchEngine(loss, OptimConfig(warmup_steps=0), World(0, 1, cpu))
    pixels = plan_views(lavida.config, page.size, "single", selecting=True).px
    cost = step_cost(WIDE.language, WIDE.vision, views=1, prefix=prefix.shape[1], answer=ANSWERED, pixels=pixels)

    def step(clock):
        with clock.stage("forward"):
            nll = engine.forward(batch, policy, clock=clock)
        with clock.stage("backward"):
            engine.backward(nll.total, 1.0)
        with clock.stage("optimizer"):
            engine.step(1.0)
        return nll.mean.detach()

    return step, cost


def test_a_step_beside_the_products_that_it_counts(track, benchmark):
    """How much longer a step takes than the operations of `shirg_train.cost` at the speed of one plain product."""
    step, cost = wide_step()
    clock, losses = Clock(work=True), []
    left, right = torch.rand(512, 4096), torch.rand(4096, 12_288)
    operations = 2 * left.numel() * right.shape[1]
    products = round(cost.total / operations)

    def ours():
        losses.append(step(clock))

    def reference():
        for _ in range(products):
            left @ right

    measured = track("train-step-over-its-products", ours, reference, pairs=PAIRS)
    assert all(loss.isfinite() for loss in losses)
    mean = {name: ms / len(losses) for name, ms in clock.timings_ms.items()}
    mean["language"] = mean.pop("forward") - mean["tower"] - mean["select"]
    # Half of what the projector and the logits cost is their gradients.
    half = (cost.projector + cost.logits) / 2
    counted = {"tower": cost.tower, "language": cost.forward + half, "backward": cost.backward + half}
    rate = operations * products / measured.reference_ms
    benchmark.extra_info.update({f"{name}_ms": ms for name, ms in mean.items()})
    benchmark.extra_info.update({f"{name}_speed_of_product": n / mean[name] / rate for name, n in counted.items()})
