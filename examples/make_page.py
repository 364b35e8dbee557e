"""Draw `page.png`: an invoice with the kinds of content token selection has to tell apart.

    python examples/make_page.py [OUT.png]

Headline, dense small print, a table whose total is the answer most people look for, a bar chart with tick labels, a
halftone photograph and hatching. Deterministic; the fonts are DejaVu, which matplotlib carries.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1000, 1300
INK, GREY, RULE, ACCENT = (24, 26, 30), (105, 110, 118), (170, 174, 180), (0, 84, 140)
ROWS = [
    ("Survey of the north quay, drawings 1–14", "3", "412.00", "1,236.00"),
    ("Soundings, per running metre", "240", "1.85", "444.00"),
    ("Laboratory analysis, sediment cores", "18", "36.50", "657.00"),
    ("Boat and crew, half days", "7", "290.00", "2,030.00"),
    ("Photogrammetry and halftone plates", "1", "518.40", "518.40"),
    ("Report, bound, six copies", "6", "24.75", "148.50"),
]
TOTALS = [("Net", "5,033.90"), ("VAT 19 %", "956.44"), ("Total due", "5,990.34")]
BARS = [("Q1", 42), ("Q2", 67), ("Q3", 55), ("Q4", 91), ("Q5", 73), ("Q6", 28)]
SMALL_PRINT = (
    "Payment is due within thirty days of the date of this invoice without deduction. Goods and drawings remain "
    "the property of Halden & Moss Surveyors until paid in full. Measurements refer to chart datum and carry a "
    "standard uncertainty of 0.04 m; positions are given in the local grid and may be transformed on request. "
    "Complaints about visible defects must reach us in writing within eight working days. Interest on late "
    "payment is charged at five per cent above the base rate. Samples are kept for ninety days after delivery of "
    "the report and then disposed of, unless the client asks for them before that date. Place of jurisdiction is "
    "Halden. Registered under HRB 20417; tax number 143/287/61908; IBAN XX21 3704 0044 0532 0130 00."
)


def font(size: int, style: str = "") -> ImageFont.FreeTypeFont:
    """DejaVu Sans at `size` pixels."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / f"fonts/ttf/DejaVuSans{style}.ttf"), size)


def wrap(draw: ImageDraw.ImageDraw, text: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break `text` into lines of at most `width` pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font=face) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def draw_head(draw: ImageDraw.ImageDraw) -> None:
    """Letterhead, addresses, headline."""
    draw.text((70, 60), "HALDEN & MOSS", font=font(30, "-Bold"), fill=ACCENT)
    draw.text((70, 98), "Harbour and river surveyors since 1911", font=font(14), fill=GREY)
    draw.line((70, 128, 930, 128), fill=ACCENT, width=3)
    draw.text(
        (70, 160),
        "Port Authority of Elvesund\nAccounts, 2nd floor\n7 Customs Lane\n4817 Elvesund",
        font=font(15),
        fill=INK,
    )
    facts = [("Invoice", "2024-0387"), ("Date", "14 March 2024"), ("Client no.", "80-1143"), ("Order", "NQ/77-B")]
    for i, (name, value) in enumerate(facts):
        draw.text((640, 160 + 20 * i), name, font=font(14), fill=GREY)
        draw.text((930, 160 + 20 * i), value, font=font(14), fill=INK, anchor="ra")
    draw.text((70, 276), "Invoice for the north quay survey", font=font(34, "-Bold"), fill=INK)


def draw_table(draw: ImageDraw.ImageDraw, top: int) -> None:
    """Items and totals."""
    edges = (690, 800, 930)
    draw.rectangle((70, top, 930, top + 26), fill=(231, 236, 241))
    draw.text((80, top + 5), "Item", font=font(14, "-Bold"), fill=INK)
    for x, name in zip(edges, ("Quantity", "Price", "Amount"), strict=True):
        draw.text((x - 8, top + 5), name, font=font(14, "-Bold"), fill=INK, anchor="ra")
    for i, (item, *numbers) in enumerate(ROWS):
        y = top + 34 + 24 * i
        draw.text((80, y), item, font=font(14), fill=INK)
        for x, number in zip(edges, numbers, strict=True):
            draw.text((x - 8, y), number, font=font(14), fill=INK, anchor="ra")
        draw.line((70, y + 20, 930, y + 20), fill=RULE)
    for i, (name, amount) in enumerate(TOTALS):
        last = i == len(TOTALS) - 1
        face, y = font(17 if last else 14, "-Bold" if last else ""), top + 188 + 26 * i
        draw.text((700, y), name, font=face, fill=INK)
        draw.text((922, y), amount, font=face, fill=INK, anchor="ra")
    draw.line((700, top + 262, 930, top + 262), fill=INK, width=2)
    draw.line((700, top + 266, 930, top + 266), fill=INK)


def draw_chart(draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
    """Bar chart with tick labels; the last bar is hatched."""
    draw.text((left, top), "Soundings per quarter (thousand)", font=font(14, "-Bold"), fill=INK)
    x0, y0, width, height = left + 40, top + 30, 380, 210
    for tick in range(0, 101, 20):
        y = y0 + height - height * tick // 100
        draw.line((x0, y, x0 + width, y), fill=(222, 225, 229))
        draw.text((x0 - 8, y), str(tick), font=font(12), fill=GREY, anchor="rm")
    for i, (name, value) in enumerate(BARS):
        x, y = x0 + 18 + 61 * i, y0 + height - height * value // 100
        if i < len(BARS) - 1:
            draw.rectangle((x, y, x + 38, y0 + height), fill=ACCENT if i % 2 else (213, 94, 0))
        else:
            hatch(draw, (x, y, x + 38, y0 + height), 5)
        draw.text((x + 19, y - 4), str(value), font=font(11), fill=INK, anchor="mb")
        draw.text((x + 19, y0 + height + 6), name, font=font(12), fill=INK, anchor="ma")
    draw.line((x0, y0, x0, y0 + height, x0 + width, y0 + height), fill=INK, width=2)


def hatch(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], step: int) -> None:
    """A box filled with diagonal lines."""
    x0, y0, x1, y1 = box
    for c in range(x0 + y0, x1 + y1, step):
        xs = max(x0, c - y1), min(x1, c - y0)
        draw.line((xs[0], c - xs[0], xs[1], c - xs[1]), fill=INK)
    draw.rectangle(box, outline=INK)


def photo(width: int, height: int) -> Image.Image:
    """A made-up quay at dusk as a 45° halftone: smooth sky, ragged hills, rippled water."""
    rng = np.random.default_rng(1911)
    y, x = np.mgrid[0:height, 0:width] / (height, width)[0]
    ridge = 0.42 + 0.05 * np.sin(7 * x) + 0.03 * np.sin(19 * x + 1) + 0.012 * np.sin(47 * x)
    tone = 0.95 - 0.5 * y
    tone = np.where(y > ridge, 0.28 + 0.25 * (y - ridge), tone)
    water = 0.45 + 0.22 * np.sin(90 * y**1.5 + 3 * np.sin(9 * x)) * y
    tone = np.where(y > 0.66, water, tone)
    tone = np.where((x - 1.12) ** 2 + (y - 0.2) ** 2 < 0.008, 1.0, tone) + 0.05 * rng.standard_normal(x.shape)
    rows, cols = np.mgrid[0:height, 0:width]
    screen = 0.5 + 0.25 * (np.cos((rows + cols) * 2 * np.pi / 5) + np.cos((rows - cols) * 2 * np.pi / 5))
    return Image.fromarray(np.where(tone > 0.8 * screen + 0.1, 245, 45).astype(np.uint8))


def make_page() -> Image.Image:
    """The whole page."""
    page = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    draw = ImageDraw.Draw(page)
    draw_head(draw)
    draw_table(draw, 345)
    draw_chart(draw, 70, 650)
    page.paste(photo(370, 240), (560, 660))
    draw.text((560, 906), "Plate 3. The north quay from the mole, low water.", font=font(12, "-Oblique"), fill=GREY)
    hatch(draw, (70, 960, 250, 1040), 8)
    draw.text((270, 962), "Area not surveyed", font=font(13, "-Bold"), fill=INK)
    draw.text((270, 984), "Hatched on sheets 4 and 9: wreck, no anchoring.", font=font(13), fill=INK)
    face = font(10)
    for i, line in enumerate(wrap(draw, SMALL_PRINT, face, 860)):
        draw.text((70, 1085 + 15 * i), line, font=face, fill=INK)
    draw.line((70, 1230, 930, 1230), fill=RULE)
    draw.text(
        (500, 1240), "Halden & Moss · 3 Mole Road · 4800 Halden · page 1 of 1", font=font(11), fill=GREY, anchor="ma"
    )
    return page


def main() -> None:
    """Draw the page to where the command line says."""
    parser = argparse.ArgumentParser(description="Draw an invoice: small print, a table, a bar chart and a photograph.")
    default = Path(__file__).with_name("page.png")
    parser.add_argument("out", metavar="OUT.png", nargs="?", type=Path, default=default, help="PNG file to write.")
    out: Path = parser.parse_args().out
    try:
        make_page().quantize(64, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    except OSError as error:
        parser.error(f"cannot write {out}: {error}")


if __name__ == "__main__":
    main()
