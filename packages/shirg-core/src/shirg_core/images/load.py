"""Reading an image file of any common kind as upright 8-bit RGB, or saying in one line why not."""

from __future__ import annotations

import struct
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from shirg_core.files import lfs_pointer
from shirg_core.images.errors import ImageError
from shirg_core.images.pdf import is_pdf, pdf_pages, render_pdf_page

DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error,
)  # fmt: skip
"""Pillow's decoders report broken files by any of these."""

Picture: TypeAlias = Image.Image | Path | str | npt.ArrayLike
"""What `as_image` takes."""
ORIENTATION = 0x0112
"""EXIF's tag."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The tag's value → what puts the image upright."""

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")


def load_image(path: Path | str, page: int = 1) -> Image.Image:
    """Read one image, or one page of a PDF or multi-page TIFF.

    EXIF rotation is applied, transparency is laid over white, and every mode becomes RGB: 16-bit grey is scaled from
    its full range; 32-bit and floating grey, which have no fixed range, from their minimum and maximum.

    The limit on size is Pillow's against decompression bombs, twice `PIL.Image.MAX_IMAGE_PIXELS`: 178,956,970 pixels.
    A decoded image of that size takes 0.7 GB, and up to 2.1 GB while it is turned upright and converted to RGB.

    Args:
        path: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM or PDF.
        page: page or frame, counted from 1.

    Returns:
        An RGB image.

    Raises:
        ImageError: no such file, empty, corrupt, of another kind, too large, or without that page.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ImageError(f"{path}: " + ("is not a file" if path.exists() else "no such file"))
        if path.stat().st_size == 0:
            raise ImageError(f"{path}: the file is empty")
        if page < 1:
            raise ImageError(f"{path}: pages count from 1, got {page}")
        try:
            return _decode(path, page)
        except UnidentifiedImageError:
            # Last: the signature of a PDF may also stand in an image's metadata.
            if is_pdf(path):
                return render_pdf_page(path, page)
            raise
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        if pointer := lfs_pointer(path):
            raise ImageError(pointer) from error
        raise ImageError(f"{path}: not a PNG, JPEG, WebP, TIFF, BMP, GIF, PPM or PDF file") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{path}: {error} Scale it down first") from error
    except MemoryError as error:
        raise ImageError(f"{path}: not enough memory to decode it") from error
    except DECODE_ERRORS as error:
        raise ImageError(f"{path}: cannot be read: {error}") from error


def count_pages(path: Path | str) -> int:
    """Pages of a PDF, frames of a TIFF or an animation; 1 for other images, and for what `load_image` would refuse."""
    path = Path(path)
    with warnings.catch_warnings(), suppress(Image.DecompressionBombError, MemoryError, *DECODE_ERRORS):
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=FORMATS) as image:
                return int(getattr(image, "n_frames", 1))
        except UnidentifiedImageError:
            return pdf_pages(path) if is_pdf(path) else 1
    return 1


def _decode(path: Path, page: int) -> Image.Image:
    with warnings.catch_warnings():
        # Only what is too large to decode matters, and oddities of metadata do not concern the pixels.
        warnings.simplefilter("ignore")
        with Image.open(path, formats=FORMATS) as image:
            pages = getattr(image, "n_frames", 1)
            if page > pages:
                raise ImageError(f"{path}: has {pages} page{'s' if pages > 1 else ''}, got page {page}")
            image.seek(page - 1)
            return upright_rgb(image)


def as_image(picture: Picture) -> Image.Image:
    """An image in whatever form a library user has it → upright RGB.

    Args:
        picture: a Pillow image of any mode, a path (see `load_image`), or an array `[H, W]`, `[H, W, 3]` or
            `[H, W, 4]` of uint8, or of floats in [0, 1].

    Raises:
        ImageError: none of these, or an image that cannot be used.
    """
    if isinstance(picture, Path | str):
        return load_image(picture)
    if isinstance(picture, Image.Image):
        return upright_rgb(picture)
    try:
        pixels = np.asarray(picture)
    except (TypeError, ValueError, RuntimeError) as error:
        # Rows of different lengths, or a tensor on a GPU or with gradients.
        raise ImageError(
            f"an image must be Pillow's, a path, or an array, got {type(picture).__name__}: {error}"
        ) from error
    if pixels.dtype.kind == "f" and pixels.size and pixels.min() >= 0 and pixels.max() <= 1:
        pixels = np.rint(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8 or not pixels.size or (pixels.shape[2:] not in ((), (3,), (4,)) or pixels.ndim < 2):
        wanted = "[H, W], [H, W, 3] or [H, W, 4], of uint8 or of floats in [0, 1]"
        what = f"{pixels.dtype} {list(pixels.shape)}"
        raise ImageError(f"an image must be Pillow's, a path, or an array {wanted}, got {what}")
    return to_rgb(Image.fromarray(pixels))


def upright_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow image → RGB as one is meant to see it: `to_rgb`, and EXIF's rotation applied.

    The result is a new image of pixels alone, without metadata: turning it again leaves it as it is.

    Raises:
        ValueError: floating pixels that are NaN or infinite.
    """
    # Decoded before the tag is read: a TIFF is turned by Pillow itself while it is decoded, and its tag removed.
    image.load()
    # Not by `ImageOps.exif_transpose`, which also writes the metadata anew and fails where that is damaged.
    turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    upright = to_rgb(image if turn is None else image.transpose(turn))
    upright.info = {}
    return upright


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode → RGB, transparency over white.

    Raises:
        ValueError: floating pixels that are NaN or infinite.
    """
    if image.mode == "I" or image.mode.startswith("I;16") or image.mode == "F":
        return _scale_grey(image).convert("RGB")
    if image.has_transparency_data:
        # Pillow knows premultiplied grey only by way of grey with alpha.
        image = image.convert("LA") if image.mode == "La" else image
        top = image.convert("RGBA")
        white = Image.new("RGBA", top.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, top).convert("RGB")
    return image.convert("RGB")


def _scale_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("it has pixels that are NaN or infinite")
    # Pillow reads grey PGM of more than 8 bits as 32-bit integers that are scaled to 16 bits.
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    low, high = (0.0, 65535.0) if sixteen else (float(values.min()), float(values.max()))
    # A constant image has no range to scale by: shown as it is, as far as 8 bits go.
    scaled = np.clip(values, 0, 255) if high <= low else (values - low) * (255.0 / (high - low))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))
