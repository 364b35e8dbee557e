"""For the tests of all packages: files that take long come first, or the last of them would leave a core idle."""

from __future__ import annotations

import pytest

SLOWEST = (
    *("compile", "cli_process", "presets", "kernels_aot"),
    *("golden_language", "cold_start"),
    *("two_machines", "deepspeed_launcher", "trainer_ranks", "in_use", "trainer", "micro_loop"),
    *("cli_eval", "tasks_lmms", "lmms_backends", "cli_eval_refusals", "accuracy_learned", "accuracy_embedded"),
)
"""Of shirg-core, shirg-lavida, shirg-train and shirg-bench, without `test_`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the slowest files to the front, in the order above; `--no-loadscope-reorder` keeps that order."""
    place = {f"test_{name}.py": number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
