"""Training-only losses that teach reading and binding; none of their weights is in the checkpoint.

A micro model learns to read print within minutes, and then for a long time answers with *some* value of the page:
which value belongs to the asked label is the plateau. These losses break it.

    chars, places   cross-entropy of every cell's glyph and place in its value, linear in the tower's features
    values          cross-entropy of the value's character at every place (none, where a patch does not show it), linear
                    in the projected token, for each row of cells: a patch may show parts of two lines. The language
                    model reads an answer's j-th character from one subspace, or from one of two
    owners          − log softmax_w(cos(z_i, e_w) / τ) at the label that patch i's print belongs to, over all word
                    embeddings e_w, z_i the projected token; a patch without a fact belongs to `<|unknown|>`.
                    So projected tokens point where word embeddings do, which text relevance (SHIRG-v2) builds on.
                    With codes of its own in place of e_w, the loss teaches the same and aligns nothing.
    pointer         − log attention of one head from answer character j to the patch that shows it
    label_pointer   − log attention of one head from every answer token to the label in the prompt
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shirg_train.testbed.micro.answers import AnswerPass
from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.micro.build import EMBEDDING_STD
from shirg_train.testbed.micro.visual import Visual
from shirg_train.testbed.pages.words import ALPHABET, MAX_VALUE

EMPTY_WEIGHT = 0.1
"""Weight of cells and patches without print, of which there are many."""
TEMPERATURE = 0.1
CUT_PER_CENT = 30
"""Share of a glyph's box that must lie in other patches to call it cut: of 3 × 5 pixels one column, or two rows."""
CLASSES = len(ALPHABET) + 1


class AuxiliaryHeads(nn.Module):
    """The heads of the losses on patches.

    Args:
        tower_width: channels of the tower, D.
        width: channels of the language model, d.
        slots: rows and columns of cells in a patch, S in all.
        codes: how many codes `owners` has of its own, one per token of the vocabulary; 0 = it takes word embeddings.
    """

    def __init__(self, tower_width: int, width: int, slots: tuple[int, int], codes: int = 0) -> None:
        super().__init__()
        self.rows, columns = slots
        self.cells = self.rows * columns
        self.chars = nn.Linear(tower_width, self.cells * CLASSES)
        self.places = nn.Linear(tower_width, self.cells * (MAX_VALUE + 1))
        self.values = nn.Linear(width, self.rows * MAX_VALUE * CLASSES)
        self.codes = nn.Parameter(torch.randn(codes, width, dtype=torch.float32) * EMBEDDING_STD) if codes else None

    def glyphs(self, features: Tensor, batch: MicroBatch, cut: float = 0.0) -> tuple[Tensor, Tensor]:
        """The losses `chars` and `places` of `features [B, N, D]`; `cut` is added to the weight of cut glyphs."""
        chars = self.chars(features).unflatten(-1, (self.cells, -1))
        places = self.places(features).unflatten(-1, (self.cells, -1))
        weight = 1 + cut * (batch.cut >= CUT_PER_CENT).float()
        return _cross_entropy(chars, batch.chars, weight), _cross_entropy(places, batch.places)

    def characters(self, projected: Tensor, batch: MicroBatch) -> Tensor:
        """The loss `values` of `projected [B, N, d]`."""
        logits = self.values(projected).unflatten(-1, (self.rows, MAX_VALUE, -1))
        return _cross_entropy(logits, spelled(batch, self.rows))


def spelled(batch: MicroBatch, rows: int) -> Tensor:
    """`[B, N, rows, MAX_VALUE]` the character that a patch's row of cells shows of a value at each place, 0 = none."""
    places, chars = (cells.unflatten(-1, (rows, -1)) for cells in (batch.places, batch.chars.clamp_min(0)))
    shown = torch.zeros(*places.shape[:-1], MAX_VALUE + 1, dtype=torch.int64)
    return shown.scatter(-1, places, chars)[..., 1:]


def _cross_entropy(logits: Tensor, target: Tensor, more: Tensor | None = None) -> Tensor:
    """Weighted mean; the weights are `EMPTY_WEIGHT` for class 0, else 1, times `more` where it is given."""
    weight = torch.ones_like(target, dtype=torch.float32).masked_fill(target == 0, EMPTY_WEIGHT) * (target >= 0)
    if more is not None:
        weight = weight * more
    each = F.cross_entropy(logits.flatten(0, -2).float(), target.flatten(), ignore_index=-1, reduction="none")
    return (each * weight.flatten()).sum() / weight.sum()


def owner_loss(projected: Tensor, owners: Tensor, embeddings: Tensor, labels: Tensor, unknown: int) -> Tensor:
    """The loss `owners`.

    Args:
        projected: `[B, N, d]`.
        owners: `[B, N, S]` 1 + label, 0 = none.
        embeddings: `[V, d]` word embeddings, or codes in their place.
        labels: `[labels]` the token of every label.
        unknown: the token of what belongs to no fact.
    """
    tokens = torch.cat([torch.tensor([unknown]), labels])[owners]
    owned = owners > 0
    weight = owned.float() / owned.sum(-1, keepdim=True).clamp_min(1)
    weight = torch.where(owned.any(-1, keepdim=True), weight, EMPTY_WEIGHT / owners.shape[-1])
    cosine = F.normalize(projected.float(), dim=-1) @ F.normalize(embeddings.float(), dim=-1).T
    likelihood = (cosine / TEMPERATURE).log_softmax(-1).gather(-1, tokens)
    return -(weight * likelihood).sum() / weight.sum()


def pointer_losses(out: AnswerPass, visual: Visual, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """The losses `pointer` (over characters whose patch was kept) and `label_pointer`; rows are pages or questions."""
    rows, questions, length, _ = out.pointer.shape
    pointers = batch.pointers.view(rows, questions, length)
    column = visual.columns[:, None].expand(-1, questions, -1).gather(2, pointers.clamp_min(0))
    column = torch.where(pointers >= 0, column, -1)
    shown = column >= 0
    pointer = -out.pointer.log_softmax(-1).gather(-1, column.clamp_min(0)[..., None])[..., 0]
    label = -out.label_pointer.log_softmax(-1)[..., batch.label_at]
    return (pointer * shown).sum() / shown.sum().clamp_min(1), label.mean()
