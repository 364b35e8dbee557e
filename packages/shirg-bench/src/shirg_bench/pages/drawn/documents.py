"""Documents: invoices, letters, forms, leaflets with photographs. Each asks for one value that it prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from numpy.random import Generator
from PIL import Image

from shirg_bench.pages.drawn import textures, words
from shirg_bench.pages.drawn.sheet import FAMILIES, Sheet
from shirg_bench.pages.page import Box


class Drawn(NamedTuple):
    """A document.

    Attributes:
        sheet: with all that was printed.
        value: where the asked value stands.
    """

    sheet: Sheet
    value: Sequence[Box]


def invoice(rng: Generator) -> Drawn:
    """A letterhead, a table of goods with quantities and prices, the total that is asked for, and terms."""
    sheet, px, (x0, y, x1, y1) = _paper(rng)
    firm, (street, town) = words.firm(rng), words.address(rng)
    sheet.write(x0, y, firm, px + 12, bold=True)
    _emblem(rng, sheet, (int(x1) - 90, int(y) - 14), 84)
    y += 2.4 * px
    for text in (street, town, f"VAT {words.code(rng)}"):
        sheet.write(x0, y, text, px)
        y += 1.4 * px
    y += px
    for name, text in (("Invoice", words.code(rng)), ("Date", words.day(rng)), ("Customer", words.person(rng))):
        sheet.write(x0, y, name, px, bold=True)
        sheet.write(x0 + 7 * px, y, text, px)
        y += 1.5 * px
    y, total = _goods(rng, sheet, (x0, y + px, x1, y1 - 9 * px), px)
    tax = round(total * 0.19)
    value: Sequence[Box] = ()
    for name, cents in (("Subtotal", total), ("VAT 19%", tax), ("TOTAL", total + tax)):
        bold = name == "TOTAL"
        sheet.write(x1 - 16 * px, y, name, px, bold=bold)
        value = sheet.write(x1, y, words.money(cents), px, bold=bold, right=True).boxes
        y += 1.6 * px
    y = sheet.paragraph((x0, y + px, x1, y1 - 110), words.sentences(rng, 30), px - 2)
    sheet.image.paste(textures.barcode(rng, int(rng.integers(90, 260)), 90), (int(x0), int(min(y + px, y1 - 90))))
    return Drawn(sheet, value)


def letter(rng: Generator) -> Drawn:
    """Addresses, a date, paragraphs, a signature; asked for is the reference number."""
    sheet, px, (x0, y, x1, y1) = _paper(rng)
    for text in (words.firm(rng), *words.address(rng)):
        sheet.write(x1, y, text, px, right=True)
        y += 1.4 * px
    for text in (words.person(rng), *words.address(rng)):
        sheet.write(x0, y, text, px)
        y += 1.4 * px
    sheet.write(x1, y + px, words.day(rng), px, right=True)
    sheet.write(x0, y + px, "Reference", px, bold=True)
    value = sheet.write(x0 + 7 * px, y + px, words.code(rng), px).boxes
    y += 4 * px
    sheet.write(x0, y, f"Dear {words.person(rng)},", px)
    y += 2.4 * px
    for _ in range(int(rng.integers(2, 5))):
        y = sheet.paragraph((x0, y, x1, y1 - 8 * px), words.sentences(rng, int(rng.integers(40, 80))), px) + 0.8 * px
    sheet.write(x0, y, "Yours sincerely,", px)
    points = [(x0 + 6 * i, y + 3 * px + 12 * float(rng.normal())) for i in range(24)]
    sheet.draw.line(points, fill=(40, 50, 120), width=2)
    sheet.write(x0, y + 5 * px, words.person(rng), px)
    return Drawn(sheet, value)


def form(rng: Generator) -> Drawn:
    """Ruled boxes with small captions and answers, tick boxes, a stamp; asked for is one answer."""
    sheet, px, (x0, y, x1, y1) = _paper(rng)
    sheet.write(
        x0, y, f"{words.pick(rng, ('Application', 'Registration', 'Claim', 'Request'))} form", px + 8, bold=True
    )
    y += 3 * px
    fields = ("Name", "Date of birth", "Street", "Town", "Account", "Policy number", "Amount claimed", "Telephone")
    asked = int(rng.integers(len(fields)))
    value: Sequence[Box] = ()
    wide = (x1 - x0) / 2
    for i, name in enumerate(fields):
        left, top = x0 + i % 2 * wide, y + i // 2 * 4 * px
        sheet.draw.rectangle((left, top, left + wide - 8, top + 3.4 * px), outline=(120, 120, 130))
        sheet.write(left + 6, top + 5, name, max(px - 4, 10), ink=(70, 70, 90))
        boxes = sheet.write(left + 10, top + 1.7 * px, _answer(rng, name), px, ink=(20, 30, 110)).boxes
        value = boxes if i == asked else value
    y += 17 * px
    for _ in range(int(rng.integers(4, 9))):
        sheet.draw.rectangle((x0, y, x0 + px, y + px), outline=(60, 60, 70), width=2)
        if rng.random() < 0.5:
            sheet.draw.line((x0 + 3, y + 3, x0 + px - 3, y + px - 3), fill=(20, 30, 110), width=3)
        y = sheet.paragraph((x0 + 2 * px, y, x1, y + 1.2 * px), words.sentences(rng, 9), px) + 0.4 * px
    _stamp(rng, sheet, (x0 + 0.6 * (x1 - x0), min(y + px, y1 - 120)))
    return Drawn(sheet, value)


def leaflet(rng: Generator) -> Drawn:
    """Photographs with captions, a heading on a texture, two columns; asked for is the price on a coloured flash."""
    sheet, px, (x0, y, x1, y1) = _paper(rng)
    width = int(x1 - x0)
    banner = words.pick(rng, ("photograph", "texture"))
    ground = textures.photograph if banner == "photograph" else textures.TEXTURES[int(rng.integers(3))]
    sheet.image.paste(ground(rng, width, 7 * px), (int(x0), int(y)))
    title = f"{words.pick(rng, words.GOODS).title()}"
    sheet.draw.rectangle(
        (x0 + 10, y + 2 * px, x0 + 34 + sheet.width(title, px + 14, True), y + 5 * px), fill=(255, 255, 255)
    )
    sheet.write(x0 + 20, y + 2.7 * px, title, px + 14, bold=True)
    y += 8 * px
    high = int(rng.uniform(0.22, 0.34) * (y1 - y))
    sheet.image.paste(textures.photograph(rng, width, high), (int(x0), int(y)))
    cents = int(rng.integers(199, 99_999))
    price = f"only {words.money(cents)}"
    corner = x0 + float(rng.uniform(0.05, 0.5)) * width, y + float(rng.uniform(0.1, 0.6)) * high
    sheet.draw.rectangle(
        (*corner, corner[0] + sheet.width(price, px + 6, True) + 24, corner[1] + 2.4 * px), fill=(250, 214, 40)
    )
    value = sheet.write(corner[0] + 12, corner[1] + 0.7 * px, price, px + 6, bold=True).boxes[1:]
    y = sheet.paragraph((x0, y + high + 0.6 * px, x1, y1), words.sentences(rng, 9), px - 2) + px
    half = width / 2 - px
    for left in (x0, x0 + half + 2 * px):
        sheet.paragraph((left, y, left + half, y1), words.sentences(rng, 140), px)
    return Drawn(sheet, value)


DOCUMENTS: dict[str, Callable[[Generator], Drawn]] = {
    "invoice": invoice, "letter": letter, "form": form, "leaflet": leaflet,
}  # fmt: skip


def _paper(rng: Generator) -> tuple[Sheet, int, Box]:
    """A blank page, often tinted or patterned, its print's size in pixels, and the area inside the margins."""
    width, height = int(rng.integers(720, 860)), int(rng.integers(980, 1120))
    image = Image.new("RGB", (width, height), tuple(int(c) for c in rng.integers(236, 256, 3)))
    if rng.random() < 0.25:
        image = textures.guilloche(rng, width, height)
    sheet = Sheet(image, list(FAMILIES)[int(rng.integers(len(FAMILIES)))])
    margin = int(rng.integers(44, 80))
    return sheet, int(rng.integers(15, 20)), (margin, margin, width - margin, height - margin)


def _goods(rng: Generator, sheet: Sheet, box: Box, px: int) -> tuple[float, int]:
    """A table of goods; y below it, and the sum in cents."""
    x0, y, x1, y1 = box
    across = x1 - x0
    columns = x0 + 0.56 * across, x0 + 0.78 * across, x1
    for name, x in zip(("Qty", "Price", "Amount"), columns, strict=True):
        sheet.write(x, y, name, px, bold=True, right=True)
    sheet.write(x0, y, "Item", px, bold=True)
    y += 1.5 * px
    sheet.rule(x0, y - 4, x1, width=2)
    total = 0
    for _ in range(int(rng.integers(4, 13))):
        if y + 2 * px > y1:
            break
        count, cents = int(rng.integers(1, 40)), int(rng.integers(90, 30_000))
        total += count * cents
        sheet.write(x0, y, words.pick(rng, words.GOODS), px)
        for text, x in zip((str(count), words.money(cents), words.money(count * cents)), columns, strict=True):
            sheet.write(x, y, text, px, right=True)
        y += 1.7 * px
    sheet.rule(x0, y - 4, x1)
    return y + 0.5 * px, total


def _answer(rng: Generator, field: str) -> str:
    if field in ("Street", "Town"):
        return words.address(rng)[field == "Town"]
    if field in ("Name", "Date of birth"):
        return words.person(rng) if field == "Name" else words.day(rng)
    return words.money(int(rng.integers(1000, 900_000))) if field == "Amount claimed" else words.code(rng)


def _emblem(rng: Generator, sheet: Sheet, corner: tuple[int, int], side: int) -> None:
    sheet.image.paste(textures.TEXTURES[int(rng.integers(3))](rng, side, side), corner)


def _stamp(rng: Generator, sheet: Sheet, corner: tuple[float, float]) -> None:
    x, y = corner
    ink = tuple(int(c) for c in rng.integers(60, 200, 3))
    for shrink in (0, 6):
        sheet.draw.ellipse((x + shrink, y + shrink, x + 120 - shrink, y + 120 - shrink), outline=ink, width=3)
