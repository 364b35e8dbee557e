#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: ANLS is one metric, so that an answer scores the same in DocVQA, InfographicVQA, multi-page DocVQA, DUDE and MMLongBench-Doc.
# Happens:  four implementations, three rules. An answer that is exactly half right scores .5 in the first four and 0 in MMLongBench-Doc. A second space inside an
#           answer costs multi-page DocVQA a point per letter and the others nothing. "None", where a form says None, is 0 in multi-page DocVQA and 1 elsewhere;
#           a bracketed addition is read as part of the answer by all but MMLongBench-Doc, which leaves it out of both.
# Hurts:    differences between models on these tasks are partly differences of how they space, bracket, or say "none"; averages over tasks mix the rules.
# Instead:  compare models within one task; score answers of several tasks with one function of your own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/score.py" <<'PYTHON'
from importlib.metadata import version

from lmms_eval.api.metrics import anls
from lmms_eval.tasks.dude.utils import dude_process_results
from lmms_eval.tasks.mmlongbench_doc.utils import _score_str
from lmms_eval.tasks.multidocvqa.utils import multidocvqa_aggregate_results_anls, multidocvqa_process_results

CASES = {"half right": ("ABCD", "ABXY"), "two spaces": ("Unit 4", "Unit  4"), "none": ("None", "None"), "brackets": ("total (net)", "total")}
print(f"lmms-eval {version('lmms-eval')}\n{'':12}DocVQA  multi-page  DUDE  MMLongBench-Doc")
seen = {}
for name, (gold, answer) in CASES.items():
    row = multidocvqa_process_results({"questionId": 1, "answers": repr([gold])}, [answer])["anls"]
    seen[name] = (
        anls([gold], [answer])["anls"],
        multidocvqa_aggregate_results_anls([row]),
        dude_process_results({"question": "?", "answers": [gold]}, [answer])["dude_anls"],
        _score_str(gold, answer),
    )
    print(f"{name:12}{'  '.join(f'{score:6.2f}' for score in seen[name])}   ({answer!r} for {gold!r})")
assert seen["half right"] == (0.5, 0.5, 0.5, 0), "exactly half no longer tells them apart"
assert seen["two spaces"][1] < 1 and seen["two spaces"][::2] == (1, 1), "spaces no longer tell them apart"
assert seen["none"] == (1, 0, 1, 1), "'None' no longer tells them apart"
assert seen["brackets"][3] == 1 and max(seen["brackets"][:3]) < 1, "brackets no longer tell them apart"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/score.py" 2>/dev/null
