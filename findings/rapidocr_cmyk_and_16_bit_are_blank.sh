#!/usr/bin/env bash
# rapidocr 3.10.0 with onnxruntime 1.32.0, Pillow 13.0.0
#
# Expected: a CMYK JPEG, as print shops deliver, and a 16-bit grey PNG, as scanners and microscopes write, are read like the same page in RGB.
# Happens:  both give no text at all, as a blank page would, without an error. The four channels of CMYK are taken for RGBA, so that paper (no ink) is fully
#           transparent and white covers it; 16 bits are not scaled to 8. It is the same for a path, for bytes and for a Pillow image.
# Hurts:    a benchmark that counts what a reader reads scores such pages 0, and a pipeline files them as empty.
# Instead:  open the page yourself and hand over 8-bit RGB: Image.open(path).convert("RGB"); 16 bits need scaling by 1/257 before.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet --python 3.11 "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "rapidocr==3.10.0" "onnxruntime==1.32.0" "opencv-python-headless==5.0.0.93" "pillow==13.0.0" "numpy==2.4.6"
cat > "$folder/read.py" <<'PYTHON'
from importlib.metadata import version

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

print(f"rapidocr {version('rapidocr')}")
page = Image.new("RGB", (400, 120), "white")
ImageDraw.Draw(page).text((30, 40), "Total 4250", font=ImageFont.load_default(28), fill="black")
page.save("rgb.jpg", quality=95)
page.convert("CMYK").save("cmyk.jpg", quality=95)
Image.fromarray(np.asarray(page.convert("L")).astype(np.uint16) * 257).save("grey16.png")
page.convert("L").save("grey8.png")
engine = RapidOCR()
found = {name: engine(name).txts for name in ("rgb.jpg", "cmyk.jpg", "grey8.png", "grey16.png")}
found["cmyk.jpg, converted"] = engine(Image.open("cmyk.jpg").convert("RGB")).txts
for name, text in found.items():
    print(f"{name}: {text}")
assert found["rgb.jpg"] == found["grey8.png"] == found["cmyk.jpg, converted"] == ("Total 4250",)
assert found["cmyk.jpg"] is None and found["grey16.png"] is None, "both are read now"
print("as described")
PYTHON
"$folder/venv/bin/python" "$folder/read.py" 2>/dev/null
