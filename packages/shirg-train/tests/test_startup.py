"""What a command imports before it says no, and what an embedded model does without."""

import json
import subprocess
import sys

import pytest

CODE = """
import io, json, sys
from contextlib import redirect_stderr
from shirg_core.cli.app import main
told = []
for arguments in json.loads(sys.argv[1]):
    with redirect_stderr(io.StringIO()) as said:
        code = main(arguments)
    told.append([code, sorted({name.partition(".")[0] for name in sys.modules}), said.getvalue()])
sys.stderr.write(json.dumps(told))
"""


def started(*calls, cwd):
    """Of calls in one process: exit code, packages that were imported until then, and what was said on stderr."""
    asked = json.dumps([[*map(str, arguments)] for arguments in calls])
    ran = subprocess.run([sys.executable, "-c", CODE, asked], cwd=cwd, capture_output=True, text=True, check=True)
    return [(code, set(packages), said.strip()) for code, packages, said in json.loads(ran.stderr.splitlines()[-1])]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from shirg_train.testbed.micro.samples import write_samples

    folder = tmp_path_factory.mktemp("pages")
    return folder / write_samples(folder)[0]["image"]


def test_the_embedded_model_answers_without_what_training_needs(page):
    ((code, packages, _),) = started(("ask", page, "What is the value of bolts?"), cwd=page.parent)
    assert code == 0
    assert not packages & {"datasets", "pyarrow", "peft", "pandas"}


REFUSED = [
    (("ask", "nowhere.png", "What?"), "nowhere.png: no such file"),
    (("ask", "page.png", "What?", "--model", "nowhere"), "'nowhere' is neither a folder nor a hub id (owner/name)"),
    (("ask", "page.png", "What?", "--model", "."), "not a LaViDa checkpoint: no config.json in ."),
    (("ask", "page.png", "What?", "--adapter", "nowhere"), "no adapter in nowhere: adapter_config.json is missing"),
    (("ask", "page.png", "What?", "--json", "nowhere/o.json"), "cannot write nowhere/o.json"),
    (("select", "nowhere.png"), "nowhere.png: no such file"),
    (("compare", "broken.png"), "broken.png: not a PNG"),
    (("ask", "page.png", "What?", "--method", "v9"), "unknown method 'v9'"),
    (
        ("ask", "page.png", "What?", "--method", "fastv"),
        "runs only in `shirg ablate --what late` and `shirg bench`: FastV: drops tokens",
    ),
    (("ask", "page.png", "What?", "--budget", "2.5"), "--budget must be a count ≥ 1 or a fraction"),
    (("ask", "page.png", "What?", "--steps", "0"), "--steps must be an integer ≥ 1, got 0"),
    (("select", "page.png", "--method", "v9"), "unknown method 'v9'"),
    (("compare", "page.png", "--methods", "v3,v9"), "unknown method 'v9'"),
    (("compare", "page.png", "--budget", "0"), "--budget must be a count ≥ 1 or a fraction"),
    (("train", "recipe.yaml", "--set", "keep=[v9]"), "keep[0]: unknown method 'v9'"),
    (("train", "stages.yaml"), "stages[0].policies[1]: unknown method 'v9'"),
    (("train", "nowhere.yaml"), "no recipe nowhere.yaml"),
    (("train", "recipe.yaml", "--set", "kind=video"), "unknown kind 'video'; known: adapter, micro"),
    (("train", "recipe.yaml"), "no data at nowhere"),
    (("train", "recipe.yaml", "--set", "data.path=page.png"), "'missing' is neither a folder nor a hub id"),
    (
        ("train", "recipe.yaml", "--set", "data.path=page.png", "--set", "model.path=micro", "--set", "init=old"),
        "init: no adapter in old: adapter_config.json is missing",
    ),
]


@pytest.fixture(scope="module")
def refusals(page, tmp_path_factory):
    """In one process: what one of them imports, all after it have."""
    tmp_path = tmp_path_factory.mktemp("refused")
    (tmp_path / "page.png").write_bytes(page.read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "recipe.yaml").write_text("{model: {path: missing}, data: {path: nowhere}, output: out, keep: [0.5]}")
    (tmp_path / "stages.yaml").write_text("{kind: micro, output: out, stages: [{policies: [0.5, {method: v9}]}]}")
    return dict(zip(REFUSED, started(*(arguments for arguments, _ in REFUSED), cwd=tmp_path), strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"), REFUSED, ids=lambda value: None if isinstance(value, str) else " ".join(value)
)
def test_what_cannot_be_is_refused_before_torch_is_imported(refusals, arguments, message):
    code, packages, said = refusals[arguments, message]
    assert code == 2
    assert message in said
    assert len(said.splitlines()) == 1
    assert not packages & {"torch", "transformers", "peft", "datasets"}


def test_a_run_that_is_resumed_needs_no_adapter_to_begin_with(tmp_path, monkeypatch):
    from shirg_train.tasks import check_recipe

    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    check_recipe({"model": {"path": "micro"}, "init": "gone", "output": "out"})
