import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shirg_lavida.checkpoint.adapter import CONFIG_FILE, WEIGHTS_FILE, merge_adapter, trained_positions
from shirg_lavida.checkpoint.fingerprint import CARD_FILE, fingerprint, linear_marks
from shirg_lavida.testing import tiny_lavida

GOLDEN = Path(__file__).parent / "golden"
"""An adapter that peft saved, and the weights after peft merged it."""
FIRST = "base_model.model.model.mm_projector.0."


def model(seed=0, **changes):
    return tiny_lavida(seed, side=6, patch_size=4, **{"d_model": 32, **changes})


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(GOLDEN / "adapter", tmp_path / "adapter"))


def change(folder, *, config=(), **tensors):
    whole = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**whole, **dict(config)}))
    stored = {**load_file(folder / WEIGHTS_FILE), **tensors}
    save_file({key: tensor for key, tensor in stored.items() if tensor is not None}, folder / WEIGHTS_FILE)


def test_merges_as_peft_does(folder):
    merged = model()
    before = {name: tensor.clone() for name, tensor in merged.named_parameters()}
    merge_adapter(merged, folder)
    expected = load_file(GOLDEN / "adapter_merged.safetensors")
    assert any("tower" in name for name in expected)
    after = dict(merged.named_parameters())
    for name, tensor in expected.items():
        assert not torch.allclose(before[name], tensor, atol=1e-3), name
        torch.testing.assert_close(after[name], tensor, atol=1e-6, rtol=1e-5, msg=name)
    for name in before.keys() - expected.keys():
        assert ("bias" in name and "layers.1.self_attn" in name) or torch.equal(before[name], after[name]), name
    assert not any(parameter.requires_grad for parameter in merged.parameters())


def test_formula_and_trained_base(folder):
    generator = torch.Generator().manual_seed(3)
    base, a, b = (torch.randn(shape, generator=generator) for shape in ((32, 32), (4, 32), (32, 4)))
    change(
        folder,
        config={"use_rslora": True, "lora_alpha": 6},
        **{FIRST + "base_layer.weight": base, FIRST + "lora_A.weight": a, FIRST + "lora_B.weight": b},
    )
    merged = model()
    merge_adapter(merged, folder)
    torch.testing.assert_close(merged.projector[0].weight, torch.nn.Parameter(base + 6 / 2 * b @ a, False))
    assert torch.equal(merged.projector[0].bias, load_file(folder / WEIGHTS_FILE)[FIRST + "base_layer.bias"])


def test_stays_in_the_models_dtype(folder):
    merged = model().to(torch.bfloat16)
    merge_adapter(merged, folder)
    assert {p.dtype for p in merged.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("config", "tensors", "words"),
    [
        ({"r": 8}, {}, "rank mismatch .* r=8"),
        ({"peft_type": "IA3"}, {}, "'IA3', expected 'LORA'"),
        ({"use_dora": True}, {}, "use_dora=True"),
        ({"init_lora_weights": "pissa"}, {}, "init_lora_weights='pissa'"),
        ({"rank_pattern": {"0": 2}}, {}, "rank_pattern"),
        ({"bias": "all"}, {}, "bias='all'"),
        ({"r": None}, {}, "rank r"),
        ({}, {FIRST + "lora_A.weight": torch.zeros(4, 30)}, "another model: .* 32 → 32"),
        ({}, {FIRST + "lora_B.weight": None}, r"lacks lora_B\.weight"),
        ({}, {FIRST + "lora_A.weight": None}, r"lacks lora_A\.weight"),
        (
            {},
            {FIRST + part: None for part in ("lora_A.weight", "lora_B.weight", "base_layer.bias")},
            "lacks .*projector.0",
        ),
        ({}, {FIRST + "base_layer.bias": None}, r"mm_projector\.0: the adapter lacks the bias"),
        ({"target_modules": ["mm_projector.2"]}, {}, r"holds model\..*, which its adapter_config\.json does not name"),
        ({"exclude_modules": ["mm_projector.0"]}, {}, r"holds model\.mm_projector\.0, which its"),
        (
            {"target_modules": r".*mm_projector\.\d|.*_proj"},
            {},
            r"lacks model\..*, which its .*names",
        ),
        ({}, {FIRST + "lora_A.weight": torch.zeros(4)}, r"r=4, lora_A\.weight has shape \[4\]"),
        ({"lora_bias": True}, {}, "lora_bias=True"),
        ({"alpha_pattern": {"0": 2}}, {}, "alpha_pattern"),
        ({"modules_to_save": ["mm_projector.2"]}, {}, "modules_to_save"),
        ({}, {FIRST.replace("0", "9") + "lora_A.weight": torch.zeros(4, 32)}, r"another model: .*mm_projector\.9"),
        ({}, {FIRST + "lora_magnitude_vector": torch.zeros(4)}, "not part of a LoRA"),
        ({}, {"mm_projector.0.lora_A.weight": torch.zeros(4, 32)}, "not part of a LoRA"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(folder, config, tensors, words):
    change(folder, config=config, **tensors)
    unchanged = model()
    with pytest.raises(ValueError, match=words):
        merge_adapter(unchanged, folder)
    assert all(torch.equal(a, b) for a, b in zip(unchanged.parameters(), model().parameters(), strict=True))


def test_missing_and_damaged_files(folder):
    whole = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged or truncated"):
        merge_adapter(model(), folder)
    (folder / WEIGHTS_FILE).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors is a git-lfs pointer"):
        merge_adapter(model(), folder)
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"no adapter .* adapter_model\.safetensors is missing"):
        merge_adapter(model(), folder)


def test_an_adapter_knows_its_model(folder):
    with pytest.raises(ValueError, match="other projector weights"):
        merge_adapter(model(seed=1), folder)
    (folder / CARD_FILE).write_text("{}")
    with pytest.raises(ValueError, match="has no fingerprint"):
        merge_adapter(model(), folder)
    # Other tools write no card; then shapes are all there is to go by.
    (folder / CARD_FILE).unlink()
    merge_adapter(model(seed=1), folder)


def test_an_adapter_knows_the_other_linears_that_it_changes(folder):
    linear = "model.transformer.blocks.1.q_proj"
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps({**card, "linears": linear_marks(model(), [linear])}))
    merge_adapter(model().to(torch.bfloat16), folder)
    other = model()
    with torch.no_grad():
        other.backbone.blocks[1].q_proj.weight.mul_(1.5)
    with pytest.raises(ValueError, match=f"trained on a model with another {linear} than this one's"):
        merge_adapter(other, folder)
    (folder / CARD_FILE).write_text(json.dumps({**card, "linears": {linear: 3}}))
    with pytest.raises(ValueError, match=r"linears must be \{name: \[norm, wave\]"):
        merge_adapter(model(), folder)


def test_fingerprint_survives_rounding_and_tells_projectors_apart(folder):
    recorded = json.loads((folder / CARD_FILE).read_text())["fingerprint"]
    torch.testing.assert_close(torch.tensor(fingerprint(model())), torch.tensor(recorded))
    merge_adapter(model().to(torch.bfloat16), folder)
    assert fingerprint(model(seed=1)) != fingerprint(model())


def test_an_adapter_says_which_positions_it_learned_on(folder):
    assert trained_positions(folder) == "packed"
    (folder / CARD_FILE).write_text(json.dumps({"positions": "original"}))
    assert trained_positions(folder) == "original"
    (folder / CARD_FILE).write_text(json.dumps({"positions": "sideways"}))
    with pytest.raises(ValueError, match=r"positions must be one of .*'original'.*, got 'sideways'"):
        trained_positions(folder)
