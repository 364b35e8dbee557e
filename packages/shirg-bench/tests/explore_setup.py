"""A small page with print, and the explorer's page read back."""

import json
import re

from PIL import Image, ImageDraw

from shirg_bench.explore.encode import decode
from shirg_core.cli.app import main


def draw_page(path, size=(300, 400)):
    """A page with two lines of print and a frame."""
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    draw.text((30, 40), "TOTAL DUE 1234.50", fill="black")
    draw.text((30, 300), "PAID IN CASH", fill="black")
    draw.rectangle((20, 20, 280, 380), outline="gray")
    page.save(path)
    return path


def write_explorer(folder, *argv):
    """Run the command; the page's text and its data."""
    out = folder / "explorer.html"
    assert main(["explore", *map(str, argv), "--quiet", "-o", str(out)]) == 0
    text = out.read_text("utf-8")
    return text, decode(re.search(r'<script id="data"[^>]*>([^<]+)</script>', text)[1])


def selected(folder, image, method, budget):
    """Indices that `shirg select` keeps."""
    out = folder / "select.json"
    argv = ["select", str(image), "--method", method, "--budget", budget, "--json", str(out)]
    assert main([*argv, *(("--text-weight", "0") if method == "v2" else ())]) == 0
    return json.loads(out.read_text("utf-8"))["indices"]
