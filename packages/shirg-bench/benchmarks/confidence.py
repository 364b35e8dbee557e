"""Whether the confidence of `shirg ask` can be believed: accuracy by confidence on pages nobody trained on.

    uv run python packages/shirg-bench/benchmarks/confidence.py --model micro-joint --pages 128

prints two Markdown tables: answers to the questions of unseen pages of both tiers by their least probability, with the
expected calibration error Σ_bin n_bin/n · |accuracy − mean confidence|; and what cannot be read at all, from a blank
page to a letter-sized invoice, with the share of it that `shirg ask` warns of by confidence alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.cli.models import load_pipeline
from shirg_lavida.cli.notes import UNSURE
from shirg_lavida.methods import with_method
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.sampling.answer import Answer
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.pages.config import split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.words import LABELS

EDGES = (0.0, UNSURE, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0)
BATCH = 32
PAGE, TOTAL = (1240, 1754), "What is the total?"

Floats = NDArray[np.float64]


def ask(pipe: LavidaPipeline, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
    """Answers of the length that the checkpoint recommends."""
    length = Recommended.from_checkpoint(pipe.model.config.raw).max_new_tokens
    answers: list[Answer] = []
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        answers += pipe(images[part], questions[part], max_new_tokens=length)
    return answers


def readable(pipe: LavidaPipeline, pages: int) -> tuple[Floats, Floats, Floats]:
    """`(mean confidence, least probability, right)` `[n]` of every question on unseen pages of both tiers."""
    rows = []
    for tier in ("easy", "hard"):
        batch = draw_pages(DataConfig().pages(SizeConfig(), tier), [split_seed("test", i) for i in range(pages)])
        at = [(page, asked) for page in range(pages) for asked in range(batch.question_labels.shape[1])]
        answers = ask(pipe, [batch.image(page) for page, _ in at], [batch.question(*one) for one in at])
        for answer, one in zip(answers, at, strict=True):
            rows.append((answer.confidence.mean, answer.confidence.min, answer.text == batch.answer(*one)))
    mean, least, right = np.array(rows, np.float64).T
    return mean, least, right


def unreadable(pages: int) -> dict[str, tuple[list[Image.Image], list[str]]]:
    """What the model was not trained to read, by name: images and questions."""
    side = SizeConfig().image_size
    dice = np.random.default_rng(0)
    batch = draw_pages(DataConfig().pages(SizeConfig(), "easy"), [split_seed("test", i) for i in range(pages)])
    own = [batch.image(page) for page in range(pages)]
    shades = [Image.new("RGB", (side, side), (int(v),) * 3) for v in np.linspace(0, 255, pages)]
    noise = [Image.fromarray(dice.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in range(pages)]
    blobs = [Image.fromarray(dice.integers(0, 256, (5, 6, 3), dtype=np.uint8)) for _ in range(pages)]
    photos = [blob.resize((640, 480), Image.Resampling.BICUBIC) for blob in blobs]
    invoices = [_invoice(dice) for _ in range(pages)]
    return {
        "blank page": (shades, [TOTAL] * pages),
        "noise": (noise, [TOTAL] * pages),
        "smooth colours, 640 × 480": (photos, [TOTAL] * pages),
        "invoice, 1240 × 1754": ([image for image, _ in invoices], [f"What is the {label}?" for _, label in invoices]),
        '"Describe the picture."': (own, ["Describe the picture."] * pages),
        "a word that is no label": (own, ["What is the zebra?"] * pages),
        "a label that is hardly ever on the page": (
            own,
            [f"What is the {LABELS[i % len(LABELS)]}?" for i in range(pages)],
        ),
    }


def _invoice(dice: np.random.Generator) -> tuple[Image.Image, str]:
    image = Image.new("RGB", PAGE, "white")
    draw = ImageDraw.Draw(image)
    labels = [LABELS[i] for i in dice.permutation(len(LABELS))[:20]]
    for line, label in enumerate(labels):
        draw.text((120, 150 + 70 * line), label.title(), fill="black", font_size=28)
        draw.text((800, 150 + 70 * line), str(dice.integers(10, 1000)), fill="black", font_size=28)
    return image, labels[0]


def calibration_error(confidence: Floats, right: Floats) -> float:
    """Expected calibration error over the bins of `EDGES`."""
    bins = np.digitize(confidence, EDGES[1:-1])
    gaps = [(bins == b).mean() * abs(confidence[bins == b].mean() - right[bins == b].mean()) for b in np.unique(bins)]
    return float(sum(gaps))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="micro-joint")
    parser.add_argument("--pages", type=int, default=128, help="Pages of each kind.")
    given = parser.parse_args()
    adapter: Path | None = None
    pipe = load_pipeline(given.model, adapter, "cpu", None)
    recommended = Recommended.from_checkpoint(pipe.model.config.raw)
    pipe = with_method(pipe, recommended.method, recommended.budget, None, None)
    mean, least, right = readable(pipe, given.pages)
    lines = [f"`{given.model}`, {len(right)} questions, {right.mean():.1%} right", ""]
    lines += ["| least probability | answers | mean | right |", "|---|--:|--:|--:|"]
    bins = np.digitize(least, EDGES[1:-1])
    for b in range(len(EDGES) - 1):
        inside = bins == b
        if inside.any():
            figures = f"{inside.sum()} | {least[inside].mean():.3f} | {right[inside].mean():.3f}"
            lines.append(f"| {EDGES[b]:.2f} to {EDGES[b + 1]:.2f} | {figures} |")
    errors = f"{calibration_error(least, right):.3f} (least), {calibration_error(mean, right):.3f} (mean)"
    lines += ["", f"Expected calibration error: {errors}.", ""]
    lines += [f"| cannot be read | answers | 95 % are below | below {UNSURE} |", "|---|--:|--:|--:|"]
    for name, (images, questions) in unreadable(given.pages).items():
        sure = np.array([answer.confidence.min for answer in ask(pipe, images, questions)])
        lines.append(f"| {name} | {len(sure)} | {np.quantile(sure, 0.95):.2f} | {(sure < UNSURE).mean():.1%} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
