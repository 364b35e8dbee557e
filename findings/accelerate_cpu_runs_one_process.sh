#!/usr/bin/env bash
# accelerate 1.15.0, torch 2.15.0
#
# Expected: `accelerate launch --cpu --num_processes 2 script.py` runs two processes on the CPU, or says that it cannot.
# Happens:  one process runs. The count is dropped without a word, and the exit status is 0. The list of "values not passed" that is printed does not name it.
# Hurts:    a check of distributed training on a machine without a GPU passes without anything distributed having run: gathers, uneven last batches
#           and per-rank files are all untested, and the effective batch is half of what was asked for.
# Instead:  `torchrun --nproc_per_node 2 script.py`, and let the script assert `accelerator.num_processes`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "accelerate==1.15.0" "torch==2.15.0" "numpy==2.4.6"
cat > "$folder/count.py" <<'PYTHON'
import accelerate
import torch

accelerator = accelerate.Accelerator(cpu=True)
print(f"accelerate {accelerate.__version__}, torch {torch.__version__}: process {accelerator.process_index} of {accelerator.num_processes}", flush=True)
PYTHON
export HF_HOME="$folder/cache" OMP_NUM_THREADS=1
echo "accelerate launch --cpu --num_processes 2:"
venv/bin/accelerate launch --cpu --num_processes 2 count.py > launched.txt 2> launched.log
cat launched.txt launched.log
echo "torchrun --nproc_per_node 2:"
venv/bin/torchrun --nproc_per_node 2 count.py > run.txt 2> run.log || { cat run.log; exit 1; }
cat run.txt
[[ $(grep -c "of 1" launched.txt) == 1 && $(wc -l < launched.txt) == 1 ]] || { echo "accelerate launch runs as many processes as it was asked for now"; exit 1; }
! grep -q "num_processes" launched.log || { echo "accelerate launch mentions the count now"; exit 1; }
[[ $(grep -c "of 2" run.txt) == 2 ]] || { echo "torchrun did not run two processes"; exit 1; }
echo "as described"
