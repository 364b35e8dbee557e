#!/usr/bin/env bash
# lmms-eval 0.7.3, datasets 5.2.0
#
# Expected: CharXiv's descriptive task asks each of a chart's four descriptive questions once.
# Happens:  the dataset is repeated as a whole, and which of the four questions a row gets follows from its index modulo 4. With a number of charts that is a multiple of 4 (the
#           validation split has 1,000), a chart gets the same question in all four rounds: 3,000 of 4,000 question-chart pairs are never asked, the others four times.
# Hurts:    the reported mean is of a quarter of the benchmark, with four equal answers to each question (and an interval that is half as wide as it should be). A run with
#           `--limit` is not affected, because it takes rows of the first round only.
# Instead:  ask with a process_docs of your own that takes the question's number from the round (index // number of charts), or from the chart's row.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "datasets==5.2.0" "filelock==3.20.0"
cat > "$folder/charts.py" <<'PYTHON'
from collections import Counter
from importlib.metadata import version

import datasets
from lmms_eval.tasks.charxiv.utils import charxiv_descriptive_process_docs

datasets.disable_progress_bars()
print(f"lmms-eval {version('lmms-eval')}, datasets {version('datasets')}")


def pairs_asked(charts):
    """Which (chart, descriptive question) pairs are asked, and how often."""
    rows = [
        {"figure_path": f"{i}.jpg", "subplot_loc": "", "subplot_row": 1, "subplot_col": 1}
        | {f"descriptive_q{q}": q + 1 for q in (1, 2, 3, 4)}
        | {f"descriptive_a{q}": f"answer {q}" for q in (1, 2, 3, 4)}
        for i in range(charts)
    ]
    asked = charxiv_descriptive_process_docs(datasets.Dataset.from_list(rows))
    return Counter(zip(asked["figure_path"], asked["descriptive_a"], strict=True))


for charts in (1000, 1323):
    asked = pairs_asked(charts)
    print(f"{charts} charts: {sum(asked.values())} questions, {len(asked)} of {4 * charts} different ones, each {sorted(set(asked.values()))} time(s)")
    if charts % 4 == 0:
        assert len(asked) == charts and set(asked.values()) == {4}, "every question of a chart is asked now"
    else:
        assert len(asked) == 4 * charts and set(asked.values()) == {1}, "an odd number of charts is affected, too"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/charts.py" 2>/dev/null
