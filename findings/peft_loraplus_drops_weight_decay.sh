#!/usr/bin/env bash
# peft 0.21.2
#
# Expected: `create_loraplus_optimizer(model, AdamW, lr=…, loraplus_lr_ratio=16, weight_decay=0.1)` gives the factors B 16 times the learning rate, leaves other parameters at `lr`, and hands
#           `weight_decay` to the optimiser, as its docstring says of further arguments.
# Happens:  every group has a weight decay of 0 (the argument that counts is `loraplus_weight_decay`; AdamW's own .01 is lost, too). All vectors count as B: biases and LayerNorms
#           that are trained whole (`modules_to_save`) and DoRA's magnitudes learn 16 times as fast. So the weight and the bias of one saved layer learn at rates 16 apart.
# Hurts:    a projector that is trained whole beside LoRA, the usual recipe for VLMs, and every DoRA run: vectors learn at a rate that nobody set, and a
#           weight decay that stands in the configuration is not in the training.
# Instead:  pass `loraplus_weight_decay`, and print `optimizer.param_groups`, or build the two groups yourself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "peft==0.21.2" "transformers==5.23.0" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/try.py" <<'PYTHON'
import peft
import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.norm, self.projector = torch.nn.Linear(8, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 8)


model = get_peft_model(Tiny(), LoraConfig(target_modules=["query"], use_dora=True, modules_to_save=["norm", "projector"]))
names = {id(parameter): name.removeprefix("base_model.model.").replace(".default", "") for name, parameter in model.named_parameters()}


def groups(**options):
    optimizer = create_loraplus_optimizer(model, torch.optim.AdamW, lr=1e-4, loraplus_lr_ratio=16, **options)
    return {names[id(p)]: (round(group["lr"] / 1e-4), group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}


seen, named = groups(weight_decay=0.1), groups(loraplus_weight_decay=0.1)
print(f"peft {peft.__version__}\n{'':40}times lr   weight decay   with loraplus_weight_decay")
for name, (rate, decay) in seen.items():
    print(f"{name:40}{rate:8}   {decay:12}   {named[name][1]}")
assert {decay for _, decay in seen.values()} == {0.0}, "weight_decay is heard now"
assert named["query.lora_A.weight"][1] == 0.1
rates = {name: rate for name, (rate, _) in seen.items()}
assert rates["query.lora_A.weight"] == rates["projector.modules_to_save.weight"] == 1 and rates["query.lora_B.weight"] == 16
vectors = ("projector.modules_to_save.bias", "norm.modules_to_save.weight", "query.lora_magnitude_vector.weight")
assert all(rates[name] == 16 for name in vectors), "vectors no longer learn at B's rate"
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python try.py
echo "as described"
