"""Claims of the ledger that arithmetic decides, with the sizes taken from the code where it has them."""

import pytest
import torch

from shirg_core import ViewLayout
from shirg_lavida.language.cache import LayerCache, PrefixCache
from shirg_lavida.vision.projector import build_projector

GB, MIB = 1e9, 2**20
PATCH_PX = 14
LAYERS, WIDTH, TOWER_WIDTH = 32, 4096, 1152
PARAMETERS_8B, BFLOAT16_BYTES = 8e9, 2


def kv_bytes(tokens):
    with torch.device("meta"):
        kv = torch.empty(1, 32, tokens, 128, dtype=torch.bfloat16)
        return PrefixCache(tuple(LayerCache.write(kv, kv, None, 32) for _ in range(LAYERS))).bytes


def test_tokens_of_the_views():
    assert ViewLayout.anyres(2, 2, 384 // PATCH_PX).n_tokens == 3645
    low, high = ViewLayout.single(384 // PATCH_PX, 384 // PATCH_PX), ViewLayout.single(672 // PATCH_PX, 672 // PATCH_PX)
    assert (low.n_tokens, high.n_tokens) == (729, 2304)
    assert high.n_tokens / low.n_tokens == pytest.approx(3.16, abs=0.005)
    assert 768 / low.n_tokens == pytest.approx(1.05, abs=0.005)
    assert 672 / 384 == 1.75
    assert high.n_tokens < 3645


def test_views_of_336_and_672_are_not_3645_tokens():
    assert 336 // PATCH_PX == 24
    assert 4 * (336 // PATCH_PX) ** 2 + (672 // PATCH_PX) ** 2 == 4608


@pytest.mark.parametrize(("rank", "without_biases"), [(16, 215_040), (32, 430_080), (64, 860_160)])
def test_lora_is_a_quarter_of_a_million(rank, without_biases):
    with torch.device("meta"):
        projector = build_projector("mlp2x_gelu", TOWER_WIDTH, WIDTH, side=27, pooler_ratio=2)
    linears = [module for module in projector.modules() if isinstance(module, torch.nn.Linear)]
    shapes = [(linear.in_features, linear.out_features) for linear in linears]
    assert shapes == [(TOWER_WIDTH, WIDTH), (WIDTH, WIDTH)]
    added = sum(rank * (inputs + outputs) for inputs, outputs in shapes)
    assert added == without_biases
    if rank == 16:
        with_biases = added + 2 * WIDTH
        assert with_biases == 223_232
        assert with_biases / PARAMETERS_8B == pytest.approx(0.003e-2, rel=0.1)
        assert 40e6 / (added / rank) == pytest.approx(2976, abs=1)


def test_three_epochs_are_13k_iterations():
    samples, batch = 558_128, 16 * 8
    assert samples * 3 // batch == 13_081
    assert 34_000 * batch / samples == pytest.approx(7.8, abs=0.01)


@pytest.mark.parametrize(
    ("tokens", "mib"),
    [(512, 256), (729, 364.5), (768, 384), (980, 490), (1024, 512), (2304, 1152), (3645, 1822.5)],
)
def test_kv_cache_of_every_variant(tokens, mib):
    assert kv_bytes(tokens) == mib * MIB
    assert kv_bytes(tokens) < 0.125 * PARAMETERS_8B * BFLOAT16_BYTES


def test_memory_columns_contradict_the_cache():
    weights = PARAMETERS_8B * BFLOAT16_BYTES
    assert weights == 16 * GB
    assert (kv_bytes(980) - kv_bytes(512)) / GB == pytest.approx(0.25, abs=0.005)
    assert (kv_bytes(768) - kv_bytes(729)) / GB == pytest.approx(0.02, abs=0.001)
    assert (kv_bytes(2304) - kv_bytes(729)) / GB == pytest.approx(0.8, abs=0.03)
    assert (weights + kv_bytes(3645)) / GB == pytest.approx(17.9, abs=0.05)


@pytest.mark.parametrize(("terabytes_a_second", "least_ms"), [(2.039, 235), (4.8, 100)], ids=["A100", "H200"])
def test_thirty_steps_cannot_take_45_ms(terabytes_a_second, least_ms):
    step_ms = PARAMETERS_8B * BFLOAT16_BYTES / (terabytes_a_second * 1e12) * 1e3
    assert 30 * step_ms == pytest.approx(least_ms, abs=1)
    assert 30 * step_ms > 45


def test_coco_times_are_a_ratio_of_3_3():
    ratio = 6.65 / 2.01
    assert ratio == pytest.approx(3.31, abs=0.005)
