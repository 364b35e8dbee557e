"""Sessions: `nox -s lint typecheck tests docs ptx bench gpu browser wheels`; those of CI share one environment."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
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
    "bench": ["--extra", "eval", "--extra", "backends", "--extra", "real"],
}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
SHARED = {"UV_PROJECT_ENVIRONMENT": ".nox/shared"}
KERNEL_TESTS = Path("packages/shirg-core/tests")
# What the cases on the PTX machine depend on, and the digest of it when all of them passed last.
CORE = "packages/shirg-core/src/shirg_core"
KERNELS = (
    f"{CORE}/kernels/*.py",
    f"{CORE}/*/*_kernel.py",
    f"{CORE}/*/*_launch.py",
    f"{CORE}/selection/triton.py",
    "packages/shirg-core/tests/ptx/*.py",
)
CHECKED = KERNEL_TESTS / "ptx" / "checked.txt"
README_TESTS = tuple(f"packages/shirg-{name}/tests/test_readme.py" for name in ("core", "lavida"))
TWINE = "twine>=7,<8"
LARGEST_ARCHIVE = 8_000_000  # bytes; the weights of the embedded models are half of that


# Importing torch and transformers takes twice as long where Python keeps no compiled modules, and every test process
# imports them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _sync(session: nox.Session, *args: str) -> None:
    """Make the session's environment exactly what `args` ask for, so that an undeclared dependency is missing."""
    session.run_install("uv", "sync", "--quiet", *args, env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location})


def _sync_shared(session: nox.Session, *args: str) -> None:
    """As `_sync`, of an environment that sessions share: what it has already is neither linked nor compiled again."""
    session.run_install("uv", "sync", "--quiet", *args, env=SHARED)


def _run_shared(session: nox.Session, *command: str, env: Mapping[str, str] = ONE_THREAD) -> None:
    """Run a program of that environment."""
    session.run("uv", "run", "--quiet", "--no-sync", *command, env={**SHARED, **env})


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Style, formatting, and the direction of imports between the packages."""
    _sync_shared(session, "--group", "lint")
    _run_shared(session, "ruff", "check", ".")
    _run_shared(session, "ruff", "format", "--check", ".")
    _run_shared(session, "lint-imports")


@nox.session(venv_backend="none")
def typecheck(session: nox.Session) -> None:
    """Strict mypy over the sources of all packages."""
    _sync_shared(session, "--group", "lint")
    _run_shared(session, "mypy", *(f"packages/shirg-{name}/src" for name in PACKAGES))


@nox.session(venv_backend="none")
@nox.parametrize("package", ["kernels", *PACKAGES], ids=["kernels", *PACKAGES])
def tests(session: nox.Session, package: str) -> None:
    """Tests of each package, isolated with what that package declares and nothing else; and of shirg-core's kernels."""
    if package == "kernels":
        _test_kernels(session)
        return
    _sync_shared(session, "--package", f"shirg-{package}", "--group", "test", *PACKAGES[package])
    options = (f"--ignore={KERNEL_TESTS / 'test_kernels_ptx.py'}", *session.posargs)
    folder = f"packages/shirg-{package}/tests"
    spread = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    _run_shared(session, "pytest", *spread, folder, *options)


def _test_kernels(session: nox.Session) -> None:
    _sync_shared(session, "--package", "shirg-core", "--group", "test")
    interpreted = {**ONE_THREAD, "TRITON_INTERPRET": "1"}
    spread = ("pytest", "-n", "2", "--dist", "worksteal")
    _run_shared(session, *spread, str(KERNEL_TESTS / "interpreter_cases.py"), *session.posargs, env=interpreted)
    changed = not CHECKED.exists() or CHECKED.read_text("utf-8").strip() != _digest(KERNELS)
    if changed:
        session.log("the kernels changed since `nox -s ptx` passed: running all of its cases")
    some = () if changed else ("-m", "not release")
    _run_shared(session, *spread, str(KERNEL_TESTS / "test_kernels_ptx.py"), *some, *session.posargs)


@nox.session
def ptx(session: nox.Session) -> None:
    """All kernel cases on the PTX machine, for A100 and H100; records which kernels passed. Before a release."""
    _sync(session, "--package", "shirg-core", "--group", "test")
    cases = str(KERNEL_TESTS / "test_kernels_ptx.py")
    session.run("pytest", "-n", "2", "--dist", "worksteal", cases, *session.posargs, env=ONE_THREAD)
    CHECKED.write_text(_digest(KERNELS) + "\n", "utf-8")


def _digest(patterns: tuple[str, ...]) -> str:
    """SHA-256 of all files that match `patterns`."""
    files = sorted(path for pattern in patterns for path in Path().glob(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation site in build/site; its examples run, and a broken link or any other warning fails."""
    _sync(session, "--all-packages", "--group", "docs", "--group", "test")
    session.run("pytest", "packages/shirg-bench/tests/test_docs.py", *README_TESTS, *session.posargs, env=ONE_THREAD)
    session.run("python", "docs/generate.py")
    said = str(session.run("zensical", "build", "--clean", "--strict", silent=True))
    # Strict mode does not count what the API's parser says of docstrings.
    if warnings := [line for line in said.splitlines() if line.startswith(("griffe:", "mkdocstrings:"))]:
        session.error("\n".join(warnings))


@nox.session
def bench(session: nox.Session) -> None:
    """Latency and memory benchmarks; fails when a tracked ratio regresses against the committed baseline."""
    _sync(session, "--package", "shirg-bench", "--group", "test", "--extra", "eval")
    session.run("pytest", "packages/shirg-bench/benchmarks", "--benchmark-only", "-m", "not gpu", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """Parity, graph-capture and synchronisation checks that need a CUDA device, then the kernel benchmark."""
    _sync(session, "--package", "shirg-bench", "--group", "test")
    session.run("pytest", "packages/shirg-core/tests", "-m", "gpu", *session.posargs)
    session.run("pytest", "packages/shirg-bench/benchmarks/bench_kernels.py", "-m", "gpu", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """The explorer and the report in headless Chromium; skipped where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        session.skip("no chromium, chromium-browser or google-chrome on the path")
    _sync(session, "--package", "shirg-bench", "--group", "test", *PACKAGES["bench"])
    session.install("playwright>=1.55,<2")
    cases = "packages/shirg-bench/tests/browser_cases.py"
    session.run("pytest", cases, *session.posargs, env={**ONE_THREAD, "SHIRG_CHROMIUM": found})


@nox.session(venv_backend="venv")
def wheels(session: nox.Session) -> None:
    """The four sdists and wheels, installed with pip as users do, answer from an empty folder; downloads packages."""
    folder = Path(session.create_tmp()).resolve()
    built = folder / "dist"
    shutil.rmtree(built, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--all-packages", "--out-dir", str(built), external=True)
    made, sources = sorted(built.glob("*.whl")), sorted(built.glob("*.tar.gz"))
    for path in (*made, *sources):
        if problem := _archive_problem(path):
            session.error(f"{path.name} {problem}")
    session.run("uvx", TWINE, "check", "--strict", *map(str, (*made, *sources)), external=True)
    extras = {"shirg_core": "[cli]", "shirg_bench": "[eval]"}
    pip = ("python", "-m", "pip", "install", "--quiet")
    session.run(*pip, *(f"{path}{extras.get(path.name.split('-')[0], '')}" for path in made))
    empty = folder / "empty"
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir()
    session.chdir(empty)
    session.run("shirg", "samples", "pages")
    _ask(session)
    session.run("shirg", "eval", "--tasks", "shirg_docs", "--limit", "2")
    session.run(*pip, "--no-deps", "--force-reinstall", *map(str, sources))
    _ask(session)


def _ask(session: nox.Session) -> None:
    page = json.loads(Path("pages/samples.json").read_text("utf-8"))[0]
    session.run("shirg", "ask", f"pages/{page['image']}", page["question"], "--json", "answer.json")
    answer = json.loads(Path("answer.json").read_text("utf-8"))["answer"]
    if answer != page["answer"]:
        session.error(f"the installed command answers {answer!r}, not {page['answer']!r}")


def _archive_problem(path: Path) -> str:
    """What an sdist or a wheel lacks or should not hold; empty = nothing."""
    opened = zipfile.ZipFile(path) if path.suffix == ".whl" else tarfile.open(path)  # noqa: SIM115
    with opened as archive:
        names = archive.namelist() if isinstance(archive, zipfile.ZipFile) else archive.getnames()
    needed = [f"/{name}" for name in ("py.typed", "LICENSE", "LICENSE-fonts.txt")[: 3 if "train" in path.name else 2]]
    if missing := [name for name in needed if not any(each.endswith(name) for each in names)]:
        return f"lacks {missing[0]}"
    if strange := [name for name in names if {"tests", "__pycache__"} & {*Path(name).parts} or name.endswith(".png")]:
        return f"holds {strange[0]}"
    return f"has {path.stat().st_size} bytes" if path.stat().st_size > LARGEST_ARCHIVE else ""
