#!/usr/bin/env bash
# accelerate 1.15.0
#
# Expected: with `gradient_accumulation_steps=4` a step follows the mean gradient of the batches since the step before.
# Happens:  the loss is divided by 4 always, but the last step of an epoch has only what is left: with 5 batches the fifth alone, at a quarter of its gradient. Nothing is carried over
#           to the next epoch.
# Hurts:    short trainings on few batches, as adapters are trained: the batches at an epoch's end weigh less than all others. Such a step stays below the threshold of gradient clipping,
#           and the logged gradient norm dips once an epoch.
# Instead:  `drop_last` whole groups of batches, or multiply the loss by 4 / (batches left) in the last group.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "accelerate==1.15.0" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/try.py" <<'PYTHON'
import accelerate
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset

STEPS = 4
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=STEPS)
layer = torch.nn.Linear(1, 1, bias=False)
model, optimizer, loader = accelerator.prepare(
    layer, torch.optim.SGD(layer.parameters(), lr=0.1), DataLoader(TensorDataset(torch.ones(10, 1)), batch_size=2)
)
gradients = []
for _ in range(2):
    for (batch,) in loader:
        with accelerator.accumulate(model):
            accelerator.backward(model(batch).mean())  # the gradient of every batch is 1
            if accelerator.sync_gradients:
                gradients.append(layer.weight.grad.item())
            optimizer.step()
            optimizer.zero_grad()
print(f"accelerate {accelerate.__version__}, 5 batches an epoch, {STEPS} a step, the gradient of each batch is 1")
print(f"gradients of the steps of two epochs: {gradients}")
assert gradients == [1.0, 0.25, 1.0, 0.25], "the last group is averaged over its own batches now"
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python try.py
echo "as described"
