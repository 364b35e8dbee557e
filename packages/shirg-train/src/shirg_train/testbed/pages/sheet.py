"""Contact sheets: pages side by side with their questions, for people to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from shirg_train.testbed.pages.batch import PageBatch

_CAPTION_PX = 12


def page_image(batch: PageBatch, page: int, zoom: int = 1) -> Image.Image:
    """One page, enlarged without smoothing."""
    image = Image.fromarray(batch.images[page])
    return image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)


def contact_sheet(
    batch: PageBatch, *, columns: int = 4, zoom: int = 2, patch: int = 0, answers: bool = True
) -> Image.Image:
    """All pages of a batch on one sheet, questions and answers below each.

    Args:
        batch: what to show.
        columns: pages in a row.
        zoom: whole-number enlargement.
        patch: side of a patch in pixels, to frame the patches of each page's first answer; 0 frames nothing.
        answers: write questions and answers below each page.
    """
    n_questions = batch.question_labels.shape[1] if answers else 0
    side = batch.images.shape[1] * zoom
    height = side + _CAPTION_PX * (n_questions + 1)
    rows = -(-len(batch) // columns)
    sheet = Image.new("RGB", (columns * (side + 8), rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for page in range(len(batch)):
        x, y = page % columns * (side + 8), page // columns * height
        sheet.paste(page_image(batch, page, zoom).convert("RGB"), (x, y))
        for index in np.flatnonzero(batch.answer_patches[page, 0]) if patch else ():
            row, column = divmod(int(index), batch.images.shape[1] // patch)
            left, top = x + column * patch * zoom, y + row * patch * zoom
            pen.rectangle((left, top, left + patch * zoom - 1, top + patch * zoom - 1), outline="red")
        for q in range(n_questions):
            line = f"{batch.label(page, q)} = {batch.answer(page, q)}"
            pen.text((x + 2, y + side + q * _CAPTION_PX), line, fill="black")
    return sheet


def save_contact_sheet(batch: PageBatch, path: Path, *, columns: int = 4, zoom: int = 2, patch: int = 0) -> None:
    """Write a contact sheet as a picture file."""
    contact_sheet(batch, columns=columns, zoom=zoom, patch=patch).save(path)
