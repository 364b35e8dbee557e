"""Images and questions as they come, paired up as a batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, cast

from PIL import Image

from shirg_lavida.checkpoint.locate import PathOrId

Picture: TypeAlias = Image.Image | PathOrId


def pair_up(
    image: Picture | Sequence[Picture | None] | None, question: str | Sequence[str]
) -> tuple[Sequence[Picture | None], Sequence[str]]:
    """Images and questions as two lists of one length; a single one of either is repeated.

    None in an image's place is a question without one.

    Raises:
        ValueError: empty lists, lists of different length, or what is neither an image nor the path of one.
    """
    images = cast("Sequence[Picture | None]", image if is_list(image) else [image])
    questions = cast("Sequence[str]", question if is_list(question) else [question])
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
    for picture in images:
        if not isinstance(picture, Image.Image | str | Path | None):
            raise ValueError(f"expected a Pillow image, the path of one, or None, got a {type(picture).__name__}")
    for asked in questions:
        if not isinstance(asked, str):
            raise ValueError(f"expected a question in words, got a {type(asked).__name__}")
    return images, questions


def is_list(value: object) -> bool:
    """Whether the caller asked for a batch."""
    return isinstance(value, list | tuple)
