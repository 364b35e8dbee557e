"""The adapter: LoRA on the projector's linears, and on chosen blocks of tower and language model (arXiv 2106.09685).

    y = W x + b + (α/r) · B A x        A [r, d_in], B [d_out, r], B = 0 at the start

peft finds modules by their names in the released model, where the projector is `model.mm_projector` and the linears of
the language model have the names of its family. `released_names` gives ours the same names, so an adapter saved here
fits the released model with plain peft, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn

from shirg_core.checks import integer, real
from shirg_core.precision import default_dtype
from shirg_lavida.model import LavidaModel

Bias = Literal["none", "lora_only"]
Blocks: TypeAlias = Literal["all"] | tuple[int, ...]
"""Numbers of transformer blocks, from 0."""
TOWER_PATH = "model.vision_tower.vision_tower.vision_model.encoder.layers"
TOWER_LINEARS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj")
LANGUAGE_LINEARS = ("q_proj", "k_proj", "v_proj", "attn_out", "ff_proj", "up_proj", "ff_out")
"""Of a block, by LLaDA's names whatever the family: Dream's `o_proj` is `attn_out` here, too."""
ADAPTER_NAME = "default"


@dataclass(frozen=True)
class AdapterConfig:
    """What is trained.

    Args:
        r: rank.
        alpha: α; the adapter's output is scaled by α/r.
        dropout: on the adapter's input.
        target: linears of the projector.
        bias: `lora_only` also trains the targeted linears' own biases.
        tower_blocks: tower blocks whose attention projections get LoRA too.
        language_blocks: blocks of the language model whose `language_linears` get LoRA too.
        language_linears: some of `LANGUAGE_LINEARS`.
        train_projector: also train the projector's own weights; `optim.lr_mm` is their learning rate.

    Raises:
        ValueError: a value outside its range.
    """

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    target: tuple[str, ...] = ("mm_projector.0", "mm_projector.2")
    bias: Bias = "lora_only"
    tower_blocks: Blocks = ()
    language_blocks: Blocks = ()
    language_linears: tuple[str, ...] = LANGUAGE_LINEARS[:4]
    train_projector: bool = False

    def __post_init__(self) -> None:
        integer("r", self.r, low=1)
        real("alpha", self.alpha, above=0)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if not self.target:
            raise ValueError("target must name at least one linear, such as mm_projector.0")
        if not self.language_linears or not set(self.language_linears) <= set(LANGUAGE_LINEARS):
            raise ValueError(
                f"language_linears must be some of {', '.join(LANGUAGE_LINEARS)}, got {self.language_linears}"
            )


class _Released(nn.Module):
    """A node of the released model's tree. A child that peft replaces here is replaced where it comes from, too."""

    def __init__(self) -> None:
        super().__init__()
        # Not an attribute of the module: its owners are no children.
        self.__dict__["origins"] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in self.__dict__.get("origins", ()):
            owner, own = self.__dict__["origins"][name]
            setattr(owner, own, value)

    def mount(self, path: str, owner: nn.Module, own: str) -> None:
        """Hold `owner`'s child `own` at `path`."""
        name, _, rest = path.partition(".")
        if not rest:
            self.add_module(name, cast("nn.Module", getattr(owner, own)))
            self.__dict__["origins"][name] = owner, own
            return
        if name not in self._modules:
            self.add_module(name, _Released())
        cast("_Released", self._modules[name]).mount(rest, owner, own)


def released_names(model: LavidaModel) -> nn.Module:
    """A module that holds the model's parts under the released model's names, without copying them."""
    host = _Released()
    host.mount("model.mm_projector", model, "projector")
    for name, module in model.backbone.named_modules():
        if name and not list(module.children()):
            owner, _, own = name.rpartition(".")
            host.mount(_released_linear(model, name), model.backbone.get_submodule(owner), own)
    host.mount("model.vision_tower.vision_tower.vision_model", model.tower, "siglip")
    return host


def _released_linear(model: LavidaModel, name: str) -> str:
    """The released name of a part of the language model."""
    return model.config.family.key(f"{name}.weight").removesuffix(".weight")


def attach(model: LavidaModel, config: AdapterConfig) -> PeftModel:
    """Put a fresh adapter into `model`, in place; what is trainable is float32, everything else is frozen.

    The fresh A comes from torch's global generator.

    Raises:
        ValueError: the model has an adapter already, a target it does not have, or a projector that is to be trained
            with linears that `target` leaves out: peft's files have no place for those.
    """
    if any(isinstance(module, LoraLayer) for module in model.modules()):
        raise ValueError("the model has an adapter already")
    host = released_names(model)
    linears = [n for n, module in host.named_modules() if isinstance(module, nn.Linear) and "mm_projector" in n]
    for target in config.target:
        if not any(_names_any(name, [target]) for name in linears):
            known = ", ".join(name.removeprefix("model.") for name in linears)
            raise ValueError(f"the projector has no linear {target!r}; it has {known or 'none'}")
    left_out = [name for name in linears if not _names_any(name, config.target)]
    targets = [*config.target, *block_linears(model, config)]
    if config.train_projector and left_out:
        names = ", ".join(name.removeprefix("model.") for name in left_out)
        raise ValueError(f"train_projector trains all of the projector, so target must name {names}, too")
    lora = LoraConfig(
        r=config.r,
        lora_alpha=cast("int", config.alpha),
        lora_dropout=config.dropout,
        target_modules=targets,
        bias=config.bias,
    )
    with default_dtype(torch.float32):
        peft = cast("PeftModel", get_peft_model(host, lora, adapter_name=ADAPTER_NAME))
    if config.train_projector:
        for layer in projector_linears(model):
            layer.weight.requires_grad = True
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return peft


def _names_any(linear: str, targets: Sequence[str]) -> bool:
    """Whether one of `targets` is the linear's name or its end, as peft reads them."""
    return any(linear == target or linear.endswith(f".{target}") for target in targets)


def projector_linears(model: LavidaModel) -> Iterator[nn.Linear]:
    """The projector's own linears, without the adapter's."""
    for name, module in model.projector.named_modules():
        if type(module) is nn.Linear and "lora_" not in name:
            yield module


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Trainable parameters by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """`trainable` and `total` parameters."""
    sizes = [(_numel(p), p.requires_grad) for p in model.parameters()]
    return {"trainable": sum(n for n, grad in sizes if grad), "total": sum(n for n, _ in sizes)}


def _numel(parameter: nn.Parameter) -> int:
    # ZeRO-3 leaves an empty parameter behind, and its size here.
    return int(getattr(parameter, "ds_numel", parameter.numel()))


def block_linears(model: LavidaModel, config: AdapterConfig) -> list[str]:
    """The released names of all linears that are adapted in tower and language model.

    Raises:
        ValueError: blocks that the model does not have.
    """
    tower = _numbers("tower_blocks", config.tower_blocks, len(model.tower.siglip.encoder.layers))
    language = _numbers("language_blocks", config.language_blocks, model.backbone.n_layers)
    return [
        *(f"{TOWER_PATH}.{block}.{linear}" for block in tower for linear in TOWER_LINEARS),
        *(
            _released_linear(model, f"blocks.{block}.{linear}")
            for block in language
            for linear in config.language_linears
        ),
    ]


def _numbers(name: str, blocks: Blocks, count: int) -> Sequence[int]:
    if isinstance(blocks, str):
        return range(count)
    if wrong := [block for block in blocks if not 0 <= block < count]:
        raise ValueError(f"{name} {wrong} do not exist: there are blocks 0 to {count - 1}")
    return blocks
