"""Receipts: a narrow strip of items with prices flush right, dashed rules, the items' total, and what was paid."""

from __future__ import annotations

from shirg_bench.tasks.paper import INDENT_PX, Text, blank, block_left, blocks, clutter, ground, height, width, write
from shirg_train.testbed.pages.config import Tier
from shirg_train.testbed.pages.generator import RowGenerator
from shirg_train.testbed.pages.raster import Grey
from shirg_train.testbed.pages.words import ALPHABET, filler_codes

_GOODS = """
    fuel oil gas bolts nuts pipes tiles lamps chairs desks beds cups plates forks pens books maps cards boxes bags cans
    jars apples pears plums
    """
GOODS = tuple(_GOODS.split())
MOST_ITEMS = 9
"""So that the total and what is paid keep to five characters."""


def draw_receipt(generator: RowGenerator, size: int, tier: Tier, face: str) -> tuple[Grey, str, str]:
    """A page `[size, size]` with a receipt on it, the label (lower case) that is asked for, and its price.

    The desk under the receipt is cluttered where the tier has no blank blocks.
    """
    entries = _entries(generator, most=min(MOST_ITEMS, (size - 12) // (height(face) + 3) - 6))
    line = height(face) + 3 + int(generator.integers(1, 0, 2)[0, 0])
    inner = max(width(label.upper(), face) + width(price, face) for label, price in entries) + 2 * width("00", face)
    wide, high = inner + 2 * INDENT_PX, (len(entries) + 4) * line
    x0 = block_left(generator, blocks(generator, size), size, wide)
    y0 = int(generator.integers(1, 0, size - high + 1)[0, 0])
    page = blank(generator, size, tier)
    if not tier.kinds[-1]:
        clutter(page, [(0, 0, size, size)], generator)
    page[y0 : y0 + high, x0 : x0 + wide] = blank(generator, size, tier)[y0 : y0 + high, x0 : x0 + wide]
    ground(page, (x0, y0, x0 + wide, y0 + high), generator, tier)
    page[y0 : y0 + high, [x0, x0 + wide - 1]] = 170
    page[[y0, y0 + high - 1], x0 : x0 + wide] = 170
    texts, y = _heading(generator, x0, y0 + line // 2, wide, face), y0 + line // 2 + 2 * line
    for number, (label, price) in enumerate(entries):
        if number in (0, len(entries) - 2):
            _dash(page[y - 2, x0 + INDENT_PX : x0 + wide - INDENT_PX])
            y += 2
        texts += [Text(x0 + INDENT_PX, y, label.upper()), Text(x0 + wide - INDENT_PX - width(price, face), y, price)]
        y += line
    write(page, texts, face, int(generator.uniform(1)[0, 0] * tier.faintest))
    label, price = entries[int(generator.integers(1, 0, len(entries))[0, 0])]
    return page, label, price


def _entries(generator: RowGenerator, most: int) -> list[tuple[str, str]]:
    """Labels and prices: items, then `total` and `cash`; the total is the items' sum."""
    n = int(generator.integers(1, 3, max(most, 3) + 1)[0, 0])
    goods = [GOODS[k] for k in generator.permutation(len(GOODS))[0, :n].tolist()]
    prices = [int(price) for price in generator.integers(n, 10, 990)[0]]
    total = sum(prices)
    paid = total + int(generator.integers(1, 1, 500)[0, 0])
    amounts = [*prices, total, paid]
    labels = [*goods, "total", "cash"]
    return [(label, f"{tenths // 10}.{tenths % 10}") for label, tenths in zip(labels, amounts, strict=True)]


def _heading(generator: RowGenerator, x0: int, y: int, wide: int, face: str) -> list[Text]:
    row = filler_codes()[int(generator.integers(1, 0, len(filler_codes()))[0, 0])]
    shop = "".join(ALPHABET[code] for code in row if code >= 0)
    return [Text(x0 + (wide - width(shop, face)) // 2, y, shop)]


def _dash(row: Grey) -> None:
    row[::4] = row[1::4] = 110
