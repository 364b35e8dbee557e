#!/usr/bin/env bash
# lmms-eval 0.7.3 with filelock 4.3.1 (4.2.10 is right)
#
# Expected: lmms-eval's requirements give an installation that can evaluate, and `python -m lmms_eval` exits with another status than 0 when it did not.
# Happens:  it imports `filelock._api`, a private module, at the start of every evaluation. filelock 4.3.1 has no such module any more, and the requirements
#           allow it (they do not name filelock at all). The evaluation ends in ModuleNotFoundError, nothing is written, and the exit status is 0.
# Hurts:    an environment resolved afresh breaks with no change of one's own, and a job that goes by the exit status reports success.
#           The same holds for whatever else fails in an evaluation: a task that cannot load its data, a model that raises.
# Instead:  constrain `filelock<4.3`, and check that the results file exists; or call `lmms_eval.evaluator.simple_evaluate`, which raises.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
mkdir "$folder/tasks"
cat > "$folder/tasks/tiny.yaml" <<YAML
task: tiny
dataset_path: json
dataset_kwargs: {data_files: {test: "$folder/rows.jsonl"}}
test_split: test
output_type: generate_until
doc_to_visual: !function tiny.visual
doc_to_text: question
doc_to_target: answer
process_results: !function tiny.score
metric_list: [{metric: exact, aggregation: mean, higher_is_better: true}]
YAML
cat > "$folder/tasks/tiny.py" <<'PYTHON'
def visual(doc):
    return []


def score(doc, results):
    return {"exact": float(results[0] == doc["answer"])}
PYTHON
echo '{"question": "Which letter?", "answer": "A"}' > "$folder/rows.jsonl"
export HF_HOME="$folder/cache" HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
for case in "4.2.10 1" "4.3.1 0"; do
    read -r filelock results <<< "$case"
    uv pip install --quiet --python "$folder/venv/bin/python" \
        "lmms-eval==0.7.3" "transformers==5.23.0" "torch==2.15.0" "torchvision==0.29.2" "datasets==5.2.0" "filelock==$filelock"
    status=0
    (cd "$folder" && venv/bin/python -m lmms_eval --model dummy --tasks tiny --include_path tasks --output_path "out-$filelock") \
        > "$folder/log" 2>&1 || status=$?
    written=$(find "$folder" -path "*out-$filelock*" -name "*results.json" | wc -l)
    echo "lmms-eval 0.7.3, filelock $filelock: exit status $status, $written results file"
    grep -E "ModuleNotFoundError|^\|tiny" "$folder/log" || true
    [[ $status == 0 && $written == "$results" ]] || { tail -20 "$folder/log"; echo "the behaviour has changed"; exit 1; }
done
grep -q "No module named 'filelock._api'" "$folder/log" || { echo "it fails for another reason now"; exit 1; }
echo "as described"
