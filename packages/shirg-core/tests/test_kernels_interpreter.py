"""The kernels against the reference without a GPU: `interpreter_cases.py` in a process where Triton interprets."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="Triton is not installed on this platform")

CASES = Path(__file__).with_name("interpreter_cases.py")


def test_kernels_match_the_reference_under_the_interpreter(tmp_path, record_testsuite_property):
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", str(CASES)],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    suite = ElementTree.parse(report).getroot().find("testsuite")
    counts = {p.get("name"): int(p.get("value")) for p in suite.iter("property")}
    assert counts["cases"] >= 200
    assert int(suite.get("tests")) > counts["cases"]
    assert int(suite.get("skipped")) == 0
    for name, count in counts.items():
        record_testsuite_property(f"interpreter_{name}", count)
