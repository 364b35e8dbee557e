"""A tiny checkpoint, into whose folder no test writes, and a page."""

from importlib.metadata import EntryPoint

import pytest
from PIL import Image, ImageDraw

from shirg_core.cli import commands
from shirg_lavida.testing import write_tiny_checkpoint, write_tiny_tokenizer


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Its folder."""
    return write_tiny_tokenizer(write_tiny_checkpoint(tmp_path_factory.mktemp("lavida") / "tiny", side=6, patch_size=4))


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(
        commands,
        "entry_points",
        lambda **_: [EntryPoint("ask", "shirg_lavida.cli:ask", commands.ENTRY_POINT_GROUP)],
    )
    monkeypatch.chdir(tmp_path)
    image = Image.new("RGB", (160, 200), "white")
    ImageDraw.Draw(image).text((20, 20), "Total 42\nand more", fill="black", font_size=24)
    image.save(tmp_path / "page.png")
    return tmp_path / "page.png"
