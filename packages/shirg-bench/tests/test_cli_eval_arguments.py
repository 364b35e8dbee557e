"""Generation arguments of `shirg eval` and of the tasks that it asks."""

import re
import shutil
from pathlib import Path

import pytest

from shirg_bench.lmms.overrides import overrides

from .lmms_setup import evaluation, refused, shirg


def test_a_temperature_wins_over_a_tasks_do_sample(command, tasks, tmp_path):
    greedy = Path(shutil.copytree(tasks, tmp_path / "greedy"))
    for path in greedy.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("  step_ratio", "  do_sample: false\n  step_ratio"), encoding="utf-8")
    hot = ("--include-path", greedy, "--limit", 1, "--gen-kwargs", "block_length=4, temperature=0.5")
    assert shirg(*command("out", *hot)) == 0
    results, _ = evaluation(tmp_path / "out")
    assert results["generation_kwargs"]["tiny_a"]["temperature"] == 0.5
    assert results["generation_kwargs"]["tiny_a"]["do_sample"] is True


def test_arguments_of_official_tasks_are_followed_neutral_or_named(command, tasks, tmp_path, capsys):
    official = Path(shutil.copytree(tasks, tmp_path / "official"))
    path = official / "tiny_a.yaml"
    held = "  image_aspect_ratio: original\n  stop_sequences: ['a', 'e']\n  repetition_penalty: 1.2\n  step_ratio"
    path.write_text(path.read_text(encoding="utf-8").replace("  step_ratio", held), encoding="utf-8")
    asked = ("--include-path", official, "--tasks", "tiny_a,tiny_b", "--limit", 3)
    assert shirg(*command("out", *asked)) == 0
    why = "repetition_penalty=1.2: this sampler does not count repetitions"
    assert " ".join(capsys.readouterr().out.split()).count(f"note task tiny_a: ignored {why}") == 1
    results, samples = evaluation(tmp_path / "out")
    assert results["ignored"] == {"tiny_a": [why]}
    _, whole = evaluation(tmp_path / "out", "tiny_b")
    assert [sample["filtered_resps"][0] for sample in samples] == [
        re.split("[ae]", sample["filtered_resps"][0])[0].strip() for sample in whole
    ]
    left_out = "repetition_penalty=none, image_aspect_ratio=None, stop_sequences=none"
    assert shirg(*command("left", *asked, "--gen-kwargs", left_out)) == 0
    results, samples = evaluation(tmp_path / "left")
    assert results["ignored"] == {}
    assert [sample["filtered_resps"] for sample in samples] == [sample["filtered_resps"] for sample in whole]
    assert f"--gen-kwargs: {why}; leave it out" in refused(
        capsys, 2, *command("typed", *asked, "--gen-kwargs", "repetition_penalty=1.2")
    )


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("", ""),
        ("steps=4", "steps=4"),
        ("temperature=0.5", "temperature=0.5,do_sample=True"),
        ("temperature=0, until=\n", "temperature=0,until=\n,do_sample=False"),
        ("do_sample=False,temperature=0", "do_sample=False,temperature=0"),
        ("temperature=None", "temperature=None"),
    ],
)
def test_overrides_are_what_upstream_shall_read(given, passed_on):
    assert overrides(given) == passed_on
