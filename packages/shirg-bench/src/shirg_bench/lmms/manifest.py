"""The entry point of `lmms_eval.models`.

Importing it imports nothing: lmms-eval loads it in the middle of its own import, and an entry point that fails then
drops every plugin after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest  # type: ignore[import-untyped]

MODEL_NAME = "shirg_lavida"


def manifests() -> list[ModelManifest]:
    """The models of this package."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [ModelManifest(model_id=MODEL_NAME, simple_class_path="shirg_bench.lmms.model.ShirgLavida")]
