"""From a record on disk to what a training step takes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor

from shirg_core.files import LFS_POINTER, lfs_pointer
from shirg_core.images import DECODE_ERRORS, upright_rgb
from shirg_train.data.chat import Encoding, Exchange, answer_ids, exchanges, prompt_ids, word_ids
from shirg_train.data.record import CorruptSampleError, Record
from shirg_train.seeds import derive


@dataclass(frozen=True)
class TrainingSample:
    """One question about images and its answer.

    Attributes:
        key: names the sample in reports.
        prompt_ids: `[M]` int64, `IMAGE_TOKEN_ID` for each image.
        question_ids: `[W]` int64, the words of the user's turn that the answer answers, see
            `shirg_lavida.prompt.chat.question_ids`; other turns are not among them.
        answer_ids: `[L]` int64, unpadded; these alone are learnt.
        images: RGB, at their own sizes, in prompt order.
    """

    key: str
    prompt_ids: Tensor
    question_ids: Tensor
    answer_ids: Tensor
    images: tuple[Image.Image, ...]


@dataclass(frozen=True)
class Reader:
    """How records become samples.

    Args:
        encode: the tokenizer.
        system: text of the system turn; None = no such turn.
        max_tokens: longest prompt and answer together, images counted as one token each; 0 = no limit. An exchange that
            is too long with what was said before, or asks without a word, makes room for another one.
        smallest_px: an image with a shorter side is of no use.
        seed: chooses one exchange of a conversation, anew in every epoch; what was said and shown before comes with it.
    """

    encode: Encoding
    system: str | None = None
    max_tokens: int = 2048
    smallest_px: int = 2
    seed: int = 0

    def __call__(self, record: Record, epoch: int = 0) -> TrainingSample:
        """Decode a record.

        Raises:
            CorruptSampleError: no image (nothing that is trained here would learn from it), an unreadable one, a
                conversation that does not fit, a question without words, or too many tokens.
        """
        if not record.images:
            raise CorruptSampleError("no image: text alone does not train the visual path")
        talk = self._exchanges(record)
        chosen = derive(self.seed, "exchange", epoch, record.key) % len(talk)
        # Text first: it costs little, and an unfit conversation needs no image.
        problem = ""
        for last in (chosen, *range(chosen), *range(chosen + 1, len(talk))):
            shown = talk[last : last + 1] if record.independent else talk[: last + 1]
            prompt = prompt_ids(shown, self.encode, system=self.system)
            target = answer_ids(talk[last].answer, self.encode)
            length = len(prompt) + len(target)
            if self.max_tokens and length > self.max_tokens:
                problem = f"length: {length} tokens, {self.max_tokens} are allowed"
                continue
            try:
                words = word_ids(talk[last], self.encode)
            except ValueError as error:
                problem = f"conversation: {error}"
                continue
            images = record.images[: sum(each.n_images for each in shown)]
            return TrainingSample(record.key, prompt, words, target, tuple(map(self._decode, images)))
        raise CorruptSampleError(problem)

    def _exchanges(self, record: Record) -> list[Exchange]:
        if not record.independent:
            return exchanges(record.turns, len(record.images))
        pairs = zip(record.turns[::2], record.turns[1::2], strict=True)
        return [exchange for pair in pairs for exchange in exchanges(pair, len(record.images))]

    def _decode(self, encoded: bytes | Path) -> Image.Image:
        if isinstance(encoded, Path) and not encoded.is_file():
            raise CorruptSampleError(f"missing image: {encoded}")
        try:
            with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as image:
                rgb = upright_rgb(image)
        except (*DECODE_ERRORS, Image.DecompressionBombError) as error:
            raise CorruptSampleError(f"unreadable image: {_pointer(encoded) or error}") from error
        if min(rgb.size) < self.smallest_px:
            raise CorruptSampleError(f"tiny image: {rgb.width} × {rgb.height} px")
        return rgb


def _pointer(encoded: bytes | Path) -> str | None:
    if isinstance(encoded, Path):
        return lfs_pointer(encoded)
    stored = encoded.startswith(LFS_POINTER)
    return "a git-lfs pointer was stored instead: run `git lfs pull` and write the data anew" if stored else None
