"""Adapters on disk: here, with plain peft, and as `shirg ask --adapter` merges them."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from shirg_core.precision import default_dtype
from shirg_lavida.checkpoint.adapter import merge_adapter, read_adapter
from shirg_lavida.checkpoint.fingerprint import fingerprint
from shirg_lavida.testing import tiny_lavida
from shirg_train.adapter.files import save_adapter
from shirg_train.adapter.lora import AdapterConfig, attach, released_names

X = torch.randn(2, 25, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(
    scope="module",
    params=[{}, {"train_projector": True, "tower_blocks": "all", "language_blocks": "all"}],
    ids=["lora", "everything"],
)
def saved(request, tmp_path_factory):
    """A folder with a trained adapter, and what the adapted model makes of `X`."""
    folder = tmp_path_factory.mktemp("adapter")
    model = tiny_lavida(side=5)
    mark = fingerprint(model)
    peft = attach(model, AdapterConfig(r=4, dropout=0.1, **request.param))
    state = {name: p for name, p in peft.named_parameters() if p.requires_grad}
    generator = torch.Generator().manual_seed(1)
    for parameter in state.values():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    save_adapter(peft, folder, state=state, fingerprint=mark, card={"step": 3})
    model.eval()
    return folder, outputs(model)


def outputs(model):
    pixels = torch.linspace(-1, 1, 3 * model.config.vision.image_size**2, dtype=torch.float32)
    pixels = pixels.view(1, 3, model.config.vision.image_size, -1)
    with torch.no_grad():
        words = model.backbone(X.repeat(1, 1, 2), torch.arange(25).expand(2, -1))
        return model.projector(X), model.tower(pixels).features, words


def check(model, expected):
    for got, wanted in zip(outputs(model), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def test_weights_are_as_readable_as_any_new_file(saved, tmp_path):
    (tmp_path / "plain").touch()
    assert {file.stat().st_mode for file in saved[0].iterdir()} == {(tmp_path / "plain").stat().st_mode}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=["bf16", "fp64"])
def test_the_default_dtype_decides_nothing(saved, dtype):
    def adapted():
        model = tiny_lavida(side=5)
        merge_adapter(model, saved[0])
        return outputs(model)

    def fresh():
        model = tiny_lavida(side=5)
        torch.manual_seed(0)
        attach(model, AdapterConfig(r=4))
        return dict(model.named_parameters())

    words, weights = adapted(), fresh()
    with default_dtype(dtype):
        others, redrawn = adapted(), fresh()
    assert all(torch.equal(a, b) for a, b in zip(others, words, strict=True))
    assert all(torch.equal(redrawn[name], value) for name, value in weights.items())


def test_loads_with_plain_peft_and_merges(saved):
    folder, expected = saved
    model = tiny_lavida(side=5)
    peft = PeftModel.from_pretrained(released_names(model), str(folder))
    check(model, expected)
    peft.merge_and_unload()
    check(model, expected)


def test_loads_without_peft(saved):
    folder, expected = saved
    model = tiny_lavida(side=5)
    names = {name for name, _ in model.named_parameters()}
    merge_adapter(model, folder)
    check(model, expected)
    assert {name for name, _ in model.named_parameters()} == names


def test_loads_into_bfloat16(saved):
    folder, expected = saved
    model = tiny_lavida(side=5).to(torch.bfloat16)
    merge_adapter(model, folder)
    with torch.no_grad():
        got = model.projector(X.to(torch.bfloat16)).float()
        model.backbone(X.repeat(1, 1, 2).to(torch.bfloat16), torch.arange(25).expand(2, -1))
    torch.testing.assert_close(got, expected[0], rtol=0.05, atol=0.1)


def test_files_are_pefts_own(saved):
    folder, _ = saved
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["bias"]) == ("LORA", 4, "lora_only")
    assert {"mm_projector.0", "mm_projector.2"} <= set(config["target_modules"])
    assert "base_model.model.model.mm_projector.0.lora_A.weight" in load_file(folder / "adapter_model.safetensors")
    assert json.loads((folder / "shirg.json").read_text())["step"] == 3


@pytest.mark.parametrize("other", [{"seed": 1}, {"d_model": 128}, {"mm_projector_type": "linear"}])
def test_an_adapter_for_another_model_is_refused(saved, other):
    with pytest.raises(ValueError, match=r"another model|other projector weights"):
        merge_adapter(tiny_lavida(side=5, **other), saved[0])


def test_a_rank_mismatch_is_refused(saved, tmp_path):
    folder = copy(saved[0], tmp_path)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": 8}))
    with pytest.raises(ValueError, match=r"rank mismatch.*r=8.*rank 4"):
        merge_adapter(tiny_lavida(side=5), folder)


def test_damage_and_absence_are_named(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"adapter_config.json is missing"):
        merge_adapter(tiny_lavida(side=5), tmp_path)
    folder = copy(saved[0], tmp_path)
    (folder / "adapter_model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match="damaged"):
        merge_adapter(tiny_lavida(side=5), folder)


def test_an_adapter_for_a_deeper_tower_is_refused(saved, tmp_path):
    folder = copy(saved[0], tmp_path)
    weights = load_file(folder / "adapter_model.safetensors")
    name = "base_model.model.model.vision_tower.vision_tower.vision_model.encoder.layers.9.self_attn.q_proj"
    save_file({**weights, f"{name}.lora_A.weight": torch.zeros(4, 32)}, folder / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"no linear .*layers\.9"):
        merge_adapter(tiny_lavida(side=5), folder)


@pytest.mark.parametrize("part", ["lora_A.weight", "lora_B.weight", "base_layer.bias"])
@pytest.mark.parametrize("change", ["missing", "shape", "unknown"])
@pytest.mark.parametrize("read", [read_adapter, merge_adapter])
def test_a_tensor_that_is_missing_unknown_or_of_another_shape_is_refused(saved, tmp_path, part, change, read):
    folder = copy(saved[0], tmp_path)
    weights = load_file(folder / "adapter_model.safetensors")
    name = f"base_model.model.model.mm_projector.0.{part}"
    tensor = weights.pop(name)
    if change == "shape":
        weights[name] = torch.cat([tensor, tensor])
    if change == "unknown":
        weights |= {name: tensor, f"{name}.more": tensor.clone()}
    save_file(weights, folder / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"lacks|rank mismatch|another model|not part of a LoRA"):
        read(tiny_lavida(side=5), folder)


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"lora_bias": True}, True),
        ({"use_dora": True}, True),
        ({"rank_pattern": {"mm_projector.0": 2}}, True),
        ({"alpha_pattern": {"mm_projector.0": 2}}, True),
        ({"modules_to_save": ["mm_projector.2"]}, True),
        ({"bias": "all"}, True),
        ({"use_rslora": True}, False),
        ({"bias": "lora_only"}, False),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*invalid shape")  # peft's own, of the biases that it saves
def test_other_kinds_that_peft_saves_are_refused_or_mean_what_peft_means(tmp_path, options, refused):
    torch.manual_seed(0)
    theirs = tiny_lavida(side=5)
    targets = {"r": 4, "lora_alpha": 8, "target_modules": ["mm_projector.0", "mm_projector.2"]}
    peft = get_peft_model(released_names(theirs), LoraConfig(**targets, **options))
    for name, parameter in peft.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    peft.save_pretrained(str(tmp_path))
    ours = tiny_lavida(side=5)
    if refused:
        for read in (read_adapter, merge_adapter):
            with pytest.raises(ValueError, match=r"which is not supported|not part of a LoRA"):
                read(ours, tmp_path)
    else:
        merge_adapter(ours, tmp_path)
        torch.testing.assert_close(ours.projector(X), theirs.eval().projector(X), rtol=1e-5, atol=1e-5)


def copy(source, target):
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target
