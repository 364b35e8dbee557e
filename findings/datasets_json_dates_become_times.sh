#!/usr/bin/env bash
# datasets 5.2.0, pyarrow 26.0.1
#
# Expected: a quoted value of a JSON file stays the text that it is, as "12.50" and "007" do.
# Happens:  a column is read as times if every value at the file's beginning could be an ISO date: "2018-12-25" comes back as datetime(2018, 12, 25, 0, 0), and
#           `str` of it is "2018-12-25 00:00:00". One answer in another notation makes the whole column text again, if it stands in the first 10 MB;
#           behind them, streaming raises after all the rows before it. `features=` with `Value("string")` comes too late: the text is "2018-12-25 00:00:00" then.
# Hurts:    receipts and forms ask for dates. Whether a date is scored or trained on as printed depends on the other rows of the same file: a filtered or sorted copy
#           of a data set gives other targets, and a run can stop hours after it began.
# Instead:  parse the lines oneself: `Dataset.from_list([json.loads(line) for line in file])`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "datasets==5.2.0" "pyarrow==26.0.1"
cat > "$folder/dates.py" <<'PYTHON'
import json
from datetime import datetime

import datasets
import pyarrow
from datasets import Dataset, Features, Value, load_dataset

datasets.disable_progress_bars()


def read(name, answers, **options):
    with open(name, "w") as file:
        file.writelines(json.dumps({"answer": answer, "total": "12.50"}) + "\n" for answer in answers)
    return load_dataset("json", data_files=name, split="train", cache_dir="cache", **options)


print(f"datasets {datasets.__version__}, pyarrow {pyarrow.__version__}")
dates = ["2018-12-25", "2018-12-26"]
alone, beside, listed = read("alone.jsonl", dates), read("beside.jsonl", [*dates, "25/12/2018"]), read("listed.jsonl", [dates])
typed = read("typed.jsonl", dates, features=Features({"answer": Value("string"), "total": Value("string")}))
for what, data in (("two ISO dates", alone), ("and one other date", beside), ("a list of ISO dates", listed), ("two ISO dates, with features", typed)):
    print(f"{what}: {data[0]['answer']!r}, total {data[0]['total']!r}")
assert alone[0]["answer"] == datetime(2018, 12, 25) and alone[0]["total"] == "12.50", "dates stay text now"
assert listed[0]["answer"] == [datetime(2018, 12, 25), datetime(2018, 12, 26)], "dates in lists stay text now"
assert beside[0]["answer"] == "2018-12-25", "the type no longer depends on the other rows"
assert typed[0]["answer"] == "2018-12-25 00:00:00", "features keep the text now"
with open("alone.jsonl") as lines:
    assert Dataset.from_list([json.loads(line) for line in lines])[0]["answer"] == "2018-12-25"

rows = 0
try:
    for _ in read("long.jsonl", [*dates * 200_000, "25/12/2018"], streaming=True):
        rows += 1
except pyarrow.ArrowInvalid as error:
    print(f"streaming stops after {rows:,} of 400,001 rows: {error}")
assert 0 < rows < 400_001, "streaming reads all rows now"
print("as described")
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/dates.py" 2>/dev/null
