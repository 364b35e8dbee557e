"""What a learned compressor is: pages in, entries of the prefix out, in place of tower, projector and selector.

    pages  →  Compressed: K tokens, each at the place of a patch  (and M entries that stand for no patch)

The tower stays frozen. A compressor draws no random numbers, so that training resumes bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from shirg_core.selection import Selection
from shirg_lavida.model import LavidaModel
from shirg_train.testbed.micro.batches import MicroBatch


@dataclass(frozen=True, eq=False)
class Compressed:
    """R rows: a page each, or a question each where the compressor reads the question.

    Attributes:
        selection: `kept [R, K, d]`, in the language model's space, and the patches whose places they take.
        extra: `[R, M, d]` entries behind the page's last; None = none.
        projected: `[B, N, d]` every patch of the page through the model's own projector, where the compressor has it;
            the training-only loss on owners needs it.
        weights: `[R, K]` factors in (0, 1] of the attention that kept tokens receive while a choice is soft; None = 1.
        losses: training-only losses by name, already weighted; empty at inference.
    """

    selection: Selection
    extra: Tensor | None = None
    projected: Tensor | None = None
    weights: Tensor | None = None
    losses: dict[str, Tensor] = field(default_factory=dict)


class Compressor(nn.Module, ABC):
    """A compressor with weights of its own.

    Attributes:
        method: its name in `shirg_core.methods`, which says whether its K is free and whether it merges patches.
        reads_question: whether its rows are questions instead of pages.
    """

    method: ClassVar[str]
    reads_question: ClassVar[bool] = False

    def __init__(self, model: LavidaModel) -> None:
        super().__init__()
        del model

    @abstractmethod
    def forward(self, model: LavidaModel, batch: MicroBatch, k: int | None, done: float | None = None) -> Compressed:
        """Compress pages.

        Args:
            model: whose tower is frozen, and whose projector, if it is used, learns with the compressor.
            batch: B pages with Q questions each.
            k: how many tokens of each page to keep; None where the layout fixes it.
            done: share of the training steps that are done; None = inference.
        """
