"""Images and questions as they come, paired up as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, cast

from PIL import Image

from shirg_lavida.checkpoint.locate import PathOrId

Picture: TypeAlias = Image.Image | PathOrId
Shown: TypeAlias = Picture | Sequence[Picture] | None
"""What one question is about: an image, several, or none."""


def pair_up(image: Shown | Sequence[Shown], question: str | Sequence[str]) -> tuple[list[list[Picture]], list[str]]:
    """Each question's images and the questions, as two lists of one length; a single one of either is repeated.

    None in an image's place is a question without one, a list in its place a question about several.

    Raises:
        ValueError: empty lists, lists of different length, or what is neither an image nor the path of one.
    """
    images = list(cast("Sequence[Shown]", image if is_list(image) else [image]))
    questions = list(cast("Sequence[str]", question if is_list(question) else [question]))
    n_images, n_questions = len(images), len(questions)
    if not is_list(image):
        images = [*images] * n_questions
    elif not is_list(question):
        questions = [*questions] * n_images
    if len(images) != len(questions) or not images:
        raise ValueError(
            f"need as many images as questions, at least one (None for a question without an image): got {n_images} "
            f"and {n_questions}"
        )
    shown = [_pictures(each) for each in images]
    for picture in (picture for each in shown for picture in each):
        if not isinstance(picture, Image.Image | str | Path):
            raise ValueError(f"expected a Pillow image, the path of one, or None, got a {type(picture).__name__}")
    for asked in questions:
        if not isinstance(asked, str):
            raise ValueError(f"expected a question in words, got a {type(asked).__name__}")
    return shown, questions


def _pictures(shown: Shown) -> list[Picture]:
    if shown is None:
        return []
    return list(cast("Sequence[Picture]", shown if is_list(shown) else [shown]))


def is_list(value: object) -> bool:
    """Whether the caller asked for a batch."""
    return isinstance(value, list | tuple)
