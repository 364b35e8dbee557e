"""Committed baselines of tracked ratios: a change that makes one worse by more than the tolerance is a regression."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from shirg_core.files import write_text

TOLERANCE = 0.15


@dataclass(frozen=True)
class Baselines:
    """Ratios of an earlier run, by benchmark name, in one JSON file.

    Args:
        path: the JSON file, `{name: ratio}`.
    """

    path: Path

    def read(self) -> dict[str, float]:
        """All baselines.

        Raises:
            FileNotFoundError: there is no baseline file.
        """
        if not self.path.is_file():
            raise FileNotFoundError(f"no baselines at {self.path}; record them with --update-baselines")
        return {str(name): float(ratio) for name, ratio in json.loads(self.path.read_text()).items()}

    def write(self, ratios: dict[str, float]) -> None:
        """Add or replace baselines, keeping the others."""
        known = self.read() if self.path.is_file() else {}
        merged = {**known, **{name: round(ratio, 4) for name, ratio in ratios.items()}}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, json.dumps(dict(sorted(merged.items())), indent=2) + "\n")


def regression(name: str, ratio: float, baselines: dict[str, float], tolerance: float = TOLERANCE) -> str | None:
    """A message naming the ratio, the baseline and the change when `ratio` regressed; None when it did not.

    Raises:
        KeyError: there is no baseline of that name.
    """
    if name not in baselines:
        raise KeyError(f"{name} has no baseline; record one with --update-baselines")
    change = ratio / baselines[name] - 1
    if change <= tolerance:
        return None
    return (
        f"{name}: ratio {ratio:.3f} against baseline {baselines[name]:.3f}, {change:+.0%} (tolerance {tolerance:+.0%})"
    )
