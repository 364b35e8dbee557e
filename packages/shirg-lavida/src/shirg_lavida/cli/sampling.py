"""The sampler's options as a command's options, one each, from `SamplingOptions`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from shirg_lavida.sampling.options import VALUES, type_of

PANEL = "Sampling"
NAMES = ("views", "max_new_tokens", *(option.name for option in VALUES))
"""Options of the command that are arguments of the library, which refuses their values."""
Command = TypeVar("Command", bound=Callable[..., None])


def with_sampling_options(command: Command) -> Command:
    """`command(…, **sampling)` as typer is to see it: with an option, None unless given, for each of `VALUES`."""
    # Evaluated here: typer takes annotations of a signature that is set as they are, text and all.
    signature = inspect.signature(command, eval_str=True)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    for option in VALUES:
        shown = option.metadata["shown"] or (str(option.default) if option.default is not None else False)
        kind = Annotated[  # type: ignore[valid-type]  # made here, for typer alone
            type_of(option) | None,
            typer.Option(help=option.metadata["help"], show_default=shown, rich_help_panel=PANEL),
        ]
        own.append(inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind))
        command.__annotations__[option.name] = kind
    command.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    return command


def given(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the user gave."""
    return {name: value for name, value in sampling.items() if value is not None}
