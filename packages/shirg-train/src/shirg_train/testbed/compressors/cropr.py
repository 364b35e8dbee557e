"""Token Cropr: after every tower layer, learned queries score the tokens, and the lowest scores are dropped.

    score_n = Σ_m Q_m · x_n                                               x: tokens after a layer of the tower
    z_m = Σ_n softmax_n(Q_m · sg(x_n) / √D) · sg(x_n)                     sg: detached
    head:  Linear(LN(z_m + MLP(LN(z_m))))  →  the value of label m, character by character

The head sees detached tokens and learns the task by itself: what its queries attend to is what the task needs. It
is gone at inference; the sum of the queries is all that is left. The paper's queries stand for classes; here each of
the labels that a page may be asked for has one, a learned linear map of its word embedding.

Each layer that runs drops as many tokens as the others: the paper crops after all layers but the tower's last, which
LaViDa leaves out. Last-layer fusion is off, as in the authors' code by default. The tower is frozen and never saw
dropped neighbours: a handicap.

Exact K: yes. Reads no question.

Source:
    Bergner et al. 2024, arXiv 2412.00965.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from shirg_core.selection import Selection
from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.contract import Compressed, Compressor
from shirg_train.testbed.compressors.grid import embed_patches, keep_top, mlp, tower_layers
from shirg_train.testbed.micro.batches import ANSWER_LENGTH, MicroBatch, label_tokens
from shirg_train.testbed.pages.tokenizer import build_tokenizer


class Cropping(nn.Module):
    """Scores after one layer, and the head that trains them."""

    def __init__(self, width: int, words: int, vocabulary: int) -> None:
        super().__init__()
        self.query = nn.Linear(words, width, bias=False)
        self.mlp_norm, self.norm = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width)
        self.mlp = mlp(width, 4 * width, width)
        self.head = nn.Linear(width, ANSWER_LENGTH * vocabulary)

    def scores(self, x: Tensor, labels: Tensor) -> Tensor:
        """`x [B, n, D]`, `labels [M, words]` → `[B, n]`."""
        scores: Tensor = x @ self.query(labels).sum(0)
        return scores

    def loss(self, x: Tensor, asked: Tensor, answers: Tensor) -> Tensor:
        """Cross-entropy of answers `[B, Q, L]` to questions about labels `asked [B, Q, words]`."""
        x = x.detach()
        weights = (self.query(asked) @ x.transpose(1, 2) / x.shape[-1] ** 0.5).softmax(-1)
        seen = weights @ x
        seen = seen + self.mlp(self.mlp_norm(seen))
        logits = self.head(self.norm(seen)).unflatten(-1, (ANSWER_LENGTH, -1))
        return F.cross_entropy(logits.flatten(0, 2).float(), answers.flatten())


class TokenCropr(Compressor):
    """See the module."""

    method = "cropr"
    labels: Tensor

    def __init__(self, model: LavidaModel) -> None:
        super().__init__(model)
        width, language = model.config.vision.hidden_size, model.config.language
        self.crops = nn.ModuleList(Cropping(width, language.d_model, language.vocab_size) for _ in tower_layers(model))
        self.register_buffer("labels", label_tokens(build_tokenizer()), persistent=False)

    def forward(self, model: LavidaModel, batch: MicroBatch, k: int | None, done: float | None = None) -> Compressed:
        """See `Compressor`."""
        assert k is not None, "its K is free"
        words = model.backbone.wte.weight.detach()
        labels, asked = words[self.labels], words[batch.tails[..., batch.label_at]]
        x = embed_patches(model, batch.images)
        layers, n, losses = tower_layers(model), x.shape[1], {}
        at = torch.arange(n).expand(len(x), -1)
        for number, (layer, each) in enumerate(zip(layers, self.crops, strict=True), start=1):
            assert isinstance(each, Cropping)
            with torch.no_grad():
                x = layer(x)
            if done is not None:
                losses[f"crop{number}"] = each.loss(x, asked, batch.answers)
            with torch.no_grad():
                top = keep_top(x, each.scores(x, labels), n - round(number * (n - k) / len(layers)))
            x, at = top.kept, at.gather(1, top.indices)
        none = torch.zeros(len(x), n)
        selection = Selection(at, none.scatter(1, at, 1.0), none.long(), model.projector(x))
        return Compressed(selection, losses=losses)
