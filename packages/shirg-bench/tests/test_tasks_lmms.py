"""The tasks inside lmms-eval, offline, from a foreign folder, answered by a model that reads the answer sheet.

lmms-eval is imported in a process of its own: it takes long, and warns.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shirg_bench.tasks import metrics
from shirg_bench.tasks.build import SHIPPED
from shirg_bench.tasks.spec import TASKS

ASKED = ("shirg_docs", "shirg_charts", "shirg_needle", "shirg_needle_hd")
"""Tasks whose pages are drawn and asked about."""
LIMIT = 24
"""Questions asked per task: every tier, print size and kind at least once, as rows take turns."""


def ask_oracle():
    """Evaluate, and print results and a few docs as JSON."""
    from lmms_eval.api.model import lmms
    from lmms_eval.evaluator import evaluate
    from lmms_eval.tasks import TaskManager, get_task_dict

    from shirg_bench.tasks import TASKS_FOLDER

    class Oracle(lmms):
        """Right, except about the figure 7, which it takes for a 1."""

        def generate_until(self, requests):
            return [self._answer(*request.args) for request in requests]

        def _answer(self, question, options, to_visual, number, task, split):
            doc = tasks[task].dataset[split][number]
            (image,) = to_visual(doc)
            assert question.startswith(doc["question"])
            seen[task] = {
                "question": question,
                "size": image.size,
                "mode": image.mode,
                "max_new_tokens": options["max_new_tokens"],
                "target": tasks[task].doc_to_target(doc),
                "answer": doc["answer"],
            }
            return doc["answer"].replace("7", "1")

        def loglikelihood(self, requests):
            raise NotImplementedError

        def generate_until_multi_round(self, requests):
            raise NotImplementedError

    manager = TaskManager(include_path=[str(TASKS_FOLDER)], include_defaults=False)
    loaded = get_task_dict(["shirg", "shirg_needle_hd"], manager)
    tasks = {"shirg_needle_hd": loaded["shirg_needle_hd"]}
    tasks |= next(members for group, members in loaded.items() if group != "shirg_needle_hd")
    seen = {}
    results = evaluate(Oracle(), loaded, limit=LIMIT, bootstrap_iters=0)["results"]
    answers = {name: task.eval_docs_no_media.select(range(LIMIT))["answer"][:] for name, task in tasks.items()}
    index = {name: entry["type"] for name, entry in manager.task_index.items() if name.startswith("shirg")}
    outcome = {"results": results, "seen": seen, "answers": answers, "index": index, "configs": configs()}
    sys.stdout.write(f"RESULT {json.dumps(outcome)}\n")


def configs():
    """Data file, metrics and scorer of every task, as its file says."""
    from lmms_eval.utils import load_yaml_config

    from shirg_bench.tasks import TASKS_FOLDER

    raw = {path.stem: load_yaml_config(str(path)) for path in TASKS_FOLDER.glob("*.yaml")}
    return {
        name: {
            "data": config["dataset_kwargs"]["data_files"]["test"],
            "metrics": [metric["metric"] for metric in config["metric_list"]],
            "scorer": config["process_results"].__name__,
        }
        for name, config in raw.items()
        if "metric_list" in config
    }


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(elsewhere / "hf"), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, __file__], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(line.removeprefix("RESULT "))


def test_groups_and_tasks_are_found(evaluated):
    index = evaluated["index"]
    assert {name for name, kind in index.items() if kind == "group"} >= {"shirg", "shirg_hd"}
    assert all(index[task] == "task" for task in TASKS)
    assert set(evaluated["seen"]) == set(ASKED)


@pytest.mark.parametrize("task", TASKS)
def test_task_files_name_their_data_scorer_and_every_metric_it_reports(evaluated, task):
    config = evaluated["configs"][task]
    assert Path(config["data"]) == SHIPPED / f"{task}.parquet"
    assert Path(config["data"]).is_file()
    scorer, spec = getattr(metrics, config["scorer"]), TASKS[task]
    docs = [{"task": task, "tier": tier, "print_size": size, "answer": "1"} for tier, size, _ in spec.cells()]
    assert set(config["metrics"]) == {name for doc in docs for name in scorer(doc, ["1"])}


@pytest.mark.parametrize("task", ASKED)
def test_docs_have_images_questions_and_targets(evaluated, task):
    seen = evaluated["seen"][task]
    hd = task.endswith("_hd")
    assert seen["size"] == ([672, 672] if hd else [112, 112])
    assert seen["mode"] == "RGB"
    assert seen["question"].startswith("What is the ")
    assert seen["question"].endswith("word or phrase." if hd else "?")
    assert seen["target"] == seen["answer"]
    assert seen["max_new_tokens"] == (16 if hd else 6)


@pytest.mark.parametrize("task", ASKED)
def test_scores_are_those_of_the_answers(evaluated, task):
    results, answers = evaluated["results"][task], evaluated["answers"][task]
    right = [float("7" not in answer) for answer in answers]
    assert results["exact_match,none"] == pytest.approx(sum(right) / LIMIT)
    if task == "shirg_needle":
        # Rows take turns between the tiers.
        assert results["exact_match_plain,none"] == pytest.approx(sum(right[::2]) / len(right[::2]))
        assert results["exact_match_cluttered,none"] == pytest.approx(sum(right[1::2]) / len(right[1::2]))
    parts = ("8px", "10px", "14px", "24px") if task.endswith("_hd") else ("plain", "cluttered")
    metric = {"docs": "anls", "charts": "relaxed_accuracy", "needle": "exact_match"}[task.split("_")[1]]
    assert all(0 <= results[f"{metric}_{part},none"] <= 1 for part in parts)
    assert results[f"{metric},none"] >= results["exact_match,none"]


if __name__ == "__main__":
    ask_oracle()
