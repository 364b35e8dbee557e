"""The options of `shirg ablate`, checked before anything is loaded."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from shirg_bench.accuracy.compare import ABLATIONS, BY_LINE, LEARNED, NEEDS_ADAPTERS
from shirg_bench.accuracy.methods import table_method
from shirg_bench.names import distinct_names
from shirg_bench.results.words import tier_words
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.checks import check_choice
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import parse_any_budget
from shirg_lavida.cli.paths import model_location
from shirg_train.testbed.pages.config import TIER_WORDS, Split, tier_of

BUDGET, KINDS, ADAPTIVE = "budget", "kinds", "adaptive"
SPLITS: tuple[Split, ...] = ("test", "valid")
TABLES = (BUDGET, KINDS, ADAPTIVE, *ABLATIONS, LEARNED)
"""What can be measured."""
EMBEDDED, EMBEDDED_REGIME = "micro", "frozen tower"
"""The model that is measured when none is named, and how it was trained."""


@dataclass(frozen=True)
class AblateOptions:
    """The command's options as they came.

    Args:
        what: names with commas between them; None = everything.
        model: a folder, or an embedded model's name; a folder wins. None = `EMBEDDED`, whatever folders there are.
        adapters: `name=folder` each.
        runs: the same of micro training runs.
        pages: per tier.
        tiers: `plain` and `cluttered`, or the rows' own names for them.
        regime: None = the embedded model's, and only for this one.
        methods: of the budget table, names with commas between them; None = every one.
        budget: of the adaptive table, `auto` or `auto:LOW-HIGH@NATS`; None = `auto`.
        split: whose pages are asked, `test`, or `valid` to calibrate.
        seed: of random selections.
        output: folder for results.
        chunks: folder for answers.

    Raises:
        BadInput: a name that is not known, or something malformed.
    """

    what: str | None
    model: str | None
    adapters: tuple[str, ...]
    runs: tuple[str, ...]
    pages: int
    tiers: tuple[str, ...]
    regime: str | None
    methods: str | None
    budget: str | None
    split: str
    seed: int
    output: Path
    chunks: Path

    def __post_init__(self) -> None:
        if wrong := [name for name in self.names if name not in TABLES]:
            raise BadInput(f"--what must name some of {', '.join(TABLES)}, got {wrong[0]!r}")
        if wrong := [name for name in self.tiers if tier_of(name) not in TIER_WORDS]:
            raise BadInput(f"--tiers must name some of {', '.join(TIER_WORDS.values())}, got {wrong[0]!r}")
        with bad_input(ValueError, prefix="--methods: "):
            _ = self.chosen
        _ = self.adaptive
        with bad_input(ValueError):
            check_choice("--split", self.split, SPLITS)
        if self.regime is not None and not self.regime.strip():
            raise BadInput(f"--regime must say how the model was trained, got {self.regime!r}")
        if self.regime is None and self.location.resolve() != Path(model_location(None, EMBEDDED)).resolve():
            raise BadInput(f"--regime must say how the model in {self.model} was trained")
        for option, given, folders in (
            ("--adapter", self.adapters, self.adapter_folders),
            ("--run", self.runs, self.run_folders),
        ):
            if len(folders) < len(given):
                raise BadInput(f"{option} names must be unique, got {' '.join(given)}")
        for option, value, tables in (
            ("--adapter", self.adapters, NEEDS_ADAPTERS),
            ("--run", self.runs, (LEARNED,)),
            ("--methods", self.methods, (BUDGET,)),
            ("--budget", self.budget, (ADAPTIVE,)),
        ):
            if value and not set(tables) & set(self.names):
                raise BadInput(f"{option} is for --what {' or '.join(tables)}, got --what {self.what}")
        if both := self.adapter_folders.keys() & self.run_folders.keys():
            raise BadInput(f"--adapter and --run must not share the name {min(both)!r}")

    @property
    def location(self) -> Path:
        """The model's folder.

        Raises:
            BadInput: an embedded model that cannot be loaded.
        """
        return Path(model_location(self.model, EMBEDDED))

    @property
    def names(self) -> tuple[str, ...]:
        """What to measure, each once."""
        return TABLES if self.what is None else distinct_names(self.what)

    @property
    def tier_ids(self) -> tuple[str, ...]:
        """The tiers as rows hold them, each once."""
        return tuple(dict.fromkeys(tier_of(name) for name in self.tiers))

    @property
    def chosen(self) -> tuple[str, ...] | None:
        """Methods of the budget table; None = every one."""
        if self.methods is None:
            return None
        return tuple(dict.fromkeys(map(table_method, distinct_names(self.methods))))

    @property
    def adaptive(self) -> AdaptiveBudget:
        """Of the adaptive table.

        Raises:
            BadInput: a fixed budget, or a malformed one.
        """
        budget = AdaptiveBudget() if self.budget is None else parse_any_budget(self.budget)
        if not isinstance(budget, AdaptiveBudget):
            raise BadInput(f"--budget is that of --what adaptive, such as auto:0.08-0.5, got {self.budget!r}")
        return budget

    @property
    def adapter_folders(self) -> dict[str, Path]:
        """Name → folder of an adapter."""
        return _named_folders("--adapter", self.adapters)

    @property
    def run_folders(self) -> dict[str, Path]:
        """Name → folder of a training run."""
        return _named_folders("--run", self.runs)

    def is_whole(self, what: str) -> bool:
        """Whether all of a table is measured, not only some methods' or adapters' lines."""
        return what not in BY_LINE and (what != BUDGET or self.methods is None)

    def command(self, what: str) -> str:
        """How to measure one table again, in the folder where it was measured."""
        parts = ["shirg", "ablate", "--what", what]
        if self.model is not None:
            parts += ["--model", shown(Path(self.model))]
        tiers = ",".join(map(tier_words, self.tier_ids))
        parts += ["--pages", str(self.pages), "--tiers", tiers, "--seed", str(self.seed)]
        if self.split != SPLITS[0]:
            parts += ["--split", self.split]
        if self.regime is not None:
            parts += ["--regime", self.regime]
        if what == BUDGET and self.chosen is not None:
            parts += ["--methods", ",".join(self.chosen)]
        if what == ADAPTIVE:
            parts += ["--budget", str(self.adaptive)]
        if what in NEEDS_ADAPTERS:
            parts += [f"--adapter={name}={shown(folder)}" for name, folder in self.adapter_folders.items()]
        if what == LEARNED:
            parts += [f"--run={name}={shown(folder)}" for name, folder in self.run_folders.items()]
        return shlex.join(parts)


def _named_folders(option: str, given: tuple[str, ...]) -> dict[str, Path]:
    pairs = [text.partition("=") for text in given]
    if wrong := [text for text, pair in zip(given, pairs, strict=True) if not (pair[0] and pair[2])]:
        raise BadInput(f"{option} must be NAME=FOLDER, got {wrong[0]!r}")
    return {name: Path(folder) for name, _, folder in pairs}


def shown(folder: Path) -> str:
    """A folder as a record names it: below the present one, or by its name alone, because records outlive machines."""
    if not folder.is_absolute():
        return folder.as_posix()
    here = Path.cwd()
    return folder.relative_to(here).as_posix() if folder.is_relative_to(here) else folder.name
