#!/usr/bin/env bash
# transformers 5.23.0, torch 2.15.0
#
# Expected: the same prompt with the same `position_ids` has the same next-token logits with `use_cache=True` and `use_cache=False`.
# Happens:  without a cache, and with a mask of ones or none, one-dimensional positions that skip a number are read as the border of another packed
#           sequence: tokens behind the gap do not attend to those before it. `generate` drops a mask of ones by itself. No warning.
# Hurts:    pruned visual tokens keep their original positions, so gaps are the rule: answers without a cache are silently computed from the last run of
#           tokens only. Logits of the tiny model here differ by more than 0.01.
# Instead:  use the cache, or pass positions without gaps, or a 4-dimensional attention mask.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "transformers==5.23.0" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/gaps.py" <<'PYTHON'
import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
config = LlamaConfig(vocab_size=100, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, initializer_range=0.2)
model = LlamaForCausalLM(config).eval()
ids = torch.randint(0, 100, (1, 12))
gaps, packed = torch.tensor([[0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14]]), torch.arange(12)[None]
difference = {}
with torch.no_grad():
    for name, positions in {"gap": gaps, "no gap": packed}.items():
        cached, uncached = (model(ids, position_ids=positions, use_cache=cache).logits[0, -1] for cache in (True, False))
        behind = model(ids[:, 6:], position_ids=positions[:, 6:], use_cache=False).logits[0, -1]
        difference[name] = (cached - uncached).abs().max().item(), (uncached - behind).abs().max().item()
print(f"transformers {transformers.__version__}, torch {torch.__version__}")
for name, (cache, behind) in difference.items():
    print(f"{name}: largest difference of logits between cache and none {cache:.1e}, between no cache and the last six tokens alone {behind:.1e}")
assert difference["no gap"][0] < 1e-4, "without a gap, the cache changes logits"
assert difference["gap"][0] > 1e-2, "gaps do not change what is seen without a cache now"
assert difference["gap"][1] < 1e-4, "tokens behind a gap see more than themselves now"
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python gaps.py
echo "as described"
