#!/usr/bin/env bash
# pypdfium2 5.15.2 (PDFium)
#
# Expected: `textpage.get_charbox(i)` times the scale, y flipped by `page.get_height()`, is where `page.render()` draws the character. Both belong to one page object.
# Happens:  it is, until the page has a CropBox that does not begin at the origin, or a /Rotate. `get_size()` and `render()` follow both; text boxes follow neither.
# Hurts:    boxes that say which patches of a page hold a word point elsewhere, often outside the image. Scanners write /Rotate and publishers write CropBox,
#           so a mixed set of documents gets labels that are right for most pages.
# Instead:  subtract the left and bottom of `page.get_cropbox()` and turn by `page.get_rotation()`, and assert that a box has ink in it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"  # away from any project whose settings uv would read
uv venv --quiet "$folder/venv"
uv pip install --quiet --python "$folder/venv/bin/python" "pypdfium2==5.15.2" "pillow==13.0.0" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import pypdfium2
from pypdfium2 import PdfDocument


def page_with(entry):
    """400 by 300 points, one letter whose baseline begins at (110, 110), and `entry` in the page's dictionary."""
    text = b"BT /F 40 Tf 110 110 Td (H) Tj ET"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 300]%s/Resources<</Font<</F 5 0 R>>>>/Contents 4 0 R>>" % entry,
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    data, table = b"%PDF-1.7\n", b""
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    data += b"xref\n0 6\n0000000000 65535 f \n%strailer\n<</Root 1 0 R/Size 6>>\nstartxref\n%d\n%%%%EOF" % (table, len(data))
    return PdfDocument(data)


print(f"pypdfium2 {pypdfium2.PYPDFIUM_INFO}, PDFium {pypdfium2.PDFIUM_INFO}")
distances = {}
for name, entry in {"plain": b"", "CropBox": b"/CropBox[100 100 300 200]", "Rotate": b"/Rotate 90"}.items():
    document = page_with(entry)
    page = document[0]
    left, bottom, right, top = page.get_textpage().get_charbox(0)
    rows, columns = np.nonzero(page.render(scale=1).to_numpy()[..., 0] < 128)
    box = [round(value) for value in (left, page.get_height() - top, right, page.get_height() - bottom)]
    ink = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
    distances[name] = max(abs(a - b) for a, b in zip(box, ink, strict=True))
    print(f"{name:8} image {page.get_width():.0f}x{page.get_height():.0f}: box {box}, ink {ink}, up to {distances[name]} px apart")
assert distances["plain"] <= 2, "box and ink differ even on a plain page"
assert min(distances["CropBox"], distances["Rotate"]) > 50, "text boxes follow the page's crop or rotation now"
print("as described")
PYTHON
