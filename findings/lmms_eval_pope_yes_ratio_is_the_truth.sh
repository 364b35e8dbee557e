#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: POPE's `yes_ratio` is the share of questions that the model answers with yes, and its F1 falls when the model does not answer.
# Happens:  the ratio is counted over the right answers instead of the model's: .5 for a model that says yes to everything and for one that always says no. A reply that
#           is neither "yes" nor "no", such as "Yes." with a full stop, is left out of precision, recall and F1: one right yes and nine evasions are an F1 of 1. Accuracy
#           counts it as wrong. MME, in the same library and of the same form, takes "Yes." for yes.
# Hurts:    POPE is reported in many papers on pruned visual tokens. Its F1 rewards a model that no longer replies in one word, and the ratio that is there
#           to show a bias towards yes can show none.
# Instead:  report the accuracy, and count the yeses of the logged samples yourself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/try.py" <<'PYTHON'
from importlib.metadata import version

from lmms_eval.tasks.mme.utils import parse_pred_ans
from lmms_eval.tasks.pope import utils

TRUTH = ["yes", "no"] * 5


def scores(replies):
    rows = [utils.pope_process_results({"question_id": i, "answer": truth}, [reply]) for i, (truth, reply) in enumerate(zip(TRUTH, replies, strict=True))]
    names = {"accuracy": "pope_accuracy", "f1_score": "pope_f1_score", "yes_ratio": "pope_yes_ratio"}
    return {short: getattr(utils, f"pope_aggregate_{short}")([row[key] for row in rows]) for short, key in names.items()}


print(f"lmms-eval {version('lmms-eval')}, ten questions, five of them to be answered with yes")
cases = {"always yes": ["yes"] * 10, "always no": ["no"] * 10, "one yes, nine evasions": ["yes"] + ["I cannot tell"] * 9}
cases["right, with full stops"] = [f"{truth.capitalize()}." for truth in TRUTH]
seen = {name: scores(replies) for name, replies in cases.items()}
for name, row in seen.items():
    print(f"{name:24}{row}")
print(f"MME reads 'Yes.' as {parse_pred_ans('Yes.')!r}")
assert seen["always yes"]["yes_ratio"] == seen["always no"]["yes_ratio"] == 0.5, "the ratio is of the model's answers now"
assert seen["one yes, nine evasions"]["f1_score"] == 1 and seen["one yes, nine evasions"]["accuracy"] == 0.1, "evasions count in F1 now"
assert seen["right, with full stops"]["accuracy"] == 0 and parse_pred_ans("Yes.") == "yes", "a full stop is read alike by both now"
PYTHON
HF_HOME="$folder/cache" OMP_NUM_THREADS=1 venv/bin/python try.py 2>/dev/null
echo "as described"
