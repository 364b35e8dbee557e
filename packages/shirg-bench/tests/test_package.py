import importlib.metadata
import tomllib
from pathlib import Path

import yaml

import shirg_bench
import shirg_core
import shirg_lavida
import shirg_train

ROOT = Path(__file__).parents[3]


def test_one_version_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version
    for package in (shirg_core, shirg_lavida, shirg_train, shirg_bench):
        name = package.__name__.replace("_", "-")
        assert package.__version__ == importlib.metadata.version(name) == version
        wanted = [each for each in importlib.metadata.requires(name) if each.startswith("shirg-")]
        assert all(each.endswith(f"=={version}") for each in wanted), wanted
