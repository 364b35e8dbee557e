#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: ANLS, the metric of DocVQA and InfographicVQA, takes whitespace out of both strings before it compares them, so that spaces and line breaks change nothing.
# Happens:  the distance is counted between the normalised strings, and divided by the length of the raw ones. Every space or line break inside a wrong answer
#           makes it less wrong: the score of the same words climbs from 0 to .5 and beyond, and a right answer in two lines is not affected.
# Hurts:    models that answer in columns, tables or blank lines gain points for it; so does a decoder that fills its answer with line breaks. (The evaluator strips both ends only.)
# Instead:  collapse whitespace in answers before they are scored: " ".join(answer.split()).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/score.py" <<'PYTHON'
from importlib.metadata import version

from lmms_eval.api.metrics import anls

print(f"lmms-eval {version('lmms-eval')}")
scores = {}
for breaks in (1, 5, 10, 20, 40):
    answer = "invoice" + "\n" * breaks + "total"
    scores[breaks] = anls(["4,250.00"], [answer])["anls"]
    print(f"'4,250.00' answered by 'invoice' and 'total' with {breaks:2} line breaks between: ANLS {scores[breaks]:.2f}")
assert anls(["4,250.00"], ["invoice total"])["anls"] == 0, "a wrong answer in one line scores now"
assert scores[1] == 0 and scores[20] > 0.5 and scores[40] > 0.7, "whitespace no longer raises the score"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/score.py" 2>/dev/null
