"""What ships with the micro models: folders of checkpoints and adapters, and sample pages, which are named by seed."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from shirg_core.files import atomic_path, write_text

SAMPLES_FILE = "samples.json"


def checkpoint_folder() -> Path:
    """The embedded checkpoint's folder, tokenizer included: regime frozen tower."""
    return _asset("checkpoint")


def joint_folder() -> Path:
    """The checkpoint of the joint regime."""
    return _asset("joint")


def full_folder() -> Path:
    """The checkpoint that both regimes start from: it has seen all tokens or a random half of them, nothing else."""
    return _asset("full")


def adapter_folder() -> Path:
    """A projector LoRA on the checkpoint of `full_folder`, trained on pooling and every budget."""
    return _asset("adapter")


def language_adapter_folder() -> Path:
    """As that of `adapter_folder`, with LoRA on the language model's attention, too."""
    return _asset("adapter_language")


def listed_samples() -> list[dict[str, Any]]:
    """The shipped samples.

    Each has `tier` and `seed` of its page, `question` (its number on the page), `kind` (what the answer stands in) and
    `pooled`: whether pooling answers `right` or `wrong`.
    """
    text = _asset(SAMPLES_FILE).read_text(encoding="utf-8")
    samples: list[dict[str, Any]] = json.loads(text)
    return samples


def write_samples(folder: Path) -> list[dict[str, str]]:
    """Draw the sample pages as PNGs, and write `samples.json`: `image`, `question`, `answer` of each.

    Raises:
        OSError: the folder cannot be written.
    """
    # Imported here: whoever asks for the embedded model's folder draws no pages.
    from shirg_train.testbed.micro.config import DataConfig, SizeConfig
    from shirg_train.testbed.pages.config import TIER_WORDS
    from shirg_train.testbed.pages.page import draw_pages

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, sample in enumerate(listed_samples()):
        page = draw_pages(DataConfig().pages(SizeConfig(), sample["tier"]), [sample["seed"]])
        name = f"page{number}_{TIER_WORDS[sample['tier']]}.png"
        with atomic_path(folder / name) as temporary:
            page.image(0).save(temporary)
        asked = sample["question"]
        written.append({"image": name, "question": page.question(0, asked), "answer": page.answer(0, asked)})
    write_text(folder / SAMPLES_FILE, json.dumps(written, indent=2) + "\n")
    return written


def _asset(name: str) -> Path:
    return Path(str(files("shirg_train.testbed") / "assets" / "micro" / name))
