"""Reading the ledger from YAML: claims are a list of mappings with the keys of `Claim`, numbers a list of groups."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml

from shirg_bench.ledger.claim import Claim, LedgerError, Reference, names_in

CLAIMS, NUMBERS = ("proposals.yaml", "papers.yaml", "withdrawn.yaml"), "numbers.yaml"
REQUIRED = ("id", "claim", "source", "verdict", "measured", "command")
OPTIONAL = ("note", "bar")
GROUP = ("file", "match", "value", "numbers")


def shipped_numbers() -> dict[str, Reference]:
    """Every number that shipped claims may show."""
    return read_numbers(_shipped(NUMBERS))


def shipped_claims() -> list[Claim]:
    """The claims of both proposals, those of the papers they lean on, and those that this project withdrew."""
    numbers = shipped_numbers()
    return _unique([claim for name in CLAIMS for claim in read_claims(_shipped(name), numbers)])


def read_claims(text: str, numbers: Mapping[str, Reference]) -> list[Claim]:
    """The claims of one file's text.

    Raises:
        LedgerError: not a list of mappings, a key that is unknown or missing, or an id that is there twice.
    """
    claims = []
    for entry in _entries(text):
        _check_keys(entry, REQUIRED, OPTIONAL)
        names = names_in(str(entry["measured"]), str(entry.get("bar", "")))
        claims.append(Claim(**entry, numbers={name: numbers[name] for name in sorted(names) if name in numbers}))
    return _unique(claims)


def read_numbers(text: str) -> dict[str, Reference]:
    """The numbers of one file's text.

    Raises:
        LedgerError: not a list of groups, or a name that is there twice.
    """
    numbers: dict[str, Reference] = {}
    for group in _entries(text):
        _check_keys(group, GROUP, ())
        for name, match in group["numbers"].items():
            if name in numbers:
                raise LedgerError(f"number {name!r} is defined twice")
            numbers[name] = Reference(group["file"], {**group["match"], **match}, group["value"])
    return numbers


def _shipped(name: str) -> str:
    return (files("shirg_bench.ledger") / "claims" / name).read_text("utf-8")


def _entries(text: str) -> list[dict[str, Any]]:
    try:
        entries = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LedgerError(f"not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise LedgerError(f"must be a list of mappings, got {str(entries)[:80]!r}")
    return entries


def _check_keys(entry: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in entry]
    unknown = [name for name in entry if name not in (*required, *optional)]
    if missing or unknown:
        raise LedgerError(f"{str(dict(entry))[:80]}: missing keys {missing}, unknown keys {unknown}")


def _unique(claims: list[Claim]) -> list[Claim]:
    ids = [claim.id for claim in claims]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        raise LedgerError(f"claims share an id: {', '.join(twice)}")
    return claims
