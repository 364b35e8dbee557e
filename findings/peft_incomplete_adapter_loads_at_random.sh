#!/usr/bin/env bash
# peft 0.21.2, transformers 5.23.0, torch 2.15.0
#
# Expected: loading an adapter from a file that lacks one of its matrices is an error, or gives the base layer.
# Happens:  it loads, with a warning among others. A missing `lora_A` is drawn at random at each load, and the `lora_B` that is there multiplies it:
#           the layer is neither the base nor the adapter, and two loads of one file answer differently. A missing `lora_B` counts as zero.
# Hurts:    a file cut short by a renamed module or by gathering only some shards still loads. Scores then differ from run to run, and one suspects the data.
# Instead:  compare the file's names with `get_peft_model_state_dict(model)` before loading, or turn this warning into an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "peft==0.21.2" "transformers==5.23.0" "torch==2.15.0" "safetensors==0.8.0"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error FOLDER="$folder" "$folder/venv/bin/python" - <<'PYTHON'
import os
import warnings
from pathlib import Path

import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaModel

saved = Path(os.environ["FOLDER"], "adapter")
weights = saved / "adapter_model.safetensors"
tokens = torch.arange(8)[None]


def base():
    torch.manual_seed(0)
    return LlamaModel(LlamaConfig(vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2)).eval()


@torch.no_grad()
def load(seed):
    """The loaded model's output, and what it warned of."""
    model = base()
    torch.manual_seed(seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = PeftModel.from_pretrained(model, saved).eval()
    return loaded(tokens).last_hidden_state, [str(one.message) for one in caught if "missing adapter keys" in str(one.message)]


trained = get_peft_model(base(), LoraConfig(target_modules=["q_proj", "v_proj"], r=4))
for name, parameter in trained.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(parameter)
trained.save_pretrained(saved)
whole = load_file(weights)
print(f"peft {peft.__version__}, torch {torch.__version__}")
differences = {}
for part in ("nothing", "lora_A", "lora_B"):
    lost = next((name for name in whole if part in name and "v_proj" in name), None)
    save_file({name: tensor for name, tensor in whole.items() if name != lost}, weights)
    (first, said), (second, _) = load(1), load(2)
    differences[part] = float((first - second).abs().max())
    print(f"lost {lost or 'nothing'}: two loads differ by {differences[part]:.3g}; warnings: {len(said)}")
    assert bool(said) == (lost is not None), "the warning has changed"
assert differences["nothing"] == differences["lora_B"] == 0 < differences["lora_A"], "an incomplete adapter loads otherwise now"
print("as described")
PYTHON
