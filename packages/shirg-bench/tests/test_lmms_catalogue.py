"""Task files: this package's list, and the public variants as far as they go without their data."""

import pytest
from datasets import Dataset, DatasetDict
from lmms_eval import utils
from lmms_eval.api import task as upstream
from lmms_eval.tasks import get_task_dict

from shirg_bench.lmms.catalogue import list_tasks, task_manager
from shirg_bench.lmms.request import marked, unmarked
from shirg_bench.lmms.sampling import parse_sampling
from shirg_bench.tasks import TASKS_FOLDER
from shirg_bench.tasks.public.subsets import reading, tiny
from shirg_core.cli.errors import BadInput

from .lmms_setup import picture

PUBLIC = TASKS_FOLDER / "public"
PAGE = [picture()]
VQA = {"image": PAGE, "question": ["what is the total?"], "question_id": [1]}
MMMU = {
    "id": ["validation_Accounting_1"],
    "question": ["What is <image 1>?"],
    "options": ["['4', '42']"],
    "image_1": PAGE,
    "img_type": ["['Tables']"],
    "answer": ["B"],
    "question_type": ["multiple-choice"],
}
DATA = {
    "shirg_chartqa": {**VQA, "answer": ["42"], "type": ["human_test"]},
    "shirg_chartqa_tiny": {**VQA, "answer": ["42"], "type": ["human_test"]},
    "shirg_docvqa_val": {**VQA, "answers": [["42", "forty-two"]]},
    "shirg_infovqa_val": {**VQA, "answers": [["42", "forty-two"]]},
    "shirg_textvqa_val": {**VQA, "answer": ["42"], "answers": [["42"] * 10]},
    "shirg_ocrbench": {**VQA, "answer": [["42"]], "dataset": ["DocVQA"], "question_type": ["Doc-oriented VQA"]},
    "shirg_mmmu_ocr": MMMU,
    "shirg_coco2017_cap_val_lite": {"image": PAGE, "question_id": ["000042.jpg"], "id": [1], "answer": [["a page"]]},
}
"""One document per task, in the columns of its data set; its answer is 42, option B, or a page."""
RIGHT = {
    "shirg_chartqa": ("42", {"relaxed_overall": 1.0, "relaxed_human_split": 1.0}),
    "shirg_chartqa_tiny": ("43", {"relaxed_overall": 1.0, "relaxed_human_split": 1.0}),
    "shirg_docvqa_val": ("42", {"anls": 1.0}),
    "shirg_infovqa_val": ("42", {"anls": 1.0}),
    "shirg_textvqa_val": ("42", {"exact_match": 1.0}),
    "shirg_ocrbench": ("it is 42", {"ocrbench_accuracy": 1.0}),
}


@pytest.mark.parametrize("name", DATA)
def test_public_tasks_load_ask_and_score_with_the_official_functions(name, monkeypatch):
    config = utils.load_yaml_config(str(next(PUBLIC.glob(f"{name}.yaml"))))
    data = DatasetDict({config["test_split"]: Dataset.from_dict(DATA[name])})
    monkeypatch.setattr(upstream.datasets, "load_dataset", lambda **_: data)
    manager, names = task_manager([name], model_name="shirg_lavida")
    assert names == [name]
    task = get_task_dict([name], manager)[name]
    doc = task.test_docs()[0]
    assert "{" not in task.doc_to_text(doc)
    assert [image.mode for image in task.doc_to_visual(doc)] == ["RGB"]
    if "question" in doc and name != "shirg_mmmu_ocr":
        assert unmarked(task.doc_to_text(doc), marked(task.doc_to_visual)).lower() == doc["question"]
    sampling = parse_sampling(task.config.generation_kwargs, {}, max_new_tokens=0)
    assert dict(sampling.options)["block_length"] <= sampling.max_new_tokens <= 128
    if name in RIGHT:
        said, scores = RIGHT[name]
        result = task.process_results(doc, [said])
        assert {metric: result[metric] for metric in scores} == scores
        assert {task.aggregation()[metric]([1.0, 0.0]) for metric in scores} == {0.5}
    for function in (config["doc_to_text"], config["doc_to_visual"]):
        assert function.__module__.startswith("lmms_eval.tasks.")


def test_our_tasks_are_listed_without_reading_upstreams():
    entries = {entry.name: entry for entry in list_tasks(TASKS_FOLDER)}
    assert set(DATA) <= set(entries)
    assert not any(entries[name].offline for name in DATA)
    assert entries["shirg_chartqa_tiny"].metrics == entries["shirg_chartqa"].metrics
    assert entries["shirg_docs"].offline
    assert entries["shirg"].offline


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(BadInput, match="--include-path must be a folder"):
        task_manager(["x"], [tmp_path / "none"], model_name="shirg_lavida")


def test_tiny_spreads_over_the_whole():
    assert tiny(Dataset.from_dict({"i": list(range(2500))}))["i"][:] == list(range(0, 2500, 25))
    assert len(tiny(Dataset.from_dict({"i": list(range(7))}))) == 7


def test_reading_keeps_print_only():
    kinds = ["['Tables']", "['Plots and Charts', 'Tables']", "['Tables', 'Photographs']", "['Diagrams']", "[]"]
    documents = Dataset.from_dict({"i": list(range(5)), "img_type": kinds})
    assert reading(documents)["i"][:] == [0, 1]
    with pytest.raises(ValueError, match="'img_type' is missing; there are i"):
        reading(Dataset.from_dict({"i": [1]}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Read this.\nHow many?\nAnswer with one word.", "How many?"),
        ("Read this. How many? Answer with one word, A or B.", "How many?"),
        ("How many?", "How many?"),
        ("How many? Answer with one word. Now.", "How many? Answer with one word. Now."),
        ("Read this.\nAnswer with one word.", "Read this.\nAnswer with one word."),
    ],
    ids=["both", "the longer one", "neither", "inside", "nothing else"],
)
def test_marks_are_taken_off_a_questions_ends(text, words):
    marks = ("Answer with one word, A or B.", "Answer with one word.", "A or B.", "Read this.")
    assert unmarked(text, marks) == words
