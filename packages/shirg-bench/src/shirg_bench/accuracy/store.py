"""Answers on disk, one file per variant and chunk of pages, so that a killed run goes on where it stood."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from shirg_core.files import atomic_path, write_text


@dataclass(frozen=True)
class Answers:
    """P pages, Q questions of each, L answer tokens, T diffusion times.

    Attributes:
        given: `[P, Q, L]` ids that the model answered.
        correct: `[P, Q]` bool, all L ids are right.
        kept: `[P, Q]` kept tokens.
        visual: `[P, Q]` entries of the prefix that stand for the page, newlines and summary included.
        shown: `[P, Q]` share of the true answer's characters whose patch is among the kept tokens; NaN where tokens are
            mixtures of patches. What is dropped cannot be read; what is kept may still be misread.
        nll: `[P]` sum of the page's weighted cross-entropies, see `shirg_train.validation`; 0 where not measured.
        scored: `[P]` what to divide it by, T times the page's scored tokens; 0 where not measured.
    """

    given: NDArray[np.int64]
    correct: NDArray[np.bool_]
    kept: NDArray[np.int64]
    visual: NDArray[np.int64]
    shown: NDArray[np.float64]
    nll: NDArray[np.float64]
    scored: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """Chunks as one, in their order."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


@dataclass(frozen=True)
class Store:
    """A folder of chunks.

    Args:
        folder: created when the first chunk is written.
        about: what all answers of this run depend on (weights, code, versions, …); other values, other files.
    """

    folder: Path
    about: Mapping[str, Any]

    def read(self, facts: Mapping[str, Any], pages: range) -> Answers | None:
        """The chunk, None when it has not been computed.

        Raises:
            ValueError: a damaged file.
        """
        path = self._path(facts, pages)
        if not path.is_file():
            return None
        try:
            # Opened here, because NumPy leaves the files open that it cannot read.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return Answers(*(arrays[f.name] for f in fields(Answers)))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ValueError(f"{path} is no chunk of answers ({error}); delete it to compute it again") from error

    def write(self, facts: Mapping[str, Any], pages: range, answers: Answers) -> None:
        """Keep a chunk."""
        path = self._path(facts, pages)
        path.parent.mkdir(parents=True, exist_ok=True)
        card = path.parent / "about.json"
        if not card.is_file():
            write_text(card, json.dumps(self._key(facts), indent=2, sort_keys=True) + "\n")
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **{f.name: getattr(answers, f.name) for f in fields(answers)})

    def _path(self, facts: Mapping[str, Any], pages: range) -> Path:
        text = json.dumps(self._key(facts), sort_keys=True)
        name = blake2b(text.encode(), digest_size=10).hexdigest()
        return self.folder / name / f"{pages.start}-{pages.stop}.npz"

    def _key(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        # Two levels: a name that stands in both must not hide one of them.
        return {"run": self.about, "variant": facts}
