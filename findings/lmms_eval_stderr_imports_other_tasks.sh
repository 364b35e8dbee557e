#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: the standard error of a mean takes a few additions.
# Happens:  each metric's standard error first imports the code of two other tasks, to compare the metric with their functions: more than 600 modules, nltk, scipy.stats
#           and scikit-learn among them. The comparison never holds, because a task's own functions are loaded from its file a second time. `import evaluate`, which
#           every task makes for metrics of the hub, brings torchvision and torch._dynamo.
# Hurts:    a run of few questions spends most of its time on imports.
# Instead:  while scoring, put None under the two modules' names in sys.modules: their import is expected to fail and is caught.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/imports.py" <<'PYTHON'
import sys
from importlib.metadata import version

import lmms_eval.api.metrics as metrics
from lmms_eval.tasks import TaskManager, get_task_dict

dragged = [name for name in ("torchvision", "torch._dynamo") if name in sys.modules]
before = set(sys.modules)
error = metrics.stderr_for_metric(metrics.mean, 100)([0.0, 1.0])
new = set(sys.modules) - before
named = [name for name in ("nltk", "scipy", "sklearn") if any(each.partition(".")[0] == name for each in new)]
print(f"lmms-eval {version('lmms-eval')}: `import evaluate` brought {dragged}; a standard error of {error} imported {len(new)} modules, {named}")
assert dragged == ["torchvision", "torch._dynamo"] and len(new) > 600 and named == ["nltk", "scipy", "sklearn"], "the behaviour has changed"
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/imports.py"
