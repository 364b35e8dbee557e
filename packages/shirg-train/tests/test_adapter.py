"""The adapter: what is trained, where, and under which names."""

import pytest
import torch
from torch import nn

from shirg_lavida.testing import tiny_lavida
from shirg_train.adapter.lora import AdapterConfig, attach, parameter_counts, released_names, trainable


def test_projector_lora_with_biases_is_all_that_is_trained():
    model = tiny_lavida(side=5)
    attach(model, AdapterConfig(r=4))
    assert set(trainable(model)) == {
        f"projector.{i}.{part}"
        for i in (0, 2)
        for part in ("base_layer.bias", "lora_A.default.weight", "lora_B.default.weight")
    }
    # 4 · (32 + 64) + 4 · (64 + 64), and two biases of 64.
    assert parameter_counts(model)["trainable"] == 896 + 128


def test_a_fresh_adapter_changes_nothing():
    x = torch.randn(2, 25, 32)
    model = tiny_lavida(side=5)
    before = model.projector(x)
    attach(model, AdapterConfig())
    torch.testing.assert_close(model.eval().projector(x), before, rtol=0, atol=0)


def test_trained_parameters_are_float32_in_a_bfloat16_model():
    model = tiny_lavida(side=5).to(torch.bfloat16)
    attach(model, AdapterConfig(train_projector=True))
    assert {p.dtype for p in trainable(model).values()} == {torch.float32}
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_no_bias_and_own_weights():
    model = tiny_lavida(side=5)
    attach(model, AdapterConfig(bias="none", train_projector=True))
    names = set(trainable(model))
    assert "projector.0.base_layer.weight" in names
    assert not any(name.endswith("bias") for name in names)


def test_own_weights_need_every_linear_as_a_target():
    config = AdapterConfig(target=("mm_projector.0",), train_projector=True)
    with pytest.raises(ValueError, match=r"target must name mm_projector\.2, too"):
        attach(tiny_lavida(side=5), config)


def test_tower_blocks_get_lora_on_attention():
    model = tiny_lavida(side=5)
    attach(model, AdapterConfig(tower_blocks=(1,)))
    adapted = {name for name in trainable(model) if name.startswith("tower.")}
    assert len([name for name in adapted if "lora_A" in name]) == 4
    assert all(name.startswith("tower.siglip.encoder.layers.1.self_attn.") for name in adapted)


def test_blocks_of_the_language_model_get_lora_too():
    model = tiny_lavida(side=5)
    attach(model, AdapterConfig(r=2, language_blocks=(1,)))
    adapted = {name.split(".lora_A")[0] for name in trainable(model) if "backbone" in name and "lora_A" in name}
    assert adapted == {f"backbone.blocks.1.{linear}" for linear in ("q_proj", "k_proj", "v_proj", "attn_out")}
    model = tiny_lavida(side=5)
    attach(model, AdapterConfig(r=2, language_blocks="all", language_linears=("ff_out", "up_proj")))
    adapted = {name.split(".lora_A")[0] for name in trainable(model) if "backbone" in name and "lora_A" in name}
    assert adapted == {f"backbone.blocks.{block}.{linear}" for block in (0, 1) for linear in ("ff_out", "up_proj")}


def test_a_linear_projector_is_adapted_too():
    model = tiny_lavida(side=5, mm_projector_type="linear")
    attach(model, AdapterConfig(target=("mm_projector",), r=2))
    assert {name.split(".default")[0] for name in trainable(model)} == {
        "projector.base_layer.bias",
        "projector.lora_A",
        "projector.lora_B",
    }


def test_names_are_the_released_models():
    host = released_names(tiny_lavida(side=5))
    names = {name for name, module in host.named_modules() if isinstance(module, nn.Linear)}
    assert {"model.mm_projector.0", "model.mm_projector.2"} <= names
    assert "model.vision_tower.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj" in names
    assert "model.transformer.blocks.1.attn_out" in names


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (AdapterConfig(target=("mm_projector.1",)), r"no linear 'mm_projector.1'.*mm_projector.0, mm_projector.2"),
        (AdapterConfig(target=("q_proj",)), r"the projector has no linear 'q_proj'"),
        (AdapterConfig(tower_blocks=(7,)), r"tower_blocks \[7\].*0 to 1"),
        (AdapterConfig(language_blocks=(-1, 2)), r"language_blocks \[-1, 2\].*0 to 1"),
    ],
)
def test_targets_that_are_not_there_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        attach(tiny_lavida(side=5), config)


def test_a_second_adapter_is_refused():
    model = tiny_lavida(side=5)
    attach(model, AdapterConfig())
    with pytest.raises(ValueError, match="already"):
        attach(model, AdapterConfig())


@pytest.mark.parametrize(
    "change", [{"r": 0}, {"alpha": 0.0}, {"dropout": 1.0}, {"target": ()}, {"language_linears": ("wte",)}]
)
def test_values_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        AdapterConfig(**change)
