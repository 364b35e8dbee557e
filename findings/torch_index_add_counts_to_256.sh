#!/usr/bin/env bash
# torch 2.15.0, on a CPU
#
# Expected: `index_add` adds a vector as it adds the columns of a matrix: a group's size and the sum of its members come out of the same rule.
# Happens:  in bfloat16 a sum over a vector is rounded after every addition and stops at 256 (float16: 2048), where 256 + 1 rounds to 256. Sums over a matrix, even one of a
#           single column, are rounded once, at the end, and so is `scatter_add` of the same vector.
# Hurts:    the mean of merged tokens, sums divided by sizes: the mean of 1000 equal background tokens is 3.9 times too long, while groups of up to 256 are right.
#           A blank page has one such group; tests with a few dozen tokens have none.
# Instead:  count with `torch.bincount`, or add in float32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "torch==2.15.0" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import torch

print(f"torch {torch.__version__}")
kind, found = torch.bfloat16, {}
for n in (256, 257, 300, 1000, 4000):
    group, ones = torch.zeros(n, dtype=torch.long), torch.ones(n, dtype=kind)
    size = torch.zeros(1, dtype=kind).index_add(0, group, ones)
    column = torch.zeros(1, 1, dtype=kind).index_add(0, group, ones[:, None])
    scattered = torch.zeros(1, dtype=kind).scatter_add(0, group, ones)
    total = torch.zeros(1, 8, dtype=kind).index_add(0, group, torch.ones(n, 8, dtype=kind))
    found[n] = size.item(), column.item(), scattered.item(), float(total[0, 0] / size)
    print(f"{n} ones: index_add {size.item():.0f}, as a column {column.item():.0f}, scatter_add {scattered.item():.0f}; mean of {n} vectors of ones {found[n][3]:.2f}")
assert found[256] == (256, 256, 256, 1.0)
assert found[1000] == (256, 1000, 1000, 3.90625) and found[4000][:3] == (256, 4000, 4000), "the sums are others now"
half = torch.zeros(1, dtype=torch.float16).index_add(0, torch.zeros(4000, dtype=torch.long), torch.ones(4000, dtype=torch.float16))
assert half.item() == 2048, "float16 is another one now"
print("as described")
PYTHON
