import subprocess
import sys

import pytest

# A module that is None in sys.modules cannot be imported, as if it were not installed.
WITHOUT = "import sys; sys.modules[{name!r}] = None; from shirg_core.cli.app import main; sys.exit(main({argv!r}))"


@pytest.mark.parametrize(
    ("name", "argv", "extra"),
    [
        ("lmms_eval", ["eval", "--tasks", "shirg_docs", "--limit", "1"], "shirg-bench[eval]"),
        ("onnx", ["pages"], "shirg-bench[real]"),
        ("pypdfium2", ["select", "page.pdf"], "shirg-core[cli]"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(name, argv, extra, tmp_path):
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.4\n")
    code = WITHOUT.format(name=name, argv=argv)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == f"shirg: error: the command needs {name}, which is not installed: install {extra}\n"
    assert (done.returncode, done.stdout) == (1, "")
