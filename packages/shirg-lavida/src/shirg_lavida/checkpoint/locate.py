"""Finding a checkpoint or a tower: a folder on this machine, or a repository on the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

from huggingface_hub import snapshot_download

PathOrId: TypeAlias = str | Path
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_CONFIG_FILES = ["*.json", "*.txt", "*.model", "*.jinja"]


def locate(location: PathOrId, root: Path, *, weights: bool) -> Path:
    """The folder that `location` means: relative to `root`, absolute, or downloaded from the hub.

    Args:
        location: a folder or a hub id; a folder wins.
        root: what relative folders are relative to.
        weights: download weights too, not the tower's `config.json` alone.

    Raises:
        OSError: neither a folder nor on the hub.
    """
    folder = root / location
    if folder.is_dir():
        return folder
    if folder.exists():
        raise NotADirectoryError(f"{str(location)!r} is a file; expected a folder or a hub id (owner/name)")
    if not _HUB_ID.fullmatch(str(location)):
        raise FileNotFoundError(f"{str(location)!r} is neither a folder nor a hub id (owner/name)")
    patterns = [*_CONFIG_FILES, "*.safetensors"] if weights else ["config.json"]
    try:
        return Path(snapshot_download(str(location), allow_patterns=patterns))
    except OSError as error:
        raise OSError(f"{str(location)!r} is no folder, and could not be had from the hub: {error}") from error
