#!/usr/bin/env bash
# peft 0.21.2
#
# Expected: `add_weighted_adapter(["a", "b"], [0.5, 0.5], combination_type="linear")` adds half of a's change of the weights and half of b's. The mean of an adapter and its copy is that adapter.
# Happens:  it is twice that adapter; with weights of 1 each it is four times. The factors A and B are mixed one by one, each with the square root of the weight, and the product of
#           the mixed factors also has a's A with b's B and the reverse. For two unrelated adapters these parts are about as large as the mean that was asked for.
#           `cat` and `svd` give the exact mean.
# Hurts:    averages of checkpoints or seeds, and the mixing of a task's adapter with a style's. Weights tuned for one combination type mean something else in another.
# Instead:  `combination_type="cat"` (the rank is the sum of both), or "svd" with a rank of your choice.
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

torch.manual_seed(0)


def adapted():
    model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(64, 64)), LoraConfig(target_modules=["0"], init_lora_weights=False), adapter_name="first")
    model.add_adapter("second", LoraConfig(target_modules=["0"], init_lora_weights=False))
    return model, model.base_model.model[0]


print(f"peft {peft.__version__}")
model, layer = adapted()
for factor in (layer.lora_A, layer.lora_B):
    factor["second"].load_state_dict(factor["first"].state_dict())
one = layer.get_delta_weight("first").detach()
share = {}
for kind in ("linear", "cat", "svd"):
    for weight in (0.5, 1.0):
        name = f"{kind}{int(2 * weight)}"
        model.add_weighted_adapter(["first", "second"], [weight, weight], name, combination_type=kind)
        mixed = layer.get_delta_weight(name).detach()
        share[kind, weight] = (mixed * one).sum().item() / one.square().sum().item()
        assert torch.allclose(mixed, share[kind, weight] * one, atol=1e-4)
    print(f"{kind:7} of an adapter and its copy: {share[kind, 0.5]:.2f} times it with weights of .5, {share[kind, 1.0]:.2f} times with weights of 1")
model, layer = adapted()
mean = (layer.get_delta_weight("first") + layer.get_delta_weight("second")).detach() / 2
error = {}
for kind in ("linear", "cat"):
    model.add_weighted_adapter(["first", "second"], [0.5, 0.5], kind, combination_type=kind)
    error[kind] = ((layer.get_delta_weight(kind).detach() - mean).norm() / mean.norm()).item()
print(f"two unrelated adapters: 'linear' is {error['linear']:.2f} of the mean's length away from it, 'cat' {error['cat']:.0e}")
assert abs(share["linear", 0.5] - 2) < 1e-3 and abs(share["linear", 1.0] - 4) < 1e-3, "'linear' is linear now"
assert all(abs(share[kind, 0.5] - 1) < 1e-3 for kind in ("cat", "svd")), share
assert error["linear"] > 0.5 and error["cat"] < 1e-4, error
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python try.py
echo "as described"
