#!/usr/bin/env bash
# triton 3.9.0, torch 2.15.0, in Triton's interpreter, on a CPU
#
# Expected: `tl.sort` and `tl.topk` put their input into another order, NaN first or last, as `torch.sort` and `torch.topk` do.
# Happens:  a pair with a NaN is not exchanged but copied: both places get the same one of the two. A single NaN removes numbers and doubles others, and the largest one can
#           be missing from the top. The network of comparisons is Triton's own Python (`triton/language/standard.py`), which the compiler gets, too.
# Hurts:    a top-k of scores in which one token is NaN (0/0 of an empty row, a cosine with a zero vector) does not keep K - 1 good tokens: it drops the best token and
#           keeps others twice. PyTorch on the same scores shows where the NaN is; behind Triton there may be none left to find.
# Instead:  replace NaN before: `tl.where(x == x, x, float("-inf"))`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "triton==3.9.0" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/kernel.py" <<'PYTHON'
import torch
import triton
import triton.language as tl

NAN = float("nan")


@triton.jit
def order(scores, out, N: tl.constexpr, K: tl.constexpr, CLEAN: tl.constexpr):
    x = tl.load(scores + tl.arange(0, N))
    if CLEAN:
        x = tl.where(x == x, x, float("-inf"))
    tl.store(out + tl.arange(0, N), tl.sort(x))
    tl.store(out + N + tl.arange(0, K), tl.topk(x, K))


def run(scores, clean=False):
    """Sorted scores, and the top two."""
    out = torch.zeros(6)
    order[(1,)](torch.tensor(scores), out, N=4, K=2, CLEAN=clean)
    return out[:4].tolist(), out[4:].tolist()


print(f"triton {triton.__version__}, torch {torch.__version__}")
for scores in ([3.0, 4.0, 1.0, 2.0], [1.0, 2.0, 3.0, NAN], [NAN, 3.0, 1.0, 2.0], [3.0, NAN, 1.0, 2.0]):
    ordered, top = run(scores)
    print(f"{scores}: tl.sort {ordered}, tl.topk {top}; torch.sort {torch.tensor(scores).sort().values.tolist()}")
assert run([3.0, 4.0, 1.0, 2.0]) == ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0])
assert run([1.0, 2.0, 3.0, NAN]) == ([1.0, 2.0, 1.0, 2.0], [2.0, 1.0]), "3 is kept now"
assert run([1.0, 2.0, 3.0, NAN], clean=True)[1] == [3.0, 2.0]
print("as described")
PYTHON
TRITON_INTERPRET=1 "$folder/venv/bin/python" "$folder/kernel.py"
