"""Models whose weights are on several devices, or quantised."""

import pytest
import torch
from torch import nn

from shirg_core import shirg_v2
from shirg_core.hf import prune, pruning

from .families import FAMILIES

FAMILY = {family.name: family for family in FAMILIES}
QWEN = FAMILY["qwen2_5_vl"]
GREEDY = {"max_new_tokens": 4, "do_sample": False}


class Int8Linear(nn.Module):
    """As quantised checkpoints hold them: weights without a floating dtype, scaled when they are used."""

    def __init__(self, linear):
        super().__init__()
        self.scale = linear.weight.detach().abs().amax(dim=1, keepdim=True) / 127
        self.register_buffer("weight", (linear.weight.detach() / self.scale).round().to(torch.int8))
        self.bias = linear.bias

    def forward(self, x):
        return nn.functional.linear(x, self.weight * self.scale, self.bias)


@pytest.fixture
def split(tmp_path):
    """The family's model with half of its modules offloaded, each moved in by a hook when it runs."""
    QWEN.model().save_pretrained(tmp_path / "model")
    language = "model.language_model"
    places = {
        f"{language}.layers.1": "cpu",
        f"{language}.norm": "cpu",
        f"{language}.rotary_emb": "cpu",
        "lm_head": "cpu",
    }
    places |= dict.fromkeys(("model.visual", f"{language}.embed_tokens", f"{language}.layers.0"), "disk")
    return QWEN.build.from_pretrained(tmp_path / "model", device_map=places, offload_folder=tmp_path / "offload")


def test_a_model_on_several_devices_is_pruned_as_on_one(split):
    assert {parameter.device.type for parameter in split.parameters()} == {"cpu", "meta"}
    inputs, selector = QWEN.prompts([0], [1]), shirg_v2(0.25)
    pruned, whole = prune(split, inputs, selector), prune(QWEN.model(), inputs, selector)
    assert split.generate(**pruned, **GREEDY).tolist() == QWEN.model().generate(**whole, **GREEDY).tolist()
    hook = vars(split)["forward"]
    with pruning(split, selector):
        assert split.generate(**inputs, **GREEDY).shape[1] == inputs["input_ids"].shape[1] + 4
    assert vars(split)["forward"] is hook


def test_an_offloaded_newline_is_named(tmp_path):
    """transformers 5.23 reads it outside of any module's call, so that no hook moves it in: nor can the model."""
    family = FAMILY["llava_next"]
    family.model().save_pretrained(tmp_path / "model")
    given = {"device_map": {"": "disk"}, "offload_folder": tmp_path / "offload"}
    model = family.build.from_pretrained(tmp_path / "model", **given)
    with pytest.raises(ValueError, match="the parameter image_newline of LlavaNextModel is offloaded"):
        prune(model, family.prompts([0]), shirg_v2(0.25))


def test_a_quantised_model_keeps_what_its_own_features_say():
    model = QWEN.build(QWEN.config()).eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            model.set_submodule(name, Int8Linear(module))
    inputs = QWEN.prompts([0], [1])
    assert prune(model, inputs, shirg_v2(1.0))["input_ids"].tolist() == inputs["input_ids"].tolist()
    pruned = prune(model, inputs, shirg_v2(0.25))
    assert model.generate(**pruned, **GREEDY).shape == (2, pruned["input_ids"].shape[1] + 4)


class Wrapper(nn.Module):
    """As peft wraps a model: its own forward names no arguments, and everything else is the model's."""

    def __init__(self, model):
        super().__init__()
        self.base_model = model

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.base_model, name)

    def get_base_model(self):
        return self.base_model

    def forward(self, *args, **kwargs):
        return self.base_model(*args, **kwargs)


@pytest.mark.parametrize("wrap", [Wrapper, torch.compile], ids=["peft", "compile"])
def test_a_wrapped_model_is_pruned_like_the_one_inside(wrap):
    family = FAMILY["llava_onevision"]
    inputs, model = family.prompts([0]), family.model()
    wrapped, whole = wrap(model), prune(model, inputs, shirg_v2(0.25))
    pruned = prune(wrapped, inputs, shirg_v2(0.25))
    assert pruned["input_ids"].tolist() == whole["input_ids"].tolist()
    wanted = model.generate(**whole, **GREEDY)
    with pruning(wrapped, shirg_v2(0.25)):
        answer = wrapped.generate(**inputs, **GREEDY)
    length, own = inputs["input_ids"].shape[1], whole["input_ids"].shape[1]
    assert answer[:, length:].tolist() == wanted[:, own:].tolist()
