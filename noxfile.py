"""Sessions: `nox -s lint typecheck tests bench gpu wheels`. Every test session runs in an environment of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "typecheck", "tests"]
nox.options.error_on_missing_interpreters = True

PACKAGES = {
    "core": ["--extra", "cli"],
    "lavida": [],
    "train": [],
    "bench": ["--extra", "eval"],
}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def _sync(session: nox.Session, *args: str) -> None:
    """Make the session's environment exactly what `args` ask for, so that an undeclared dependency is missing."""
    session.run_install("uv", "sync", "--quiet", *args, env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location})


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and the direction of imports between the packages."""
    _sync(session, "--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Strict mypy over the sources of all packages."""
    _sync(session, "--group", "lint")
    session.run("mypy", *(f"packages/shirg-{name}/src" for name in PACKAGES))


@nox.session
@nox.parametrize("package", list(PACKAGES), ids=list(PACKAGES))
def tests(session: nox.Session, package: str) -> None:
    """Tests of each package, isolated with what that package declares and nothing else."""
    _sync(session, "--package", f"shirg-{package}", "--group", "test", *PACKAGES[package])
    session.run("pytest", f"packages/shirg-{package}/tests", *session.posargs, env=ONE_THREAD)


@nox.session
def bench(session: nox.Session) -> None:
    """Latency and memory benchmarks; fails when a tracked ratio regresses against the committed baseline."""
    _sync(session, "--package", "shirg-bench", "--group", "test")
    session.run("pytest", "packages/shirg-bench/benchmarks", "--benchmark-only", "-m", "not gpu", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """Parity, graph-capture and synchronisation checks that need a CUDA device, then the kernel benchmark."""
    _sync(session, "--package", "shirg-bench", "--group", "test")
    session.run("pytest", "packages/shirg-core/tests", "-m", "gpu", *session.posargs)
    session.run("pytest", "packages/shirg-bench/benchmarks/bench_kernels.py", "-m", "gpu", *session.posargs)


@nox.session(venv_backend="venv")
def wheels(session: nox.Session) -> None:
    """The four wheels, installed with pip as users do, answer and evaluate from an empty folder; downloads packages."""
    folder = Path(session.create_tmp()).resolve()
    built = folder / "wheels"
    shutil.rmtree(built, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(built), external=True)
    files = {path.name.split("-")[0]: str(path) for path in built.glob("*.whl")}
    extras = {"shirg_core": "[cli]", "shirg_bench": "[eval]"}
    session.run(
        "python", "-m", "pip", "install", "--quiet", *(file + extras.get(name, "") for name, file in files.items())
    )
    empty = folder / "empty"
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir()
    session.chdir(empty)
    session.run("shirg", "samples", "pages")
    page = json.loads((empty / "pages" / "samples.json").read_text("utf-8"))[0]
    session.run("shirg", "ask", f"pages/{page['image']}", page["question"], "--json", "answer.json")
    answer = json.loads((empty / "answer.json").read_text("utf-8"))["answer"]
    if answer != page["answer"]:
        session.error(f"the installed command answers {answer!r}, not {page['answer']!r}")
    session.run("shirg", "eval", "--tasks", "shirg_docs", "--limit", "2")
