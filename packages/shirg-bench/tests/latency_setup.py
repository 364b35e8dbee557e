"""A tiny random LaViDa with a page, and a clock that ticks when it is read."""

import itertools
import tempfile
from pathlib import Path

import torch
from PIL import Image

from shirg_bench.latency.subject import Subject
from shirg_core.clock import Clock
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.chat import ChatStyle
from shirg_lavida.prompt.tokenizer import load_tokenizer
from shirg_lavida.testing import VOCAB_SIZE, tiny_lavida, write_tiny_tokenizer


def tiny_subject(side: int = 5, page_px: int = 90, **overrides) -> Subject:
    """27 tokens along a view's side and a large page are the real geometry; small ones are fast."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = load_tokenizer(write_tiny_tokenizer(Path(folder)), VOCAB_SIZE)
    model = tiny_lavida(side=side, **overrides)
    pipe = LavidaPipeline(model, tokenizer, chat=ChatStyle(system=None))
    return Subject("tiny", pipe, Image.new("RGB", (page_px, page_px)), "?")


def ticking():
    """1, 2, 3, …: how often time was asked for between two points."""
    ticks = itertools.count(1)
    return lambda: float(next(ticks))


class TickingClock(Clock):
    """A clock that tells how often it was read."""

    def __init__(self, device: torch.device, *, work: bool) -> None:
        assert work
        self._ticks = ticking()
        super().__init__(device, work=work)

    def now(self) -> float:
        return self._ticks()
