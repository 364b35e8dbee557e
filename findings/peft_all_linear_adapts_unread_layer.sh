#!/usr/bin/env bash
# peft 0.21.2, transformers 5.23.0, torch 2.15.0
#
# Expected: LoRA on `target_modules="all-linear"` trains every adapter that it adds, and an initialisation that keeps the model's function (PiSSA) keeps it.
# Happens:  SigLIP's pooling head is torch's `nn.MultiheadAttention`, which reads the weight of its `out_proj` and never calls that layer. The adapter around it is added and
#           counted, takes no part in the forward pass and gets no gradient. PiSSA moves a part of this weight into the adapter, where nobody reads it: the pooled output is
#           another one before the first step, and the model's own one again only after `merge_and_unload()`.
# Hurts:    towers that are fine-tuned by their pooled output (retrieval, scoring of text and image): a worse start without any message, and another model after
#           merging than the one that was trained. Data-parallel training stops at parameters without gradients.
# Instead:  exclude the layer, `exclude_modules=r".*head\.attention\.out_proj"`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "peft==0.21.2" "transformers==5.23.0" "torch==2.15.0" "numpy<3"
cat > "$folder/adapt.py" <<'PYTHON'
from importlib.metadata import version

import torch
from peft import LoraConfig, get_peft_model
from transformers import SiglipVisionConfig, SiglipVisionModel

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
LAYER = "head.attention.out_proj"
image = torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))


def adapted(init, exclude=None):
    torch.manual_seed(0)
    tower = SiglipVisionModel(SiglipVisionConfig(image_size=28, patch_size=14, **SIZES)).eval()
    for module in tower.modules():
        if isinstance(module, torch.nn.MultiheadAttention):
            torch.nn.init.normal_(module.out_proj.weight, std=0.2)
    before = tower(pixel_values=image).pooler_output.detach()
    config = LoraConfig(r=4, target_modules="all-linear", exclude_modules=exclude, init_lora_weights=init)
    return get_peft_model(tower, config), before


def pooled(model):
    return model(pixel_values=image).pooler_output


def moved(model, before):
    return (pooled(model) - before).abs().max().item() / before.abs().max().item()


print(", ".join(f"{name} {version(name)}" for name in ("peft", "transformers", "torch")))
model, before = adapted(True)
pooled(model).sum().backward()
without = sorted({n.split(".lora_")[0].removeprefix("base_model.model.") for n, p in model.named_parameters() if p.requires_grad and p.grad is None})
print(f"adapters without any gradient: {without}")
changes = {}
for title, exclude in (("all-linear", None), ("without that layer", r".*head\.attention\.out_proj")):
    model, before = adapted("pissa", exclude)
    start, merged = moved(model, before), moved(model.merge_and_unload(), before)
    changes[title] = start, merged
    print(f"PiSSA, {title}: pooled output moves by {start:.1e} before training, by {merged:.1e} after merging")
assert without == [LAYER], "another set of adapters has no gradient"
assert changes["all-linear"][0] > 0.05 > 1e-4 > changes["all-linear"][1], "PiSSA keeps the output now"
assert max(changes["without that layer"]) < 1e-4, "the output moves without that layer, too"
print("as described")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/adapt.py" 2>/dev/null
