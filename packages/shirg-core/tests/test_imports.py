"""shirg_core alone needs torch and nothing else, and stays light."""

import subprocess
import sys

BLOCKED = (
    "PIL",
    "numpy",
    "typer",
    "rich",
    "matplotlib",
    "transformers",
    "pypdfium2",
    "peft",
    "accelerate",
    "hypothesis",
)

# A module that is None in sys.modules cannot be imported, as if it were not installed.
WITHOUT_EXTRAS = f"""
import sys

sys.modules.update(dict.fromkeys({BLOCKED!r}))
import torch
from shirg_core import ViewLayout, anyres_layout, shirg_v2, shirg_v3
from shirg_core.hf import prune, pruning

layout = ViewLayout.anyres(1, 2, 4)
x = torch.randn(2, layout.n_tokens, 8)
v3 = shirg_v3(budget=12)(x, layout)
v2 = shirg_v2(budget=12)(x, layout, text=torch.randn(2, 3, 8), edges=torch.rand(2, layout.n_tokens))
assert v3.tokens.shape == v2.tokens.shape == (2, 13, 8)
assert anyres_layout((900, 600)).n_tokens == 3645
assert callable(prune) and callable(pruning)
loaded = [m for m in {BLOCKED!r} if sys.modules[m] is not None]
assert not loaded, loaded
"""

ADDED_BY_SHIRG = """
import sys
import torch
before = set(sys.modules)
import shirg_core
print(*sorted(set(sys.modules) - before))
import shirg_core.plot
print("matplotlib" in sys.modules)
"""


def run(code):
    # Torch warns once that it was built with numpy and finds none: that is torch's affair.
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


def test_torch_is_the_only_dependency():
    done = run(WITHOUT_EXTRAS)
    assert done.returncode == 0, done.stderr


def test_importing_brings_in_nothing_but_itself():
    """Above all not torch's compiler, which takes longer to import than torch itself; plots wait for matplotlib."""
    done = run(ADDED_BY_SHIRG)
    assert done.returncode == 0, done.stderr
    ours = ("shirg_core", *sys.stdlib_module_names)
    added, drawing = done.stdout.splitlines()
    foreign = [name for name in added.split() if name.split(".")[0] not in ours]
    assert not foreign
    assert drawing == "False"
