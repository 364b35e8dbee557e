#!/usr/bin/env bash
# triton 3.9.0, TRITON_INTERPRET=1, with torch 2.15.0
#
# Expected: the interpreter, which is how kernels are tested without a GPU, rounds float32 to bfloat16 as `tensor.to(torch.bfloat16)` does, and as `tl.cast` documents (nearest, ties to even).
# Happens:  it cuts the lower 16 bits off. Every value moves towards zero, by up to a whole last place instead of a half.
#           Arithmetic between bfloat16 values is worse: the stored bits are added and multiplied as integers. The documentation says that bfloat16
#           arithmetic is not supported and recommends to cast to float32; neither case raises, and that way out ends in the cast that cuts.
# Hurts:    a kernel's parity test in bfloat16 fails, or passes with a loosened tolerance that hides a real error: the bias does not average out over a sum.
# Instead:  let kernels store float32 under the interpreter and cast outside, and test bfloat16 on a GPU only.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "torch==2.15.0" "triton==3.9.0" "numpy==2.4.6"
cat > "$folder/kernels.py" <<'PYTHON'
import torch
import triton
import triton.language as tl


@triton.jit
def cast(source, target, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(target + place, tl.load(source + place).to(tl.bfloat16))


@triton.jit
def add(left, right, target, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(target + place, tl.load(left + place) + tl.load(right + place))


print(f"triton {triton.__version__}, torch {torch.__version__}")
values = torch.linspace(0.1, 1.9, 4096)
stored = torch.empty(4096, dtype=torch.bfloat16)
cast[(1,)](values, stored, 4096)
rounded = values.to(torch.bfloat16)
cut = (values.view(torch.int32) & -65536).view(torch.float32).to(torch.bfloat16)
bias = ((stored.float() - values) / values).mean()
print(f"cast: {int((stored != rounded).sum())} of 4096 values differ from torch; mean error {bias:.2%}, torch {((rounded.float() - values) / values).mean():.4%}")
assert torch.equal(stored, cut) and not torch.equal(stored, rounded), "the interpreter rounds now"

one, two, total = (torch.full((4,), value, dtype=torch.bfloat16) for value in (1.0, 2.0, 0.0))
add[(1,)](one, two, total, 4)
bits = one.view(torch.int16) + two.view(torch.int16)
print(f"1 + 2 in bfloat16: {total.tolist()}")
assert torch.equal(total.view(torch.int16), bits), "the interpreter adds bfloat16 differently now"
print("as described")
PYTHON
TRITON_INTERPRET=1 "$folder/venv/bin/python" "$folder/kernels.py"
