"""DocVLM: what is printed on the page, and the question, through a small encoder into M learned queries.

    [facts; question; queries] → encoder → outputs at the queries → Linear → M entries behind the pooled tokens

An upper bound, not a selector of pixels: its facts (label, value, box) are the page generator's truth, where the paper
runs an OCR. Which value belongs to which label is known, too, as to the pretrained document encoder that the paper
takes; this one is trained from fresh weights. It adds M tokens to those of pooling.

Exact K: N/4 and M, fixed by the layout. Reads the question.

Source:
    Nacson et al. 2024, arXiv 2412.08746.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shirg_core.baselines import Pooling
from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.contract import Compressed, Compressor
from shirg_train.testbed.compressors.grid import page_layout, repeated
from shirg_train.testbed.compressors.printed import Printed, printed_facts
from shirg_train.testbed.micro.batches import MicroBatch, label_tokens
from shirg_train.testbed.micro.visual import tower_features
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.words import ALPHABET, MAX_VALUE

QUERIES, LAYERS, CHAR_WIDTH = 16, 2, 16


class DocVLM(Compressor):
    """See the module."""

    method = "docvlm"
    reads_question = True
    labels: Tensor

    def __init__(self, model: LavidaModel) -> None:
        super().__init__(model)
        language = model.config.language
        width = language.d_model
        self.chars = nn.Embedding(len(ALPHABET) + 1, CHAR_WIDTH)
        self.value = nn.Linear(MAX_VALUE * CHAR_WIDTH, width)
        self.box = nn.Linear(4, width)
        self.asked = nn.Parameter(torch.zeros(width))
        self.queries = nn.Parameter(torch.randn(QUERIES, width) * 0.5)
        layer = nn.TransformerEncoderLayer(
            width, language.n_heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(width, width)
        self.register_buffer("labels", label_tokens(build_tokenizer()), persistent=False)

    def forward(self, model: LavidaModel, batch: MicroBatch, k: int | None, done: float | None = None) -> Compressed:
        """See `Compressor`."""
        del k, done
        questions = batch.questions.shape[1]
        x = model.projector(tower_features(model, batch.images))
        pooled = Pooling()(x, page_layout(model))
        page_facts = printed_facts(batch, model.config.vision.side)
        facts = Printed(*(each.repeat_interleave(questions, 0) for each in page_facts))
        words = model.backbone.wte.weight.detach()
        shown = (
            words[self.labels[facts.labels]] + self.value(self.chars(facts.values).flatten(2)) + self.box(facts.boxes)
        )
        asked = words[batch.questions.flatten(0, 1)] + self.asked
        queries = self.queries.expand(len(asked), -1, -1)
        everything = torch.cat([shown, asked, queries], dim=1)
        absent = torch.zeros(everything.shape[:2], dtype=torch.bool)
        absent[:, : facts.valid.shape[1]] = ~facts.valid
        seen = self.encoder(everything, src_key_padding_mask=absent)[:, -QUERIES:]
        return Compressed(repeated(pooled, questions), extra=self.out(seen), projected=x)
