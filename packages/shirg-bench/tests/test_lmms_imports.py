"""Imports that wait until they are needed, and imports that are refused."""

import importlib
import subprocess
import sys
from importlib.util import find_spec

import pytest

from shirg_bench.lmms.imports import defer, refused


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that counts its imports."""
    folder = tmp_path / "late_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "import sys\nsys.late_imports = getattr(sys, 'late_imports', 0) + 1\nVALUE = 7\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "late_imports", 0, raising=False)
    yield folder.name
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_a_deferred_package_is_imported_when_it_is_read(package):
    defer(package)
    module = importlib.import_module(package)
    # Who looks for the package, or through all modules, does not import it.
    assert find_spec(package) is not None
    assert not hasattr(module, "__file__")
    assert sys.late_imports == 0
    assert (module.VALUE, module.VALUE, sys.late_imports) == (7, 7, 1)
    with pytest.raises(AttributeError, match="NONE"):
        _ = module.NONE
    assert importlib.import_module(package) is not module


def test_what_is_imported_or_missing_is_not_deferred(package):
    module = importlib.import_module(package)
    defer(package)
    defer("package_that_is_nowhere")
    assert sys.modules[package] is module
    assert "package_that_is_nowhere" not in sys.modules


def test_an_import_is_refused_only_inside(package):
    with refused(package, "json"):
        assert importlib.import_module("json") is not None
        with pytest.raises(ModuleNotFoundError, match=package):
            importlib.import_module(package)
    assert importlib.import_module(package).VALUE == 7
    assert "json" in sys.modules


def test_an_evaluation_imports_none_of_what_it_does_not_need(tmp_path):
    code = (
        "import sys; from shirg_core.cli.app import main; code = main(sys.argv[1:]); "
        "print(sorted({'transformers.pipelines', 'torchvision', 'nltk', 'sklearn'} & set(sys.modules))); "
        "sys.exit(code)"
    )
    asked = ["eval", "--tasks", "shirg_docs", "--limit", "1", "--output", str(tmp_path), "--quiet"]
    ran = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
