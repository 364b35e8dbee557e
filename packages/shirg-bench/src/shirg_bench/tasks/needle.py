"""Needles: one small label and its value somewhere on a page that is otherwise texture and unasked print."""

from __future__ import annotations

from shirg_bench.tasks.paper import INDENT_PX, Text, blank, block_left, blocks, clutter, ground, height, width, write
from shirg_train.testbed.pages.config import Tier
from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.raster import Grey
from shirg_train.testbed.pages.words import LABELS

MARGIN_PX = 2
"""Of paper around the needle."""
BLANK_SHARE = 0.4
"""Of a plain page's blocks that stay blank, the largest apart."""


def draw_needle(generator: RowGenerator, size: int, tier: Tier, face: str) -> tuple[Grey, str, str]:
    """A page `[size, size]`, its needle's label (lower case) and value.

    Pages of tiers that have blank blocks keep some blank.
    """
    bare = blank(generator, size, tier)
    page = bare.copy()
    boxes = blocks(generator, size)
    kept_blank = generator.uniform(len(boxes))[0] < (BLANK_SHARE if tier.kinds[-1] else 0)
    kept_blank[0] = False
    clutter(page, [box for box, kept in zip(boxes, kept_blank, strict=True) if not kept], generator)
    name = LABELS[int(generator.integers(1, 0, len(LABELS))[0, 0])]
    shown = (str.upper, str.title, str.lower)[int(generator.integers(1, 0, 3)[0, 0])](name) + ":"
    value = _value(generator)
    gap = width(" ", face)
    wide, high = width(shown, face) + gap + width(value, face), height(face)
    x = INDENT_PX + block_left(generator, boxes, size, INDENT_PX + wide + MARGIN_PX)
    y = int(generator.integers(1, MARGIN_PX, size - high - MARGIN_PX)[0, 0])
    left, top, right, bottom = x - MARGIN_PX, y - MARGIN_PX, x + wide + MARGIN_PX, y + high + MARGIN_PX
    page[top:bottom, left:right] = bare[top:bottom, left:right]
    ground(page, (left, top, right, bottom), generator, tier)
    level = int(generator.uniform(1)[0, 0] * tier.faintest)
    write(page, [Text(x, y, shown), Text(x + wide - width(value, face), y, value)], face, level)
    return page, name, value


def _value(generator: RowGenerator) -> str:
    """Two to four figures, a fifth of them with tenths, as forms print them."""
    low = 10 ** int(generator.integers(1, 1, 4)[0, 0])
    number = int(generator.integers(1, low, 10 * low)[0, 0])
    return f"{number // 10}.{number % 10}" if generator.uniform(1)[0, 0] < 0.2 else str(number)
