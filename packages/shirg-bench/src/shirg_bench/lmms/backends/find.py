"""lmms-eval's own models by name, and the arguments that they take. No weights are read."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from shirg_bench.lmms.manifest import MODEL_NAME
from shirg_core.checks import check_known
from shirg_core.cli.errors import BadInput, bad_input

EXTRA, PROVIDED = "shirg-bench[backends]", ("decord",)


def backend_class(name: str) -> type[Any]:
    """The class that lmms-eval has under this name: the one that reads chat messages where there are two.

    Raises:
        BadInput: an unknown name, a class that needs a package which is not installed, or one that loads no weights.
    """
    from lmms_eval.models import MODEL_REGISTRY_V2, list_available_models  # type: ignore[import-untyped]

    names = [known for known in list_available_models() if known != MODEL_NAME]
    with bad_input(ValueError):
        check_known(name, names, "backend")
    module, _, kind = MODEL_REGISTRY_V2.resolve(name).class_path.rpartition(".")
    try:
        found: type[Any] = getattr(importlib.import_module(module), kind)
    except ModuleNotFoundError as error:
        hint = f": install {EXTRA}" if error.name in PROVIDED else ""
        raise BadInput(f"backend {name!r} needs {error.name}, which is not installed{hint}") from error
    except (ImportError, AttributeError) as error:
        raise BadInput(f"backend {name!r} cannot be imported: {error}") from error
    if "pretrained" not in arguments_of(found):
        raise BadInput(f"backend {name!r} loads no weights from a folder (its class has no argument 'pretrained')")
    return found


def arguments_of(backend: type[Any]) -> tuple[str, ...]:
    """The named arguments of a class of lmms-eval, and those that it hands on to its bases."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found: dict[str, None] = {}
    for one in (base for base in backend.__mro__ if "__init__" in vars(base)):
        given = inspect.signature(vars(one)["__init__"]).parameters.values()
        found |= {argument.name: None for argument in list(given)[1:] if argument.kind in kinds}
        if all(argument.kind is not inspect.Parameter.VAR_KEYWORD for argument in given):
            break
    return tuple(found)


def placed(backend: type[Any], device: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, and the device wherever the class can be told one and `given` does not say it."""
    known = arguments_of(backend)
    return {name: device for name in ("device", "device_map") if name in known} | dict(given)
