"""Which families there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shirg_lavida.families.dream import DREAM
from shirg_lavida.families.family import Family
from shirg_lavida.families.llada import LLADA

FAMILIES = {family.model_type: family for family in (LLADA, DREAM)}
"""Families by `model_type` of `config.json`."""


def family_of(config: Mapping[str, Any]) -> Family:
    """The family of a checkpoint, by its `config.json`.

    Raises:
        ValueError: none that is known.
    """
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise ValueError(f"not a LaViDa config: model_type must be one of {', '.join(FAMILIES)}, got {kind!r}")
    return FAMILIES[kind]
