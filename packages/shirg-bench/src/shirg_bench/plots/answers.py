"""Pages, what each method kept of them, and what the model answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image

from shirg_core.images import overlay
from shirg_core.images.sheet import Sheet
from shirg_lavida.sampling.answer import Answer

SIDE, GAP, MARGIN, TITLE, ABOVE, BELOW = 224, 14, 18, 26, 22, 42


@dataclass(frozen=True, eq=False)
class Panel:
    """What one method made of a page.

    Attributes:
        method: in words, with its budget.
        answer: of the model, to a question about one image.
        merged: kept tokens are averages of their regions, so that regions are drawn and nothing is dimmed.
    """

    method: str
    answer: Answer
    merged: bool = False


@dataclass(frozen=True, eq=False)
class Example:
    """A question about a page.

    Attributes:
        image: the page.
        question: in words.
        expected: the right answer.
        panels: one per method.
    """

    image: Image.Image
    question: str
    expected: str
    panels: Sequence[Panel]


def answer_sheet(examples: Sequence[Example]) -> Figure:
    """A row per page: kept tokens clear, dropped ones dimmed, the answer below.

    Raises:
        ValueError: no examples, or rows of different length.
    """
    counts = {len(example.panels) for example in examples}
    if len(counts) != 1:
        raise ValueError(f"examples must have equally many answers, at least one example, got {sorted(counts)}")
    step = TITLE + ABOVE + SIDE + BELOW
    width = 2 * MARGIN + counts.pop() * (SIDE + GAP) - GAP
    sheet = Sheet(width, MARGIN + len(examples) * step)
    for row, example in enumerate(examples):
        top = MARGIN + row * step
        sheet.text(MARGIN, top, f"{example.question}  →  {example.expected}", size=11, weight="bold")
        for column, panel in enumerate(example.panels):
            x, y = MARGIN + column * (SIDE + GAP), top + TITLE + ABOVE
            sheet.picture((x, y), _picture(example.image, panel), "")
            sheet.text(x, y - ABOVE + 3, f"{panel.method} · {panel.answer.visual_tokens} tokens", size=8.5)
            right = panel.answer.text == example.expected
            words = f"{'✓' if right else '✗'} {panel.answer.text or '(nothing)'}"
            sheet.text(x, y + SIDE + 4, words, size=10, weight="normal" if right else "bold")
    return sheet.figure


def _picture(image: Image.Image, panel: Panel) -> overlay.Floats:
    size = (SIDE, SIDE)
    # Enlarged without smoothing: small print stays as the model sees it.
    page = overlay.page_pixels(image.convert("RGB").resize(size, Image.Resampling.NEAREST), size)
    selection, layout = panel.answer.selection, panel.answer.layout
    if selection is None or layout is None:
        return page
    tokens = overlay.token_map(layout, range(len(layout.views)), size)
    if panel.merged:
        return overlay.paint_outlines(page, tokens, selection.regions[0].cpu().numpy())
    return overlay.paint_kept(page, tokens, selection.mask[0].cpu().numpy())
