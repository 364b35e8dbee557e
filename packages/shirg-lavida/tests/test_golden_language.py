"""The released LaViDa code's own logits and sampled ids, on small random weights, reproduced.

`golden/backbone.safetensors` holds weights under upstream's names, prefixes and logits; `golden/sampler.json` the ids
sampled under every schedule, remasking rule and kind of attention. Both are outputs of the released code.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shirg_lavida.language.backbone import Backbone, BackboneConfig
from shirg_lavida.sampling.sampler import denoise_logits, sample

GOLDEN = Path(__file__).parent / "golden"
SAMPLER = json.loads((GOLDEN / "sampler.json").read_text())
GROUPS = sorted({(case["schedule"], case["attention"]) for case in SAMPLER["cases"]}, key=str)


@pytest.fixture(scope="module")
def released() -> tuple[Backbone, dict[str, torch.Tensor]]:
    tensors = load_file(GOLDEN / "backbone.safetensors")
    config = BackboneConfig.from_checkpoint(SAMPLER["config"])
    backbone = Backbone(config).eval()
    backbone.load_state_dict({own: tensors[key] for key, own in Backbone.key_map(config).items()}, strict=True)
    return backbone, tensors


@pytest.mark.parametrize(("attention", "cache"), [("full", False), ("prefix", True), ("prefix", False)])
def test_logits(released, attention, cache):
    backbone, tensors = released
    with torch.no_grad():
        logits = denoise_logits(backbone, tensors["prefix"], tensors["answer_ids"], attention=attention, cache=cache)
    expected = tensors[f"logits_{attention}"]
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("schedule", "attention"), GROUPS)
def test_sampled_ids(released, schedule, attention):
    backbone, tensors = released
    draft = torch.tensor(SAMPLER["draft_ids"])
    cases = [case for case in SAMPLER["cases"] if (case["schedule"], case["attention"]) == (schedule, attention)]
    assert cases
    for case in cases:
        options = {key: value for key, value in case.items() if key not in {"ids", "draft"}}
        if case["draft"]:
            options["draft_ids"] = draft.where(draft != 60, case["mask_id"])
        torch.manual_seed(SAMPLER["seed"])
        (result,) = sample(backbone, tensors["prefix"][:1], eos_id=0, cache=attention == "prefix", **options)
        assert result.ids.tolist() == case["ids"], case
