"""Pages, what each method kept of them, and what the model answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from shirg_core.images import overlay
from shirg_core.images.sheet import Sheet
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection

SIDE, GAP, MARGIN, TITLE, ABOVE, BELOW = 224, 14, 18, 26, 22, 42


@dataclass(frozen=True, eq=False)
class Answered:
    """What one method made of a page.

    Attributes:
        method: in words, with its budget.
        answer: of the model.
        visual_tokens: that the model read.
        layout: of the tokens.
        selection: None where every token was kept.
        merged: kept tokens are averages of their regions, so that regions are drawn and nothing is dimmed.
    """

    method: str
    answer: str
    visual_tokens: int
    layout: ViewLayout
    selection: Selection | None
    merged: bool = False


@dataclass(frozen=True, eq=False)
class Example:
    """A question about a page.

    Attributes:
        image: the page.
        question: in words.
        expected: the right answer.
        answers: one per method.
    """

    image: Image.Image
    question: str
    expected: str
    answers: Sequence[Answered]


def answer_sheet(examples: Sequence[Example]) -> Figure:
    """A row per page: kept tokens clear, dropped ones dimmed, the answer below.

    Raises:
        ValueError: no examples, or rows of different length.
    """
    counts = {len(example.answers) for example in examples}
    if len(counts) != 1:
        raise ValueError(f"examples must have equally many answers, at least one example, got {sorted(counts)}")
    step = TITLE + ABOVE + SIDE + BELOW
    width = 2 * MARGIN + counts.pop() * (SIDE + GAP) - GAP
    sheet = Sheet(width, MARGIN + len(examples) * step)
    for row, example in enumerate(examples):
        top = MARGIN + row * step
        sheet.text(MARGIN, top, f"{example.question}  →  {example.expected}", size=11, weight="bold")
        for column, answered in enumerate(example.answers):
            x, y = MARGIN + column * (SIDE + GAP), top + TITLE + ABOVE
            sheet.picture((x, y), _picture(example.image, answered), "")
            sheet.text(x, y - ABOVE + 3, f"{answered.method} · {answered.visual_tokens} tokens", size=8.5)
            right = answered.answer == example.expected
            words = f"{'✓' if right else '✗'} {answered.answer or '(nothing)'}"
            sheet.text(x, y + SIDE + 4, words, size=10, weight="normal" if right else "bold")
    return sheet.figure


def _picture(image: Image.Image, answered: Answered) -> overlay.Floats:
    size = (SIDE, SIDE)
    # Enlarged without smoothing: small print stays as the model sees it.
    page = overlay.page_pixels(image.convert("RGB").resize(size, Image.Resampling.NEAREST), size)
    selection = answered.selection
    if selection is None:
        return page
    tokens = overlay.token_map(answered.layout, range(len(answered.layout.views)), size)
    if answered.merged:
        return overlay.paint_outlines(page, tokens, selection.regions[0].cpu().numpy())
    return overlay.paint_kept(page, tokens, selection.mask[0].cpu().numpy())
