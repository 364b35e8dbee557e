"""What starting costs: `shirg ask` on the embedded model, and `shirg --help`, against `import torch`.

In processor time of whole processes, from their start to their end, with compiled bytecode.
"""

import os
import resource
import subprocess
import sys

import pytest

from shirg_bench.latency.subject import text_page

SHIRG, QUESTION = "from shirg_core.cli.app import main; main()", "What is the value of total?"
PAIRS = 7


def spent():
    """Milliseconds of processor time of all child processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (used.ru_utime + used.ru_stime)


@pytest.mark.parametrize("command", ["ask", "--help"])
def test_start_against_torch_alone(track, tmp_path, command):
    text_page().save(tmp_path / "page.png")
    given = ["ask", "page.png", QUESTION, "--seed", "0"] if command == "ask" else [command]
    # As everywhere but in containers that say otherwise: the first run compiles, and the others find it done.
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(code, *argv):
        subprocess.run([sys.executable, "-c", code, *argv], cwd=tmp_path, env=env, capture_output=True, check=True)

    run(SHIRG, *given)
    track(
        f"start-{command.strip('-')}-over-torch",
        lambda: run(SHIRG, *given),
        lambda: run("import torch"),
        pairs=PAIRS,
        now=spent,
    )
