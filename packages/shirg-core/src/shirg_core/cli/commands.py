"""The command group: subcommands are the entry points of the group `shirg.commands`, each imported when it is needed.

An entry point names a plain function with typer annotations, or a `typer.Typer`. Its module must be cheap to import
(models and torch inside the function), because `shirg --help` imports them all.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from shirg_core.checks import check_known
from shirg_core.cli.errors import BadInput, bad_input

ENTRY_POINT_GROUP = "shirg.commands"
HELP = {"help_option_names": ["-h", "--help"]}
IMAGES = typer.Argument(
    metavar="IMAGE",
    help="PNG, JPEG, WebP, TIFF, BMP, GIF, PPM or PDF, or folders of them; - is standard input.",
    show_default=False,
)
PAGES = typer.Option("--page", "--pages", help="Pages of a PDF or TIFF, from 1: 2, 1-3,5 or all.")
PICTURE = typer.Option("--output", "-o", help="Picture of what was kept; of several images, a folder for pictures.")
SUMMARY = typer.Option("--json", help="Machine-readable summary, of several images JSON Lines; - is standard output.")
BUDGET = typer.Option(help="Visual tokens to keep: a count, 0.25, 1/4 or 25%.")
PAGE = typer.Option(help="Page of a PDF or TIFF, from 1.")
SILENT = typer.Option("--quiet", "-q", help="Neither report nor progress.")
QUIET = typer.Option("--quiet", "-q", help="No progress on standard error.")


class CommandGroup(TyperGroup):
    """Loads subcommands by name. One that cannot be imported costs a line on stderr and leaves the others alone."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._entry_points = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
        self._failures: dict[str, str] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (typer's signature)
        """Names of all subcommands."""
        return sorted(self._entry_points)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The subcommand, or None if it does not exist or is broken."""
        if cmd_name not in self.commands and cmd_name in self._entry_points and cmd_name not in self._failures:
            entry = self._entry_points[cmd_name]
            try:
                self.commands[cmd_name] = _command(entry)
            except Exception as error:  # noqa: BLE001 (another package's import may fail in any way)
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                self._failures[cmd_name] = f"command {cmd_name!r} ({entry.value}) cannot be loaded: {reason}"
                sys.stderr.write(f"shirg: warning: {self._failures[cmd_name]}\n")
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the subcommand to run; asking for a broken one is an error, but not one of usage."""
        with bad_input(ValueError):
            check_known(args[0], self.list_commands(ctx), "command")
        self.get_command(ctx, args[0])
        if args[0] in self._failures:
            raise typer.Exit(1)
        return super().resolve_command(ctx, args)


def command_group() -> Any:
    """`shirg` with all of its subcommands, as typer's command."""
    app = typer.Typer(cls=CommandGroup, context_settings=HELP)
    app.callback(invoke_without_command=True)(shirg)
    return typer.main.get_command(app)


def run(argv: list[str]) -> int:
    """Parse and run; exit code.

    Raises:
        BadInput: a usage error, or what a command refuses.
    """
    try:
        result = command_group().main(argv, prog_name="shirg", standalone_mode=False)
    except typer.TyperException as error:
        raise BadInput(error.format_message()) from error
    except typer.Abort as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        return 1
    return result if isinstance(result, int) else 0


def shirg(
    ctx: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Choose which visual tokens a vision-language model sees: exactly K, once, with every region represented."""
    if show_version:
        typer.echo(f"shirg {version('shirg-core')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def _command(entry: EntryPoint) -> Any:
    target = entry.load()
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False, context_settings=HELP)
        app.command(entry.name)(target)
        target = app
    command = typer.main.get_command(target)
    command.name = entry.name
    return command
