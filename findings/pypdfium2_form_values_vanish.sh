#!/usr/bin/env bash
# pypdfium2 5.15.2 (PDFium)
#
# Expected: `page.render()` of a filled-in form shows what was filled in. Its parameter `may_draw_forms` is True by default, and the field has its own appearance stream.
# Happens:  the fields are blank unless `document.init_forms()` ran before the page was first taken from the document. Run after it, it changes nothing either.
#           The text layer (`get_textpage`) never has the value, with or without it.
# Hurts:    a document model is trained or asked on an empty form. Nothing warns, and the same file looks right in every viewer.
# Instead:  call `init_forms()` directly after opening, for every document, and read values from the rendered page or the form itself, not from the text layer.
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


def pdf(*objects):
    """A PDF of these numbered objects, the first being the catalog."""
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (size, table, size, len(data))


drawn = b"/Tx BMC q BT /F 20 Tf 0 g 4 6 Td (88.64) Tj ET Q EMC"
form = pdf(
    b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/DR<</Font<</F 5 0 R>>>>/DA(/F 20 Tf 0 g)>>>>",
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Annots[4 0 R]/Resources<</Font<</F 5 0 R>>>>>>",
    b"<</Type/Annot/Subtype/Widget/FT/Tx/T(total)/V(88.64)/F 4/Rect[20 30 180 60]/DA(/F 20 Tf 0 g)/P 3 0 R/AP<</N 6 0 R>>>>",
    b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    b"<</Type/XObject/Subtype/Form/BBox[0 0 160 30]/Resources<</Font<</F 5 0 R>>>>/Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
)


def dark_pixels(page):
    return int(np.count_nonzero(page.render(scale=2).to_numpy() < 128))


never = PdfDocument(form)[0]
late = PdfDocument(form)
late_page = late[0]
late.init_forms()
early = PdfDocument(form)
early.init_forms()
early_page = early[0]
counts = {"never": dark_pixels(never), "after the page": dark_pixels(late_page), "before the page": dark_pixels(early_page)}
text = early_page.get_textpage().get_text_range()
print(f"pypdfium2 {pypdfium2.PYPDFIUM_INFO}, PDFium {pypdfium2.PDFIUM_INFO}")
for when, count in counts.items():
    print(f"init_forms() {when}: {count} dark values on the page")
print(f"text layer, with init_forms() before the page: {text!r}")
assert counts["never"] == counts["after the page"] == 0, "the field is now drawn without init_forms() before the page"
assert counts["before the page"] > 100, "the field is not drawn even with init_forms()"
assert "88.64" not in text, "the text layer has the value now"
print("as described")
PYTHON
