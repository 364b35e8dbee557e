#!/usr/bin/env bash
# datasets 5.2.0, dill 0.4.1
#
# Expected: `map` keeps its result under a fingerprint of the function, and computes anew once the function is another one.
# Happens:  that is so for functions of the script that runs, down to the globals they read. A function that the script imports is known by module and name only: after its
#           body was edited, or a constant beside it, `map` returns what the old one computed, in a new process, too. It tells nobody that it read a cache.
# Hurts:    projects keep preprocessing in a module. A corrected prompt template, image size or tokenisation never reaches the data; the run after the correction trains on
#           the rows from before it, and only deleting the cache shows that the correction worked.
# Instead:  `load_from_cache_file=False` while the module changes, or a fingerprint of its text: `fn_kwargs={"version": sha256(source)}`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "datasets==5.2.0" "dill==0.4.1"
cat > "$folder/run.py" <<'PYTHON'
import datasets
from datasets import Dataset, load_from_disk
from pathlib import Path

import preprocessing

datasets.disable_progress_bars()
if not Path("data").exists():
    Dataset.from_dict({"question": ["total?"]}).save_to_disk("data")


def own(row):
    return {"prompt": "VERSION " + row["question"]}


data = load_from_disk("data")
print(data.map(preprocessing.imported)[0]["prompt"], "|", data.map(own)[0]["prompt"])
PYTHON
run() {  # what a function of a module and one of the script itself make of a row, after their text was set to a version
    sed "s/VERSION/$1/" "$folder/run.py" > "$folder/script.py"
    printf 'def imported(row):\n    return {"prompt": "%s " + row["question"]}\n' "$1" > "$folder/preprocessing.py"
    PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/script.py"
}
"$folder/venv/bin/python" -c 'import datasets, dill; print(f"datasets {datasets.__version__}, dill {dill.__version__}: imported function | function of the script")'
before=$(run first)
after=$(run second)
printf 'before the edit: %s\nafter the edit:  %s\n' "$before" "$after"
[ "$before" = "first total? | first total?" ]
[ "$after" = "first total? | second total?" ]
echo "as described"
