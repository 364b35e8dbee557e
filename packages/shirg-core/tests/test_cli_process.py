import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from PIL import Image

from shirg_core.cli.app import main


def listen():
    """Ctrl-C as in a terminal, even where whoever runs the tests ignores it, as shells do in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen,
        **options,
    )


def run(*argv, stdout=subprocess.PIPE, unbuffered=False):
    code = "import sys; from shirg_core.cli.app import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, argv)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1" if unbuffered else ""},
    )


@pytest.mark.parametrize("delay", [round(0.02 + 0.1 * i, 2) for i in range(6)])
@pytest.mark.parametrize("argv", [["--help"], ["select", "page.png"]], ids=" ".join)
def test_ctrl_c_at_any_moment_is_130_without_a_traceback(tmp_path, delay, argv):
    Image.new("RGB", (1500, 1500), "white").save(tmp_path / "page.png")
    # The interpreter's own start, of which no program decides, is over where the line is printed.
    code = f"""
        import sys
        print("started", flush=True)
        from shirg_core.cli import app
        sys.argv[1:] = {argv!r}
        sys.exit(app.main())
    """
    process = start(code, cwd=tmp_path)
    assert process.stdout.readline() == "started\n"
    time.sleep(0.15 + delay)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # It may have been done before.
    assert process.returncode in (130, 0), err
    assert process.returncode == 130 or out
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["page.png"]


SWALLOWED = {
    "by an import": "import swallows",
    "by a handler": "try:\n    wait()\nexcept BaseException: pass",
    "by a finaliser": "Finalised()",
    "after the end": "",
}


@pytest.mark.parametrize("where", SWALLOWED)
def test_a_swallowed_ctrl_c_still_is_130(tmp_path, where):
    (tmp_path / "swallows.py").write_text("from __main__ import wait\ntry:\n    wait()\nexcept BaseException: pass\n")
    code = f"""
        import sys, time
        sys.path.insert(0, ".")
        from shirg_core.cli import app, commands
        def wait():
            print("waiting", flush=True)
            time.sleep(5)
        class Finalised:
            def __del__(self): wait()
        def run(argv):
            exec({SWALLOWED[where]!r}, globals())
            return 0
        commands.run = run
        code = app.main()
        if {where == "after the end"}: wait()
        sys.exit(code)
    """
    process = start(code, cwd=tmp_path)
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


def test_ctrl_c_while_the_interpreter_ends_changes_nothing():
    code = """
        import sys, time
        from shirg_core.cli import app, commands
        class Slow:
            def __del__(self, write=sys.stdout.write, flush=sys.stdout.flush, sleep=time.sleep):
                write("ending\\n")
                flush()
                sleep(1)
        sys.kept = Slow()
        commands.run = lambda argv: 0
        sys.exit(app.main())
    """
    process = start(code)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_ctrl_c_in_a_command_removes_half_written_files(tmp_path):
    code = """
        import sys, time
        from pathlib import Path
        from shirg_core.cli import app, commands
        from shirg_core.files import atomic_path
        def run(argv):
            with atomic_path(Path("out.txt")) as path:
                print("writing", flush=True)
                time.sleep(5)
        commands.run = run
        sys.exit(app.main())
    """
    process = start(code, cwd=tmp_path)
    assert process.stdout.readline() == "writing\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert not list(tmp_path.iterdir())


def test_an_ignored_ctrl_c_stays_ignored():
    code = """
        import signal, sys, time
        from shirg_core.cli import app, commands
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        def run(argv):
            print("waiting", flush=True)
            time.sleep(0.5)
            return 0
        commands.run = run
        sys.exit(app.main())
    """
    process = start(code)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_call_from_python_leaves_signals_alone():
    before = signal.getsignal(signal.SIGINT)
    assert main(["--version"]) == 0
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize(
    ("argv", "buffered"),
    [(["--help"], "to standard output"), (["--version"], "to standard output"), (["methods"], "the output")],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_full_standard_output_is_one_line(argv, buffered):
    for unbuffered, where in ((False, buffered), (True, "the output")):
        with Path("/dev/full").open("w") as full:
            done = run(*argv, stdout=full, unbuffered=unbuffered)
        assert done.stderr == f"shirg: error: cannot write {where}: No space left on device\n"
        assert done.returncode == 2


@pytest.mark.parametrize("argv", [["--help"], ["methods"], ["select", "page.png", "--json", "-"]])
def test_a_reader_that_has_read_enough_costs_no_traceback(tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40), "white").save(tmp_path / "page.png")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = run(*argv, stdout=closed)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_ctrl_c_under_a_spinner_gives_the_cursor_back(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\ntime.sleep(0.5)\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    )
    code = """
        from shirg_core.cli.interrupts import Interrupts
        from shirg_core.progress import spinner
        Interrupts().install()
        with spinner("loading"):
            import slow
    """
    controller, terminal = os.openpty()
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        stderr=terminal,
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(tmp_path)},
        preexec_fn=listen,
        timeout=60,
        check=False,
    )
    os.close(terminal)
    shown = os.read(controller, 65536)
    os.close(controller)
    assert ended.returncode == 130
    assert b"loading" in shown
    assert shown.endswith(b"\x1b[?25h")
