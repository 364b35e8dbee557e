"""Fill build/docs, from which `zensical build` makes the documentation site.

Pages of the repository are taken as they are, in the same folders, so that their links hold; commands, methods and API
are written from the code.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from os.path import normpath
from pathlib import Path
from types import ModuleType

from typer import Context

from shirg_core.cli.commands import command_group
from shirg_core.cli.listing import HEADINGS, table_rows

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "docs"
PAGES = ("*.md", "docs/**/*.md", "docs/site.css", "packages/**/*.md", "findings/README.md")
API = {
    "shirg_core": (
        "",
        ".hf",
        ".methods",
        ".baselines",
        ".scores",
        ".coverage",
        ".budget",
        ".adaptive_budget",
        ".images",
        ".plot",
    ),
    "shirg_lavida": ("",),
    "shirg_train": (".loss", ".noise", ".keep_ratio", ".validation", ".metrics", ".data"),
    "shirg_bench": (
        ".interleave",
        ".memory",
        ".tracking",
        ".results.rows",
        ".results.merge",
        ".plots",
    ),
}
"""Package → its modules with public names."""


def main() -> None:
    """Fill the folder anew."""
    shutil.rmtree(SITE, ignore_errors=True)
    copy_pages()
    write("docs/decisions/README.md", decisions())
    write("docs/commands.md", "".join(commands()))
    write("docs/methods.md", methods())
    for package, modules in API.items():
        write(f"docs/api/{package}.md", "".join(api(package, modules)))


def write(name: str, text: str) -> None:
    """Write one page."""
    path = SITE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def copy_pages() -> None:
    """Take over all pages, and what they show or link to. What a fence says after its language is for tests."""
    waiting = [page for pattern in PAGES for page in ROOT.glob(pattern)]
    for source in waiting:  # which grows
        there = SITE / source.relative_to(ROOT)
        if there.exists():
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix != ".md":
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, there)
            continue
        text = source.read_text(encoding="utf-8")
        there.write_text(re.sub(r"^(```\w+) .+$", r"\1", text, flags=re.MULTILINE), encoding="utf-8")
        links = re.findall(r"\]\(([^)\s#]+)", text)
        waiting += [Path(normpath(source.parent / link)) for link in links if "://" not in link]


def decisions() -> str:
    """The list of decision records."""
    lines = []
    for record in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = record.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({record.name})\n")
    return "# Decisions\n\nChoices that were not obvious, and what they rest on.\n\n" + "".join(lines)


def commands() -> Iterator[str]:
    """Every command with its arguments and options, from its parser."""
    group = command_group()
    yield f"# Commands\n\n{group.help}\n"
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        context = Context(command, info_name=f"shirg {name}")
        usage = command.get_usage(context).removeprefix("Usage: ")
        yield f"\n## shirg {name}\n\n{command.help}\n\n```text\n{usage}\n```\n"
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None:
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                panels.setdefault(parameter.rich_help_panel or kind, []).append(record)
        for title, records in panels.items():
            yield "\n" + table(
                (title, "what", "default"), [(names(what), *split_help(words)) for what, words in records]
            )


def names(what: str) -> str:
    """`-o, --output <path>`, each name as a piece of code that is not broken."""
    return "`" + re.sub("(, | / )", r"`\1`", what) + "`"


def split_help(words: str) -> tuple[str, str]:
    """A help text, and the default that typer wrote behind it."""
    text, _, default = words.partition("  [")
    default = default.removesuffix("]").removeprefix("default: ")
    return text, default[1:-1] if default.startswith("(") and default.endswith(")") else default


def methods() -> str:
    """The registry's table."""
    rows = [(f"`{name}`", *cells) for name, *cells in table_rows()]
    return (
        "# Methods\n\nWhat `--method` and `get_selector` take, as `shirg methods` prints it. "
        "[The API](api/shirg_core.md) has their options, [findings](findings.md) what each is worth.\n\n"
        + table(HEADINGS, rows)
    )


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [headings, ("---",) * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |\n" for cells in lines)


def api(package: str, modules: tuple[str, ...]) -> Iterator[str]:
    """The public names of a package, for mkdocstrings."""
    yield f"# API of {package}\n"
    for module in modules:
        name = f"{package}{module}"
        loaded = import_module(name)
        doc = (loaded.__doc__ or "").partition("\n")[0]
        yield f"\n## `{name}`\n\n{doc}\n"
        for public in public_names(loaded):
            yield f"\n::: {name}.{public}\n    options:\n      heading: {public}\n      toc_label: {public}\n"


def public_names(module: ModuleType) -> list[str]:
    """Classes and functions in `__all__`, or else those defined in the module under a name without underscore."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return [name for name in names if not name.startswith("_") and callable(getattr(module, name))]


if __name__ == "__main__":
    main()
