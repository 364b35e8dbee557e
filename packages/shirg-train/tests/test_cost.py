"""The cost model counts what PyTorch counts while a step runs; a run's hours follow from it."""

import re
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from shirg_lavida.language.backbone import Backbone
from shirg_lavida.language.config import BackboneConfig
from shirg_lavida.testing import tiny_dream, tiny_lavida
from shirg_train.cost import StepCost, run_hours, step_cost
from shirg_train.loss import diffusion_nll
from shirg_train.noise import forward_process

PREFIX, ANSWER = 37, 6


def counted(run):
    with FlopCounterMode(display=False) as counter:
        out = run()
    return out, counter.get_total_flops()


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("changes", [{}, {"n_kv_heads": 2}, {"shifted": True}], ids=str)
def test_language_model_costs_what_pytorch_counts(changes, recompute):
    config = BackboneConfig(64, 4, 3, 160, 200, **changes)
    backbone = Backbone(config).requires_grad_(requires_grad=False)
    prefix = torch.randn(1, PREFIX, 64, requires_grad=True)
    noise = forward_process(torch.ones(1, ANSWER, dtype=torch.bool))
    ids = torch.zeros(1, ANSWER, dtype=torch.int64)
    cost = step_cost(
        config, tiny_lavida(side=5).config.vision, views=1, prefix=PREFIX, answer=ANSWER, recompute=recompute
    )
    nll, forward = counted(lambda: diffusion_nll(backbone, prefix, ids, noise, mask_id=199, recompute=recompute))
    _, backward = counted(nll.total.backward)
    assert forward == pytest.approx(cost.forward + cost.logits, rel=0.02)
    assert backward == pytest.approx(cost.backward + cost.recompute, rel=0.02)


@pytest.mark.parametrize("make", [tiny_lavida, tiny_dream])
def test_tower_and_projector_cost_what_pytorch_counts(make):
    model = make(side=5).requires_grad_(requires_grad=False)
    config = model.config
    cost = step_cost(config.language, config.vision, views=5, prefix=PREFIX, answer=ANSWER)
    pixels = torch.randn(5, 3, config.vision.image_size, config.vision.image_size)
    seen, tower = counted(lambda: model.tower(pixels).features)
    assert tower == pytest.approx(cost.tower, rel=0.02)
    model.projector[0].bias.requires_grad = True
    out, forward = counted(lambda: model.projector(seen))
    _, backward = counted(out.sum().backward)
    assert forward + backward == pytest.approx(cost.projector, rel=0.02)


def test_hours_are_operations_over_the_rate_of_all_gpus():
    cost = StepCost(tower=1e12, projector=1e12, forward=3e12, backward=4e12, logits=1e12, recompute=0)
    assert cost.total == 10e12
    # 3.6 million samples of 10 TFLOP on two GPUs that reach 100 TFLOP/s each.
    assert run_hours(cost, samples=3_600_000, gpus=2, flop_rate=200e12, utilisation=0.5) == pytest.approx(50)
    with pytest.raises(ValueError, match=r"utilisation must be in \(0, 1\], got 40"):
        run_hours(cost, samples=1, gpus=1, flop_rate=1e12, utilisation=40)


def test_the_page_on_scaling_prints_what_its_table_says(capsys):
    page = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names = {}
    exec(block, names)
    assert capsys.readouterr().out == "40 TFLOP a sample, 18.6 hours\n"
    (pooled,) = re.findall(r"\| pooling, five views \| 1048 \| ([\d. |]+) \|", page)
    total, tower, *hours = map(float, pooled.split(" | "))
    assert (total, tower) == (round(names["cost"].total / 1e12, 1), round(names["cost"].tower / 1e12, 1))
    at = {"samples": 3 * 558_128, "gpus": 8, "flop_rate": 312e12}
    assert hours == [round(run_hours(names["cost"], **at, utilisation=share), 1) for share in (0.3, 0.4, 0.5, 1.0)]
