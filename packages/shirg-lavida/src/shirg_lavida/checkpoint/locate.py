"""Finding a checkpoint, a tower or an adapter: a folder on this machine, or a repository on the hub.

Cheap to import, so that a path that cannot be used is refused before torch is waited for.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

PathOrId: TypeAlias = str | Path
CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
NO_NETWORK = "no connection to the hub"
_UNREACHABLE = ("ConnectError", "ConnectTimeout", "ConnectionError", "OfflineModeIsEnabled", "gaierror")
"""Names of the exceptions that HTTP libraries, the hub's client and sockets raise without a network."""
_CONFIG_FILES = ["*.json", "*.txt", "*.model", "*.jinja"]


def locate(location: PathOrId, root: Path, *, weights: bool) -> Path:
    """The folder that `location` means: relative to `root`, absolute, or downloaded from the hub.

    A folder wins; with `weights` they are downloaded too, not the tower's `config.json` alone.

    Raises:
        OSError: neither a folder nor on the hub.
    """
    folder = folder_here(location, root)
    if folder is not None:
        return folder
    from huggingface_hub import snapshot_download  # most checkpoints are here already

    patterns = [*_CONFIG_FILES, "*.safetensors"] if weights else ["config.json"]
    try:
        return Path(snapshot_download(str(location), allow_patterns=patterns))
    except OSError as error:
        why = NO_NETWORK if without_network(error) else error
        raise OSError(f"{str(location)!r} is not a folder, and could not be downloaded from the hub: {why}") from error


def without_network(error: BaseException) -> bool:
    """Whether a download failed because the hub could not be reached, or was not to be (`HF_HUB_OFFLINE`).

    Of an error about a token, which is raised before anything is asked, the hub is asked for its address.
    """
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE
    from huggingface_hub.errors import LocalTokenNotFoundError

    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(type(each).__name__ in _UNREACHABLE for each in seen):
        return True
    if not any(isinstance(each, LocalTokenNotFoundError) for each in seen):
        return False
    if HF_HUB_OFFLINE:
        return True
    try:
        socket.getaddrinfo(urlsplit(ENDPOINT).hostname, None)
    except OSError:
        return True
    return False


def folder_here(location: PathOrId, root: Path) -> Path | None:
    """The folder that `location` means on this machine; None if it is a hub id.

    Raises:
        OSError: it is neither.
    """
    folder = root / location
    if folder.is_dir():
        return folder
    if folder.exists():
        raise NotADirectoryError(f"{str(location)!r} is a file; expected a folder or a hub id (owner/name)")
    if not _HUB_ID.fullmatch(str(location)):
        raise FileNotFoundError(f"{str(location)!r} is neither a folder nor a hub id (owner/name)")
    return None


def check_adapter(folder: Path) -> None:
    """Whether a folder holds the two files of an adapter in peft's format.

    Raises:
        FileNotFoundError: one of them is missing.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"no adapter in {folder}: {name} is missing")
