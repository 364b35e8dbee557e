#!/usr/bin/env bash
# peft 0.21.2
#
# Expected: `lora_dropout=0.9` drops nine tenths of what each adapter reads while training, or the layer says that it cannot.
# Happens:  an adapter on an embedding reads all of it: two passes in training mode are equal bit for bit. `lora_dropout` is in its configuration and a Dropout module stands in
#           the layer; it is never called. Linear layers of the same configuration drop.
# Hurts:    adapters that also teach new tokens (image markers, a mask token) have no regularisation just where a few rows are seen over and over,
#           and a search over `lora_dropout` compares equal models there.
# Instead:  another regularisation for embeddings (weight decay, fewer steps), or `trainable_token_indices` for the rows that are new.
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
tiny = torch.nn.Sequential(torch.nn.Embedding(10, 8), torch.nn.Linear(8, 8))
model = get_peft_model(tiny, LoraConfig(target_modules=["0", "1"], lora_dropout=0.9, init_lora_weights=False)).train()
embedding, linear = model.base_model.model
ids, rows = torch.arange(10)[None], torch.randn(10, 8)
calls = []
embedding.lora_dropout["default"].register_forward_hook(lambda *_: calls.append(1))
change = {"embedding": (embedding(ids) - embedding(ids)).abs().max().item(), "linear": (linear(rows) - linear(rows)).abs().max().item()}
print(f"peft {peft.__version__}\ndropout of the embedding's adapter: {embedding.lora_dropout['default']}, called {len(calls)} times in two passes")
print(f"largest difference between two passes in training mode: embedding {change['embedding']:.3f}, linear {change['linear']:.3f}")
assert isinstance(embedding.lora_dropout["default"], torch.nn.Dropout) and embedding.lora_dropout["default"].p == 0.9
assert not calls and change["embedding"] == 0, "the embedding's adapter drops now"
assert change["linear"] > 0.1, change
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python try.py
echo "as described"
