#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: OCRBench's score is the share of right answers among the questions that were asked, in this evaluation.
# Happens:  right answers are added up in a dictionary of the module, which is never emptied, and divided by 1000 whatever was asked. With `--limit 100` a perfect model
#           scores 0.1. A second evaluation in the same process starts where the first one ended: a model without one right answer gets its predecessor's score.
# Hurts:    a notebook or a loop over budgets, models or seeds draws a curve that rises for no reason; a trial on part of the data looks like a broken model.
# Instead:  one process per evaluation and all 1000 questions, or `aggregation: mean` over the scores of single answers in a task file of one's own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/score.py" <<'PYTHON'
from argparse import Namespace
from importlib.metadata import version
from pathlib import Path

import lmms_eval.tasks.ocrbench
from lmms_eval.utils import load_yaml_config

task = load_yaml_config(str(Path(lmms_eval.tasks.ocrbench.__path__[0], "ocrbench.yaml")))
[metric] = task["metric_list"]
questions = [{"answer": ["42"], "dataset": "DocVQA", "question_type": "Doc-oriented VQA"}] * 100


def evaluate(answer):
    """The task's score of a model that answers all 100 questions with `answer`, by the functions that its file names."""
    results = [task["process_results"](question, [answer])[metric["metric"]] for question in questions]
    return metric["aggregation"](results, args=Namespace(output_path="."))


print(f"lmms-eval {version('lmms-eval')}: 100 questions in each evaluation, all in one process")
scores = []
for model, answer in (("always right", "42"), ("never right", "7"), ("always right", "42"), ("never right", "7")):
    scores.append(evaluate(answer))
    print(f"a model that is {model}: {scores[-1]:.3f}")
assert scores == [0.1, 0.1, 0.2, 0.2], "the score is another one now"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/score.py" 2>/dev/null | grep -v -- "^---"
