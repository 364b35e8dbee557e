"""Where the model and the adapter that a user named lie. Cheap to import: torch is not waited for."""

from __future__ import annotations

from pathlib import Path

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.files import read_json
from shirg_lavida.checkpoint.embedded import ADAPTERS, DEFAULT, embedded, named
from shirg_lavida.checkpoint.locate import check_adapter, folder_here


def check_paths(model: str | None, *adapters: str | Path | None, default: str = DEFAULT) -> None:
    """Refuse a model or an adapter that is not there.

    Args:
        model: see `model_location`.
        adapters: see `adapter_folder`; None = none.
        default: see `model_location`.

    Raises:
        BadInput: no folder, no embedded model or adapter and no hub id, or a folder without what belongs in it.
    """
    location = model_location(model, default)
    with bad_input(OSError, ValueError):
        folder = folder_here(location, Path())
        if folder is not None:
            read_json(folder / "config.json", "not a LaViDa checkpoint")
        for adapter in adapters:
            if adapter is not None:
                check_adapter(adapter_folder(adapter))


def model_location(model: str | None, default: str = DEFAULT) -> Path | str:
    """Where a model is: its folder, or its hub id.

    Args:
        model: a folder, an embedded model's name, or a hub id; a folder wins. None = `default`.
        default: an embedded model's name, whatever folders there are.

    Raises:
        BadInput: an embedded model that cannot be loaded.
    """
    name = default if model is None else model
    with bad_input(ImportError, AttributeError, OSError, ValueError, prefix=f"the embedded model {name!r}: "):
        folder = embedded(default) if model is None else named(model)
    if folder is None:
        raise BadInput("no --model given: the embedded model comes with the training package, shirg-train")
    return folder


def is_embedded(model: str | None) -> bool:
    """Whether a model comes with an installed package, and is no folder or hub id."""
    return model is None or (not Path(model).exists() and embedded(model) is not None)


def adapter_folder(name: str | Path) -> Path:
    """The folder of an adapter: the one of this name, or else what is embedded under it.

    Raises:
        BadInput: an embedded adapter that cannot be loaded.
    """
    with bad_input(ImportError, AttributeError, OSError, ValueError, prefix=f"the embedded adapter {name}: "):
        return Path(named(name, ADAPTERS))
