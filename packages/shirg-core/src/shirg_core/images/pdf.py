"""One page of a PDF as an RGB image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from shirg_core.images.errors import ImageError

LONG_SIDE_PX = 2000
"""Pages are rendered to this size: no view reads more detail, and a poster-sized page costs no more than a letter."""


def is_pdf(path: Path) -> bool:
    """Whether the file carries the PDF signature, which may follow up to a kilobyte of other bytes."""
    with path.open("rb") as file:
        return b"%PDF-" in file.read(1024)


def pdf_pages(path: Path) -> int:
    """How many pages a PDF has.

    Raises:
        ImageError: not readable, or encrypted.
    """
    document = _opened(path)
    try:
        return len(document)
    finally:
        document.close()


def render_pdf_page(path: Path, page: int) -> Image.Image:
    """Render page `page` (from 1) with what its form fields hold, its longer side `LONG_SIDE_PX` pixels.

    Raises:
        ImageError: not readable, encrypted, no such page, or a page without area.
    """
    import pypdfium2

    document = _opened(path)
    try:
        pages = len(document)
        if page > pages:
            raise ImageError(f"{path}: has {pages} page{'s' if pages != 1 else ''}, got page {page}")
        # Before a page is taken: only pages of a document whose forms are ready show their fields.
        document.init_forms()
        sheet = document[page - 1]
        width, height = sheet.get_size()
        if width <= 0 or height <= 0:
            raise ImageError(f"{path}: page {page} has no area")
        rendered: Image.Image = sheet.render(scale=LONG_SIDE_PX / max(width, height)).to_pil()
        return rendered.convert("RGB")
    except pypdfium2.PdfiumError as error:
        raise ImageError(f"{path}: page {page} is not readable ({error})") from error
    finally:
        document.close()


def _opened(path: Path) -> Any:
    import pypdfium2  # only PDFs need it, and every command would wait for it

    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise ImageError(f"{path}: not a readable PDF ({error})") from error
