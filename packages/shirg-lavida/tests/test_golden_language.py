"""The released LaViDa code's own logits and sampled ids, on small random weights, reproduced.

`golden/{llada,dream}.safetensors` hold weights under upstream's names, prefixes and logits; `golden/*_sampler.json` the
ids sampled under every schedule, remasking rule and kind of attention. All are outputs of the released code.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shirg_lavida.families.dream import DREAM
from shirg_lavida.families.llada import LLADA
from shirg_lavida.language.backbone import Backbone
from shirg_lavida.sampling.denoiser import denoise_logits
from shirg_lavida.sampling.sampler import sample

GOLDEN = Path(__file__).parent / "golden"
FAMILIES = {"llada": LLADA, "dream": DREAM}
SAMPLERS = {name: json.loads((GOLDEN / f"{name}_sampler.json").read_text()) for name in FAMILIES}
GROUPS = sorted(
    {(name, case["schedule"], case["attention"]) for name in FAMILIES for case in SAMPLERS[name]["cases"]}, key=str
)


@pytest.fixture(scope="module")
def released() -> dict[str, tuple[Backbone, dict[str, torch.Tensor]]]:
    models = {}
    for name, family in FAMILIES.items():
        tensors, config = load_file(GOLDEN / f"{name}.safetensors"), family.read(SAMPLERS[name]["config"])
        backbone = Backbone(config).eval()
        backbone.load_state_dict({own: tensors[key] for key, own in family.key_map(config).items()}, strict=True)
        models[name] = backbone, tensors
    return models


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("attention", "cache"), [("full", False), ("prefix", True), ("prefix", False)])
def test_logits(released, name, attention, cache):
    backbone, tensors = released[name]
    with torch.no_grad():
        logits = denoise_logits(backbone, tensors["prefix"], tensors["answer_ids"], attention=attention, cache=cache)
    expected = tensors[f"logits_{attention}"]
    assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("name", "schedule", "attention"), GROUPS)
def test_sampled_ids(released, name, schedule, attention):
    backbone, tensors = released[name]
    golden = SAMPLERS[name]
    cases = [case for case in golden["cases"] if (case["schedule"], case["attention"]) == (schedule, attention)]
    assert cases
    for case in cases:
        options = {**FAMILIES[name].sampling} | {
            key: value for key, value in case.items() if key not in {"ids", "draft"}
        }
        if case.get("draft"):
            draft = torch.tensor(golden["draft_ids"])
            options["draft_ids"] = draft.where(draft != 60, case["mask_id"])
        torch.manual_seed(golden["seed"])
        (result,) = sample(backbone, tensors["prefix"][:1], eos_id=0, cache=attention == "prefix", **options)
        assert result.ids.tolist() == case["ids"], case
