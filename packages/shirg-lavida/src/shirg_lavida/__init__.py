"""LaViDa (LLaDA) with SHIRG: the real model, its prefix cache, and the one seam where tokens are selected.

Names are imported on first use, so that a command that only prints its help does not load a model library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shirg_lavida.checkpoint.load import load_lavida, save_lavida
    from shirg_lavida.config import IMAGE_TOKEN_ID, LavidaConfig
    from shirg_lavida.model import LavidaModel
    from shirg_lavida.pipeline import LavidaPipeline
    from shirg_lavida.prompt.prefix import Prefix
    from shirg_lavida.sampling.answer import Answer

    __version__: str

__all__ = [
    "IMAGE_TOKEN_ID",
    "Answer",
    "LavidaConfig",
    "LavidaModel",
    "LavidaPipeline",
    "Prefix",
    "__version__",
    "load_lavida",
    "save_lavida",
]

_HOMES = {
    "IMAGE_TOKEN_ID": "config",
    "Answer": "sampling.answer",
    "LavidaConfig": "config",
    "LavidaModel": "model",
    "LavidaPipeline": "pipeline",
    "Prefix": "prompt.prefix",
    "load_lavida": "checkpoint.load",
    "save_lavida": "checkpoint.load",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("shirg-lavida")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names, for completion in a notebook."""
    return sorted(__all__)
