"""A micro training run's fixed parts, from its recipe, and the checkpoint it ends with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from shirg_core.precision import default_dtype
from shirg_lavida.checkpoint.load import save_lavida
from shirg_lavida.model import LavidaModel
from shirg_train.seeds import derive
from shirg_train.testbed.compressors.contract import Compressor
from shirg_train.testbed.compressors.registry import build_compressor, save_compressor
from shirg_train.testbed.micro.auxiliary import AuxiliaryHeads
from shirg_train.testbed.micro.batches import label_tokens
from shirg_train.testbed.micro.build import build_model
from shirg_train.testbed.micro.config import MicroConfig
from shirg_train.testbed.micro.state import load_start
from shirg_train.testbed.pages.tokenizer import UNKNOWN, build_tokenizer, save_tokenizer


@dataclass(frozen=True)
class Run:
    """What does not change during a run but by learning.

    Attributes:
        config: the recipe.
        tokenizer: the micro model's.
        model: the model.
        heads: heads of the training-only losses.
        labels: `[labels]` the token of every label.
        unknown: the token of what belongs to no fact.
        compressor: what makes tokens of pages in the policies' place; None = the policies do.
    """

    config: MicroConfig
    tokenizer: Tokenizer
    model: LavidaModel
    heads: AuxiliaryHeads
    labels: Tensor
    unknown: int
    compressor: Compressor | None = None

    @property
    def parts(self) -> dict[str, nn.Module]:
        """All that learns, by the names of the state's file."""
        parts: dict[str, nn.Module] = {"model": self.model, "aids": self.heads}
        return parts if self.compressor is None else {**parts, "compressor": self.compressor}


def start_run(config: MicroConfig) -> Run:
    """Fresh weights, from the seed alone, or those that the recipe starts from."""
    tokenizer = build_tokenizer()
    slots = config.data.pages(config.size, "easy").slots
    with torch.random.fork_rng(devices=[]), default_dtype(torch.float32):
        torch.manual_seed(derive(config.seed, "aids"))
        codes = tokenizer.get_vocab_size() if config.owner_codes == "own" else 0
        heads = AuxiliaryHeads(config.size.tower_width, config.size.width, slots, codes)
    model = build_model(config.size, tokenizer, config.seed, method=config.method).train()
    if config.init is not None:
        load_start(config.init, model, heads)
    unknown = tokenizer.token_to_id(UNKNOWN)
    if unknown is None:
        raise ValueError(f"the tokenizer has no token {UNKNOWN!r}")
    compressor = None
    if config.compressor is not None:
        compressor = build_compressor(config.compressor.method, model, derive(config.seed, "compressor"))
    return Run(config, tokenizer, model, heads, label_tokens(tokenizer), unknown, compressor)


def export(model: LavidaModel, folder: Path, compressor: Compressor | None = None) -> None:
    """Write a bfloat16 checkpoint in the upstream layout, with the tokenizer's files, and the compressor beside it."""
    rounded = LavidaModel(model.config)
    rounded.load_state_dict(model.state_dict())
    save_lavida(rounded.to(torch.bfloat16), folder, overwrite=True)
    save_tokenizer(folder)
    if compressor is not None:
        save_compressor(compressor, folder)
