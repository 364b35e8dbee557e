#!/usr/bin/env bash
# lmms-eval 0.7.3
#
# Expected: TextVQA and VizWiz ask a model the questions of the dataset.
# Happens:  every letter but the first is made small before the question reaches the model: names, abbreviations, units and quoted words lose their capitals
#           ("NYC" → "nyc", "'STOP'" → "'stop'"). DocVQA, ChartQA and InfographicVQA leave the question as it is.
# Hurts:    whatever compares the question's words with the picture: text-guided choice of visual tokens looks for words that the page does not show in this form, and
#           tokenizers split small names into other and more tokens. Numbers of these tasks are not comparable with an evaluation that asks the dataset's own words.
# Instead:  define doc_to_text of a task of your own, with the question unchanged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "lmms-eval==0.7.3" "filelock==3.20.0"
cat > "$folder/ask.py" <<'PYTHON'
from importlib.metadata import version

from lmms_eval.tasks.chartqa.utils import chartqa_doc_to_text
from lmms_eval.tasks.docvqa.utils import docvqa_doc_to_text
from lmms_eval.tasks.infovqa.utils import infovqa_doc_to_text
from lmms_eval.tasks.textvqa.utils import textvqa_doc_to_text
from lmms_eval.tasks.vizwiz_vqa.utils import vizwiz_vqa_doc_to_text

print(f"lmms-eval {version('lmms-eval')}")
question = "Which city, NYC or LA, does the sign 'STOP 5 km' name?"
prompts = {"pre_prompt": "", "post_prompt": ""}
tasks = (textvqa_doc_to_text, vizwiz_vqa_doc_to_text, docvqa_doc_to_text, chartqa_doc_to_text, infovqa_doc_to_text)
asked = {task.__name__.removesuffix("_doc_to_text"): task({"question": question}, prompts) for task in tasks}
for name, text in asked.items():
    print(f"{name:10} {text}")
assert asked["textvqa"] == asked["vizwiz_vqa"] == question.capitalize() != question, "the question keeps its letters now"
assert asked["docvqa"] == asked["chartqa"] == asked["infovqa"] == question, "other tasks change it, too"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" 2>/dev/null
