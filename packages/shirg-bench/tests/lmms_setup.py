"""A tiny model, tiny tasks and requests as lmms-eval makes them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
from lmms_eval.api.instance import unwrap_generation_output
from PIL import Image, ImageDraw

from shirg_core.cli.app import main
from shirg_lavida.testing import write_tiny_checkpoint, write_tiny_tokenizer

TASK = """\
task: {name}
dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: generate_until
doc_to_visual: !function tiny_task.image
doc_to_text: !function tiny_task.question
doc_to_target: answer
process_results: !function tiny_task.results
generation_kwargs:
  max_new_tokens: 8
  step_ratio: 0.5
metric_list:
  - metric: checksum
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""
MARKS = """\
lmms_eval_specific_kwargs:
  default:
    pre_prompt: "Look at the page. "
    post_prompt: "\\nAnswer with one word."
"""
CODE = """\
from PIL import Image

def image(doc):
    return [Image.new("RGB", (90, 60), (doc["level"], 40, 200))]

def question(doc):
    return doc["question"]

def told(doc, lmms_eval_specific_kwargs):
    return "{pre_prompt}{}{post_prompt}".format(doc["question"], **lmms_eval_specific_kwargs)

def results(doc, answers):
    return {"checksum": float(sum(map(ord, answers[0])) % 7)}
"""
"""The metric changes with every character, so that equal metrics mean equal answers."""


def tiny_model(folder: Path) -> Path:
    return write_tiny_tokenizer(write_tiny_checkpoint(folder / "tiny", side=6, patch_size=4))


def tiny_tasks(folder: Path, questions: int = 6) -> Path:
    """`tiny_a` and `tiny_b` ask the same, `told` with instructions around it; `tiny_lost` has no data."""
    columns = {
        "level": [i * 40 % 256 for i in range(questions)],
        "question": [f"What is number {i}?" for i in range(questions)],
        "answer": [str(i) for i in range(questions)],
    }
    pq.write_table(pa.table(columns), folder / "tiny.parquet")
    for name, data in (("tiny_a", "tiny.parquet"), ("tiny_b", "tiny.parquet"), ("tiny_lost", "lost.parquet")):
        (folder / f"{name}.yaml").write_text(TASK.format(name=name, data=data), encoding="utf-8")
    told = TASK.format(name="told", data="tiny.parquet").replace("tiny_task.question", "tiny_task.told")
    (folder / "told.yaml").write_text(told + MARKS, encoding="utf-8")
    (folder / "tiny_task.py").write_text(CODE, encoding="utf-8")
    return folder


def picture(word: str = "42", mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", (90, 60), "white")
    ImageDraw.Draw(image).text((10, 10), word, fill="black", font_size=30)
    return image.convert(mode)


def request(task: str, doc_id: int, gen_kwargs: dict, text: str = "What?", **metadata):
    """A `generate_until` request; its document is the list of its images."""
    args = (text, gen_kwargs, lambda doc: doc, doc_id, task, "test")
    return SimpleNamespace(args=args, metadata={"task": task, "doc_id": doc_id, **metadata})


SHORT, LONG = {"max_new_tokens": 8, "until": ["\n\n"]}, {"max_new_tokens": 16, "block_length": 8, "schedule": "shift"}
DATA = {task: {"test": [[picture(f"{task}{i}")] for i in range(4)]} for task in ("a", "b")}


def mixed():
    """Two tasks and two ways of sampling, shuffled."""
    plan = [("b", 1, LONG), ("a", 0, SHORT), ("a", 3, LONG), ("b", 0, SHORT), ("a", 1, SHORT), ("b", 2, LONG)]
    return [request(task, i, copy.deepcopy(how), f"What is {task}{i}?") for task, i, how in plan]


def texts(results):
    return [unwrap_generation_output(result)[0] for result in results]


def shirg(*argv: object) -> int:
    return main([str(part) for part in argv])


def small_evaluation(model: Path, tasks: Path, output: Path, *options: object) -> list[object]:
    """Arguments of `shirg eval` for four questions, `options` in place of its own."""
    given = {"--tasks": "tiny_a", "--model": model, "--method": "v3", "--budget": 0.5, "--device": "cpu"}
    given |= {"--include-path": tasks, "--output": output, "--limit": 4}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    return ["eval", *(part for pair in given.items() for part in pair)]


def refused(capsys, code: int, *argv: object) -> str:
    """The one line that a refused command says."""
    assert shirg(*argv) == code
    error = capsys.readouterr().err
    assert error.startswith("shirg: error: ")
    assert error.count("\n") == 1, error
    return error


def evaluation(folder: Path, task: str = "tiny_a"):
    """The record of an evaluation, and its samples of a task."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    lines = (folder / f"samples_{task}.jsonl").read_text(encoding="utf-8").splitlines()
    return results, [json.loads(line) for line in lines]
