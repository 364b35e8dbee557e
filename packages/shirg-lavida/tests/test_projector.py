import pytest
import torch
import torch.nn.functional as F

from shirg_lavida.vision.projector import build_projector


def build(kind):
    return build_projector(kind, 3, 5, side=5, pooler_ratio=2)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("linear", ["weight", "bias"]),
        ("mlp1x_gelu", ["0.weight", "0.bias"]),
        ("mlp2x_gelu", ["0.weight", "0.bias", "2.weight", "2.bias"]),
        ("pooler", ["conv_pool.weight", "conv_pool.bias", "proj.1.weight", "proj.1.bias"]),
    ],
)
def test_parameters_are_named_as_upstream(kind, names):
    assert list(build(kind).state_dict()) == names


def test_mlp_is_linear_gelu_linear_on_any_number_of_tokens():
    mlp, x = build("mlp2x_gelu"), torch.randn(2, 7, 3)
    expected = F.linear(F.gelu(F.linear(x, mlp[0].weight, mlp[0].bias)), mlp[2].weight, mlp[2].bias)
    assert torch.allclose(mlp(x), expected)


def test_pooler_merges_windows_of_the_grid():
    pooler, x = build("pooler"), torch.randn(2, 25, 3)
    out = pooler(x)
    assert out.shape == (2, pooler.pooled_side**2, 5) == (2, 4, 5)
    window = x.reshape(2, 5, 5, 3)[:, 2:4, 0:2]  # second row, first column of the output
    conv = torch.einsum("bhwc,ochw->bo", window, pooler.conv_pool.weight) + pooler.conv_pool.bias
    assert torch.allclose(out[:, 2], pooler.proj(conv), atol=1e-6)


def test_pooler_refuses_selected_tokens():
    with pytest.raises(ValueError, match="full 5 × 5 grid, got 24 tokens"):
        build("pooler")(torch.zeros(1, 24, 3))


@pytest.mark.parametrize("kind", ["mlp0x_gelu", "mlp2x_res2x_gelu", "identity", ""])
def test_unknown_kind(kind):
    with pytest.raises(ValueError, match="mm_projector_type"):
        build(kind)
