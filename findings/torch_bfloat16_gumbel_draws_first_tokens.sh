#!/usr/bin/env bash
# torch 2.15.0, on a CPU
#
# Expected: adding Gumbel noise, -log(-log(u)) with u from `torch.rand_like(logits)`, and taking the largest draws tokens by their probabilities, in bfloat16 a little less exactly.
# Happens:  of 126,464 equally likely tokens (LLaDA's vocabulary) bfloat16 draws none behind the first few thousand, and on average about number 250: `torch.rand` gives no number between
#           1 - 2^-8 and 1, so hundreds of tokens share the largest noise, and `argmax` takes the first. One in about 500 numbers is exactly 0: that token's noise
#           is minus infinity. float16 ends within the first fifth of the vocabulary. `F.gumbel_softmax`, whose noise is made in another way, is hardly touched.
# Hurts:    the samplers of masked diffusion models draw this noise, and do so in the dtype of the logits unless someone converted them. Tokens with small numbers are
#           preferred at any temperature above 0, and improbable tokens beyond 5.5 nats of the best are never drawn.
# Instead:  draw the noise in float32 or float64 (`torch.rand_like(logits, dtype=torch.float64)`), or sample with `torch.multinomial`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/try.py" <<'PYTHON'
import torch

TOKENS, DRAWS = 126_464, 100
torch.manual_seed(0)
print(f"torch {torch.__version__}, {DRAWS} draws of {TOKENS} equally likely tokens")
seen = {}
for dtype in (torch.bfloat16, torch.float16, torch.float32):
    logits = torch.zeros(TOKENS, dtype=dtype)
    drawn, zeros, softmax = [], 0, []
    for _ in range(DRAWS):
        u = torch.rand_like(logits)
        zeros += int((u == 0).sum())
        drawn.append((logits - torch.log(-torch.log(u))).argmax().item())
        softmax.append(torch.nn.functional.gumbel_softmax(logits, hard=True, dim=0).argmax().item())
    largest = -torch.log(-torch.log(u.max())).item()
    seen[dtype] = sum(drawn) / DRAWS, max(drawn), zeros / DRAWS / TOKENS, largest, sum(softmax) / DRAWS
    print(f"{dtype!s:15} mean token {seen[dtype][0]:8.0f}, last {seen[dtype][1]:6}, exactly 0: {zeros / DRAWS / TOKENS:.5f}, largest noise {largest:5.2f}; gumbel_softmax: mean token {seen[dtype][4]:.0f}")
half = TOKENS / 2
assert seen[torch.bfloat16][1] < TOKENS / 20 and seen[torch.bfloat16][2] > 0.001 and seen[torch.bfloat16][3] < 6, "bfloat16 draws all tokens now"
assert seen[torch.float16][1] < TOKENS / 5, "float16 draws all tokens now"
assert abs(seen[torch.float32][0] / half - 1) < 0.25 and all(abs(row[4] / half - 1) < 0.25 for row in seen.values()), "float32 or gumbel_softmax is biased, too"
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python try.py
echo "as described"
