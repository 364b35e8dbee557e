"""`impl=`: what each name means, and that an explicit one never falls back."""

import os
import subprocess
import sys

import pytest
import torch

from shirg_core import ViewLayout, shirg_v3
from shirg_core.selection import preset, reference

pytest.importorskip("triton", reason="Triton is not installed on this platform")
X = torch.zeros(1, 4, 8)


def run(code, **env):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("impl", ["auto", "reference"])
def test_cpu_tensors_use_the_reference(impl):
    assert preset.backend(impl, X) is reference.select


def test_an_unknown_name_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"auto, reference, triton, got 'cuda'"):
        shirg_v3(2)(X, ViewLayout.single(2, 2), impl="cuda")


def test_triton_on_a_cpu_tensor_says_what_it_needs():
    with pytest.raises(RuntimeError, match=r"TRITON_INTERPRET=1 must be set before"):
        shirg_v3(2)(X, ViewLayout.single(2, 2), impl="triton")


def test_auto_prefers_the_kernels_on_cuda_unless_a_compiler_is_looking(monkeypatch):
    class CudaTensor:
        is_cuda = True

    from shirg_core.selection import triton

    assert preset.backend("auto", CudaTensor()) is triton.select
    assert preset.backend("triton", CudaTensor()) is triton.select
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert preset.backend("auto", CudaTensor()) is reference.select
    monkeypatch.undo()
    monkeypatch.setattr(preset, "find_spec", {}.get)
    assert preset.backend("auto", CudaTensor()) is reference.select


def test_a_coverage_without_kernels_is_refused_by_name_and_avoided_by_auto():
    class CudaTensor:
        is_cuda = True

    selector = shirg_v3(2, coverage="quadtree")
    with pytest.raises(ValueError, match=r"coverage='quadtree' has no kernels: use impl='reference' or 'auto'"):
        selector(X, ViewLayout.single(2, 2), impl="triton")
    assert preset.backend("auto", CudaTensor(), "quadtree") is reference.select


def test_importing_the_package_leaves_triton_alone():
    done = run("import shirg_core, sys; shirg_core.shirg_v3; sys.exit('shirg_core.kernels' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_the_switch_must_come_before_triton_is_imported():
    code = (
        "import os, torch, triton; os.environ['TRITON_INTERPRET'] = '1'\n"
        "from shirg_core import ViewLayout, shirg_v3\n"
        "try: shirg_v3(2)(torch.zeros(1, 4, 8), ViewLayout.single(2, 2), impl='triton')\n"
        "except RuntimeError as error: print(error)\n"
    )
    assert "before triton is first imported" in run(code).stdout
