import io

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from shirg_core.images import upright_rgb
from shirg_core.images.errors import ImageError
from shirg_core.images.load import load_image, to_rgb

SHORT_GIF = (
    "47494638376118001000810000ffffff0000000000000000002c00000000180010000008230001081c48b0a0c1660813"
    "2a6f983000c38710234a9c48b1a2c58b18336adcc83163400021f90401000002002c"
)
"""Ends where a second frame would begin; Pillow's decoder reports that by `struct.error`."""


def saved(tmp_path, image, name="image.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def gradient(width=12, height=8):
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    return Image.fromarray(ramp.astype(np.uint8))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp", "gif", "ppm"])
def test_formats(tmp_path, suffix):
    image = load_image(saved(tmp_path, gradient(), f"image.{suffix}"))
    assert image.mode == "RGB"
    assert image.size == (12, 8)
    assert np.abs(np.asarray(image, dtype=float) - np.asarray(gradient(), dtype=float)).mean() < 25


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "LAB", "HSV"]
)
def test_any_mode_becomes_rgb(mode):
    white = Image.new("RGBA", (3, 2), (255, 255, 255, 255))
    by_way_of = {"RGBa": "RGBA", "La": "LA", "PA": "LA", "P": "RGB"}.get(mode, "RGBA")
    lab_white = Image.new("LAB", (3, 2), (255, 128, 128))
    image = lab_white if mode == "LAB" else white.convert(by_way_of).convert(mode)
    assert image.mode == mode
    assert np.asarray(to_rgb(image)).min() >= 250
    assert to_rgb(image).mode == "RGB"


def test_sixteen_bit_grey_keeps_its_full_range(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16)))
    assert np.asarray(load_image(path))[0, :, 0].tolist() == [0, 128, 255]


def test_sixteen_bit_pgm_is_read_as_the_same_png(tmp_path):
    values = np.array([[65000, 65535], [30000, 30000]], dtype=np.uint16)
    (tmp_path / "grey.pgm").write_bytes(b"P5 2 2 65535\n" + values.astype(">u2").tobytes())
    expected = load_image(saved(tmp_path, Image.fromarray(values)))
    assert np.array_equal(np.asarray(load_image(tmp_path / "grey.pgm")), np.asarray(expected))


def test_wide_greys_are_scaled_by_their_range():
    assert np.asarray(to_rgb(Image.fromarray(np.array([[-5, 0, 5]], dtype=np.int32))))[0, :, 0].tolist() == [
        0,
        128,
        255,
    ]
    assert np.asarray(to_rgb(Image.fromarray(np.array([[0.0, 0.5]], dtype=np.float32))))[0, :, 0].tolist() == [0, 255]
    assert np.asarray(to_rgb(Image.fromarray(np.full((1, 1), 7, dtype=np.int32))))[0, 0].tolist() == [7, 7, 7]


def test_nan_pixels_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[0.0, np.nan]], dtype=np.float32)), "image.tiff")
    with pytest.raises(ImageError, match="NaN"):
        load_image(path)


def test_transparency_is_laid_over_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (200, 0, 0, 255))
    assert np.asarray(load_image(saved(tmp_path, image)))[0].tolist() == [[255, 255, 255], [200, 0, 0]]
    palette = image.convert("RGB").quantize(2)
    path = saved(tmp_path, palette, "palette.png", transparency=palette.getpixel((0, 0)))
    assert np.asarray(load_image(path))[0, 0].tolist() == [255, 255, 255]


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_image(saved(tmp_path, gradient(12, 8), "image.jpg", exif=exif)).size == (8, 12)


def upright_array(pixels, orientation):
    """What the tag says of `pixels [H, W, 3]` (EXIF 2.32, TIFF 6.0)."""
    turn = {
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: np.rot90,
    }
    return turn.get(orientation, np.asarray)(pixels)


FILES = {
    "png": {},
    "webp": {"lossless": True},
    "raw.tiff": {},
    "lzw.tiff": {"compression": "tiff_lzw"},
    "pages.tiff": {"save_all": True, "append_images": [gradient(12, 8)]},
}


# libtiff writes no tag but the eight.
@pytest.mark.parametrize(
    ("kind", "orientation"), [(k, o) for k in FILES for o in range(10) if k != "lzw.tiff" or 0 < o < 9]
)
def test_every_orientation_is_turned_once(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, gradient(12, 8), f"image.{kind}", exif=exif, **FILES[kind])
    expected = upright_array(np.asarray(gradient(12, 8)), orientation)
    assert np.array_equal(np.asarray(load_image(path)), expected)
    with Image.open(path) as lazy:
        upright = upright_rgb(lazy)
    assert np.array_equal(np.asarray(upright), expected)
    assert np.array_equal(np.asarray(upright_rgb(upright)), expected)


def test_later_pages_are_turned_once(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    second = Image.fromarray(np.asarray(gradient(12, 8))[::-1].copy())
    path = saved(tmp_path, gradient(12, 8), "pages.tiff", exif=exif, save_all=True, append_images=[second])
    assert np.array_equal(np.asarray(load_image(path, page=2)), np.rot90(np.asarray(second), -1))


def test_a_turn_in_xmp_is_made_once(tmp_path):
    words = PngImagePlugin.PngInfo()
    words.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
    upright = load_image(saved(tmp_path, gradient(12, 8), pnginfo=words))
    assert upright.size == (8, 12)
    assert upright_rgb(upright).size == (8, 12)


def test_the_image_that_is_turned_stays_as_it_was(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(saved(tmp_path, gradient(12, 8), exif=exif)) as image:
        upright_rgb(image)
        assert image.size == (12, 8)
        assert image.getexif()[0x0112] == 6


def test_damaged_metadata_does_not_concern_the_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    path = saved(tmp_path, gradient(12, 8), "image.jpg", exif=exif)
    # The resolution becomes a copyright notice, which Pillow reads but cannot write.
    whole = path.read_bytes()
    for before, after in ((b"\x01\x1a\x00\x05", b"\x82\x98\x00\x05"), (b"\x1a\x01\x05\x00", b"\x98\x82\x05\x00")):
        whole = whole.replace(before, after)
    path.write_bytes(whole)
    with Image.open(path) as image, pytest.raises(AttributeError):
        ImageOps.exif_transpose(image)
    assert load_image(path).size == (8, 12)


def test_a_picture_that_mentions_a_pdf_is_a_picture(tmp_path):
    words = PngImagePlugin.PngInfo()
    words.add_text("Source", "converted from %PDF-1.7")
    assert load_image(saved(tmp_path, gradient(12, 8), pnginfo=words)).size == (12, 8)


def test_pages_of_a_tiff(tmp_path):
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (5, 4), "blue")
    path = saved(tmp_path, first, "pages.tiff", save_all=True, append_images=[second])
    assert load_image(path).size == (4, 4)
    assert load_image(path, page=2).getpixel((0, 0)) == (0, 0, 255)
    for page in (0, 3):
        with pytest.raises(ImageError, match=str(page)):
            load_image(path, page=page)


def test_pages_of_a_pdf(tmp_path):
    first, second = Image.new("RGB", (300, 600), "red"), Image.new("RGB", (600, 300), "blue")
    path = saved(tmp_path, first, "pages.pdf", save_all=True, append_images=[second])
    assert load_image(path).size == (1000, 2000)
    page = load_image(path, page=2)
    assert page.size == (2000, 1000)
    assert page.getpixel((500, 500))[2] > 240
    with pytest.raises(ImageError, match="has 2 pages, got page 3"):
        load_image(path, page=3)


def test_one_pixel(tmp_path):
    assert load_image(saved(tmp_path, Image.new("L", (1, 1), 9))).size == (1, 1)


def test_too_many_pixels_are_one_line_with_both_numbers(tmp_path):
    path = saved(tmp_path, Image.new("1", (14_000, 13_000)))
    with pytest.raises(ImageError, match=r"182000000 pixels.*limit of 178956970 pixels.*[Ss]cale it down") as caught:
        load_image(path)
    assert "\n" not in str(caught.value)


def test_the_limit_is_pillows_own(tmp_path, monkeypatch):
    path = saved(tmp_path, gradient(12, 8), "image.tiff")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 95 // 2)
    with pytest.raises(ImageError, match=r"96 pixels.*limit of 94 pixels"):
        load_image(path)
    for high in (96 // 2, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", high)
        assert load_image(path).size == (12, 8)


def broken_files():
    png, tiff, jpeg = io.BytesIO(), io.BytesIO(), io.BytesIO()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    noise.save(png, "PNG")
    noise.save(tiff, "TIFF", compression="tiff_lzw")
    noise.save(jpeg, "JPEG")
    half = len(png.getvalue()) // 2
    return {
        "empty.png": b"",
        "text.png": b"this is no picture",
        "half.png": png.getvalue()[:half],
        "head.png": png.getvalue()[:20],
        "garbled.png": png.getvalue()[:60] + b"\0" * 500 + png.getvalue()[560:],
        "half.jpg": jpeg.getvalue()[:700],
        "half.tiff": tiff.getvalue()[:900],
        "half.pdf": b"%PDF-1.7\n1 0 obj <<",
        "short.gif": bytes.fromhex(SHORT_GIF),
        "drawing.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    }


@pytest.mark.parametrize("name", broken_files())
def test_broken_files_are_one_clear_line(tmp_path, name, capfd):
    (tmp_path / name).write_bytes(broken_files()[name])
    with pytest.raises(ImageError, match=name) as caught:
        load_image(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_no_file_and_folder(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        load_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is not a file"):
        load_image(tmp_path)


def test_a_git_lfs_pointer_is_named_as_one(tmp_path):
    (tmp_path / "page.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(ImageError, match=r"page\.png is a git-lfs pointer, not the file itself: run `git lfs pull`"):
        load_image(tmp_path / "page.png")
