"""What tests of `shirg pages` share: a tiny tower, a page without drawing, a folder in SROIE's layout."""

import json

import torch
from PIL import Image, ImageDraw
from transformers import Dinov2Config, Dinov2Model

from shirg_bench.pages.page import Line, PrintedPage
from shirg_bench.pages.tower import Tower

BOXES = """10,10,90,10,90,22,10,22,ACME STORE
10,40,60,40,60,52,10,52,TOTAL:
80,41,120,41,120,53,80,53,9.00
10,70,60,70,60,82,10,82,CASH
80,70,120,70,120,82,80,82,10.00
10,90,120,90,120,102,10,102,SAVED 9.00 TODAY
"""


def tiny_tower():
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, patch_size=14, image_size=56)
    return Tower(Dinov2Model(config).eval())


def tiny_page(size=(140, 200)):
    image = Image.new("RGB", size, "white")
    box = (20, 30, 100, 50)
    ImageDraw.Draw(image).rectangle(box, fill="black")
    return PrintedPage(image, [Line("BLACK BAR", (box,))], (box,))


def sroie_folder(path, boxes=BOXES, key=None):
    for name in ("img", "box", "key"):
        (path / name).mkdir(parents=True)
    tiny_page().image.save(path / "img" / "000.jpg")
    (path / "box" / "000.csv").write_bytes(boxes.encode("latin-1"))
    if key is not None:
        (path / "key" / "000.json").write_text(json.dumps(key))
    return path
