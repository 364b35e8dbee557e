"""What PDFs hold beside their page's own content: form fields and annotations."""

import numpy as np
import pytest

from shirg_core.images import load_image

BLUE_BOX = b"0 0 1 rg 0 0 200 100 re f"
DRAWN = b"<< /Type /XObject /Subtype /Form /BBox [0 0 200 100] /Length %d >> stream\n%s\nendstream"
PLACE = b"/Type /Annot /F 4 /P 3 0 R /Rect [50 50 250 150]"
TEXT_FIELD = PLACE + b" /Subtype /Widget /FT /Tx /T (total)"
CHECKBOX = PLACE + b" /Subtype /Widget /FT /Btn /T (paid) /AP << /N << /Yes 6 0 R /Off 7 0 R >> >>"


def pdf(annotation):
    """One blank page of 300 × 200 pt with one annotation; objects 6 and 7 are a blue and an empty appearance."""
    form = b"<< /Fields [4 0 R] /DA (/F 12 Tf) /DR << /Font << /F 5 0 R >> >> >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm " + form + b" >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Annots [4 0 R] >>",
        b"<< " + annotation + b" >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        DRAWN % (len(BLUE_BOX), BLUE_BOX),
        DRAWN % (0, b""),
    ]
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj %s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(out))
    return out + head + table + trailer


def blue_share(tmp_path, annotation):
    """Share of the annotation's pixels that are blue."""
    (tmp_path / "form.pdf").write_bytes(pdf(annotation))
    pixels = np.asarray(load_image(tmp_path / "form.pdf")).astype(int)
    scale = pixels.shape[1] / 300
    x0, x1, y0, y1 = (round(edge * scale) for edge in (50, 250, 50, 150))
    box = pixels[y0:y1, x0:x1]
    assert (pixels[: y0 - 2] == 255).all()
    return float(((box[..., 2] > 200) & (box[..., 0] < 100)).mean())


@pytest.mark.parametrize(
    ("annotation", "low", "high"),
    [
        (TEXT_FIELD + b" /V (882) /DA (/F 60 Tf 0 0 1 rg) /AP << /N 6 0 R >>", 0.99, 1),
        (TEXT_FIELD + b" /V (882) /DA (/F 60 Tf 0 0 1 rg)", 0.05, 0.5),
        (TEXT_FIELD + b" /DA (/F 60 Tf 0 0 1 rg)", 0, 0),
        (CHECKBOX + b" /V /Yes /AS /Yes", 0.99, 1),
        (CHECKBOX + b" /V /Off /AS /Off", 0, 0),
        (PLACE + b" /Subtype /Stamp /AP << /N 6 0 R >>", 0.99, 1),
    ],
    ids=["drawn-field", "field-without-appearance", "empty-field", "checked-box", "unchecked-box", "stamp"],
)
def test_forms_and_annotations_are_seen(tmp_path, annotation, low, high):
    assert low <= blue_share(tmp_path, annotation) <= high
