"""The arguments of `shirg ask`: images, and what is asked about them. Cheap to import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.output import STANDARD
from shirg_core.cli.source import read_standard_input


def split_arguments(
    images: Sequence[Path], question: str | None, questions: Path | None
) -> tuple[list[Path], list[str]]:
    """Images and questions, one of each at least.

    Args:
        images: all arguments but the last.
        question: the last; an image, too, where there is a file of questions.
        questions: that file, one question a line; blank lines are left out.

    Raises:
        BadInput: no question, or a file that cannot be read.
    """
    if questions is None:
        if question is None or not images:
            raise BadInput("Missing argument 'QUESTION': an image comes first, then what is asked about it")
        return list(images), [question]
    if question is None:
        raise BadInput("Missing argument 'IMAGE': what the questions are about")
    images = [*images, Path(question)]
    if questions == STANDARD and STANDARD in images:
        raise BadInput("--questions - and the image - are the same standard input: name one of them by its file")
    with bad_input(OSError, UnicodeDecodeError, prefix=f"--questions {questions}: "):
        content = read_standard_input("--questions") if questions == STANDARD else questions.read_bytes()
        asked = [line.strip() for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    if not asked:
        raise BadInput(f"--questions {questions}: no question in this file")
    return images, asked
