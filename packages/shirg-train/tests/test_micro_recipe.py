"""The shipped recipe of the embedded model runs from nothing to a checkpoint, here with one step a stage."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from shirg_core.cli.app import main
from shirg_lavida import load_lavida

SHIPPED = Path(__file__).parents[3] / "recipes" / "micro.yaml"


def test_the_shipped_recipe_runs_from_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    recipe["stages"] = [{**stage, "steps": 1, "warmup": 0, "pages": 2} for stage in recipe["stages"]]
    (tmp_path / "micro.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "micro.yaml"]) == 0
    trained = load_lavida(tmp_path / capsys.readouterr().out.strip())
    assert trained.config.vision.image_size == 112
    assert len((tmp_path / "runs" / "micro" / "training_log.jsonl").read_text(encoding="utf-8").splitlines()) > 0
