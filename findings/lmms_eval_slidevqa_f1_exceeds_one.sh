#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: F1 of two answers lies between 0 and 1, and is 1 for the right answer alone: a word counts as often as the right answer holds it.
# Happens:  SlideVQA's word F1 counts every word of the prediction that occurs in the answer, again and again. An answer that says its words three times scores 1.5, one
#           that repeats them without end approaches 2, twice the score of the exact answer; the task's mean is taken over these numbers as they are.
# Hurts:    models that stutter. A diffusion language model with too few denoising steps repeats tokens, so fewer steps look like a better F1, while exact match falls.
# Instead:  report the task's exact match or ANLS, or cap F1 at matched words (collections.Counter intersection).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/score.py" <<'PYTHON'
from importlib.metadata import version

from lmms_eval.tasks.slidevqa.utils import slidevqa_process_results

print(f"lmms-eval {version('lmms-eval')}")
scores = {}
for times in (1, 2, 3, 20):
    score = slidevqa_process_results({"answer": "net revenue"}, [" ".join(["net revenue"] * times)])
    scores[times] = score["f1"]
    print(f"'net revenue' said {times:2} times: F1 {score['f1']:.2f}, exact match {score['em']:.0f}, ANLS {score['anls']:.2f}")
assert scores[1] == 1, "the exact answer no longer scores 1"
assert 1.3 < scores[2] < scores[3] < scores[20] < 2 and scores[3] == 1.5, "repeated words no longer raise F1"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/score.py" 2>/dev/null
