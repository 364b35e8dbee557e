"""What a call would launch, recorded without a GPU, and compiled ahead of time for GPUs that are not here.

`record` replaces `JITFunction.run`: a selection on CPU tensors then yields its launches, with the types and the
specialisation (16-byte alignment, integers equal to 1) that the same call on a GPU would compile.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

POINTERS = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.float64: "*fp64",
    torch.int64: "*i64",
    torch.int32: "*i32",
    torch.bool: "*i1",
}
TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
SHARED_LIMIT = {"sm_80": 163 * 1024, "sm_90": 227 * 1024, "sm_100": 227 * 1024, "gfx942": 64 * 1024}


@dataclass(frozen=True)
class Launch:
    """One kernel launch."""

    kernel: triton.JITFunction
    grid: tuple[int, ...]
    arguments: tuple[tuple[str, object], ...]
    options: tuple[tuple[str, object], ...]

    @property
    def name(self) -> str:
        return self.kernel.fn.__name__


@dataclass(frozen=True)
class Figures:
    """What the compiler made of a launch: registers per thread, bytes, the assembly, and the assembler's remarks."""

    kernel: str
    target: str
    registers: int
    spilled_bytes: int
    shared_bytes: int
    code: str
    remarks: str = ""

    def __str__(self) -> str:
        return (
            f"{self.target:7} {self.kernel:18} {self.registers:4} registers, {self.spilled_bytes} bytes spilled, "
            f"{self.shared_bytes} bytes shared"
        )


@contextlib.contextmanager
def handing_over(launch_with, target="sm_90"):
    """Hand every launch for a target to a function instead of running it."""

    def run(self, *args, grid, **kwargs):
        del kwargs["warmup"]
        names = [p.name for p in self.params]
        options = tuple((name, kwargs.pop(name)) for name in set(kwargs) - set(names))
        arguments = dict(zip(names, args, strict=False)) | kwargs
        assert list(arguments) == names, f"{self.fn.__name__}: {set(names) ^ set(arguments)}"
        launch_with(Launch(self, tuple(grid), tuple(arguments.items()), options))

    with (
        mock.patch.object(triton.JITFunction, "run", run),
        mock.patch("shirg_core.selection.triton.check_device", return_value=None),
        mock.patch("shirg_core.kernels.configs.is_hopper", return_value=target == "sm_90"),
    ):
        yield


@contextlib.contextmanager
def record(target="sm_90"):
    """Collect the launches for a target instead of running them."""
    launches = []
    with handing_over(launches.append, target):
        yield launches


def specialisation(launch: Launch) -> tuple[dict[str, str], dict[tuple[int], object], dict[tuple[int], list]]:
    """What a launch compiles for: types, constants, and divisibility by 16. Launches that agree share a binary."""
    signature, constants, attributes = {}, {}, {}
    for place, (parameter, (name, value)) in enumerate(zip(launch.kernel.params, launch.arguments, strict=True)):
        plain = parameter.do_not_specialize
        if parameter.is_constexpr or value is None or (type(value) is int and value == 1 and not plain):
            signature[name], constants[(place,)] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            signature[name] = POINTERS[value.dtype]
            if value.data_ptr() % 16 == 0:
                attributes[(place,)] = [["tt.divisibility", 16]]
        elif isinstance(value, int):
            signature[name] = "i32"
            if value % 16 == 0 and not plain:
                attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "fp32"
    return signature, constants, attributes


def compile_for(launch: Launch, target: str) -> triton.compiler.CompiledKernel:
    """Compile one launch ahead of time.

    Raises:
        Exception: whatever the compiler says.
    """
    signature, constants, attributes = specialisation(launch)
    source = ASTSource(fn=launch.kernel, signature=signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=TARGETS[target], options=dict(launch.options))


def figures(launch: Launch, target: str) -> Figures:
    """What the compiler makes of a launch."""
    compiled = compile_for(launch, target)
    shared = compiled.metadata.shared
    if target == "gfx942":
        code = compiled.asm["amdgcn"]
        registers = int(re.search(r"\.vgpr_count:\s*(\d+)", code).group(1))
        spilled = int(re.search(r"\.vgpr_spill_count:\s*(\d+)", code).group(1)) * 4
        return Figures(launch.name, target, registers, spilled, shared, code)
    code = compiled.asm["ptx"]
    remarks = _assemble(code, target)
    registers = int(re.search(r"Used (\d+) registers", remarks).group(1))
    spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", remarks))
    return Figures(launch.name, target, registers, spilled, shared, code, remarks)


def _assemble(ptx: str, target: str) -> str:
    """The assembler's report."""
    arch = target + ("" if target == "sm_80" else "a")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(ptx)
        tool = get_ptxas(int(target.removeprefix("sm_"))).path
        command = [tool, "-v", f"--gpu-name={arch}", str(source), "-o", str(Path(folder, "kernel.cubin"))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr
