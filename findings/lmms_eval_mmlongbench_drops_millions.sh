#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: in MMLongBench-Doc, whose questions are about figures in reports, an answer that is off by a factor of a million is wrong.
# Happens:  " million", " miles", a leading $ and a trailing % are cut from question's and model's answer before they are compared. "3" is right for "$3 million", and so is
#           "3 miles". " billion", " thousand" and " km" are not cut: there the unit counts, and "3" for "3 billion" is wrong.
# Hurts:    scores reward models that read the digits and lose the unit, in one magnitude out of three.
# Instead:  look at answers of questions with units by themselves, or compare them as printed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/score.py" <<'PYTHON'
from importlib.metadata import version

from lmms_eval.tasks.mmlongbench_doc.utils import _score_str

print(f"lmms-eval {version('lmms-eval')}")
seen = {}
for gold, answer in [("$3 million", "3"), ("$3 million", "3 miles"), ("$3 million", "3%"), ("3 billion", "3"), ("3 thousand", "3"), ("3 km", "3")]:
    seen[gold, answer] = _score_str(gold, answer)
    print(f"{answer!r:10} for {gold!r:13} scores {seen[gold, answer]:.2f}")
assert all(seen["$3 million", answer] == 1 for answer in ("3", "3 miles", "3%")), "millions count now"
assert not any(seen[gold, "3"] for gold in ("3 billion", "3 thousand", "3 km")), "other units are cut now, too"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/score.py" 2>/dev/null
