"""`impl="triton"` on CPU tensors by way of the PTX machine."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import triton

from ..launches import Launch, compile_for, handing_over, specialisation
from .clock import Clock
from .machine import run
from .parse import Code, parse
from .translate import Translator


@functools.lru_cache(maxsize=64)
def translated(ptx: str) -> tuple[Code, list[Callable]]:
    """A module's kernel and its blocks as functions."""
    code = parse(ptx)
    return code, Translator(code).functions()


def execute(
    launch: Launch,
    target: str,
    seed: int = 0,
    edit: Callable[[str], str] = str,
    clocks: list[Clock] | None = None,
) -> None:
    """Compile a launch for a target, `edit` the code, and run it on the launch's own tensors (see `machine.run`)."""
    compiled = compile_for(launch, target)
    code, blocks = translated(edit(compiled.asm["ptx"]))
    signature, _, _ = specialisation(launch)
    arguments = [value for name, value in launch.arguments if signature[name] != "constexpr"]
    run(code, blocks, launch.grid, arguments, compiled.metadata.shared, seed, clocks)


@contextlib.contextmanager
def on_ptx_machine(target: str, seed: int = 0) -> Iterator[None]:
    """Run what is launched as the target's code; programs come in an order drawn from the seed.

    Raises:
        RuntimeError: Triton interprets, or nothing was launched.
    """
    if triton.knobs.runtime.interpret:
        raise RuntimeError("there is no compiled code where Triton interprets (TRITON_INTERPRET)")
    launched = []

    def launch_and_count(launch: Launch) -> None:
        launched.append(launch.name)
        execute(launch, target, seed)

    with handing_over(launch_and_count, target):
        yield
    if not launched:
        raise RuntimeError("nothing was launched")
