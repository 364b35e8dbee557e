"""The adapter: LoRA on the projector's linears, and on chosen tower blocks (arXiv 2106.09685).

    y = W x + b + (α/r) · B A x        A [r, d_in], B [d_out, r], B = 0 at the start

peft finds modules by their names in the released model, where the projector is `model.mm_projector`. `released_names`
gives ours the same names, so an adapter saved here fits the released model with plain peft, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn

from shirg_lavida.model import LavidaModel

Bias = Literal["none", "lora_only"]
TOWER_PATH = "model.vision_tower.vision_tower.vision_model"
TOWER_LINEARS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj")
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
        tower_blocks: tower blocks (from 0) whose attention projections get LoRA too.
        train_projector: also train the projector's own weights; `optim.lr_mm` is their learning rate.

    Raises:
        ValueError: a value outside its range.
    """

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    target: tuple[str, ...] = ("mm_projector.0", "mm_projector.2")
    bias: Bias = "lora_only"
    tower_blocks: tuple[int, ...] = ()
    train_projector: bool = False

    def __post_init__(self) -> None:
        if self.r < 1:
            raise ValueError(f"r must be ≥ 1, got {self.r}")
        if self.alpha <= 0:
            raise ValueError(f"alpha must be > 0, got {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if not self.target:
            raise ValueError("target must name at least one linear, such as mm_projector.0")


def released_names(model: LavidaModel) -> nn.Module:
    """A module that holds the model's projector and tower under the released model's names, without copying them."""
    host, inner, outer, tower = nn.Module(), nn.Module(), nn.Module(), nn.Module()
    host.model = inner
    inner.mm_projector = model.projector
    inner.vision_tower = outer
    outer.vision_tower = tower
    tower.vision_model = model.tower.siglip
    return host


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
    targets = [*config.target, *_tower_targets(model, config.tower_blocks)]
    linears = [name for name, module in host.named_modules() if isinstance(module, nn.Linear)]
    for target in targets:
        if not any(_names_any(name, [target]) for name in linears):
            known = [name.removeprefix("model.") for name in linears if "mm_projector" in name]
            raise ValueError(f"the model has no linear {target!r}; its projector has {', '.join(known) or 'none'}")
    left_out = [name for name in linears if "mm_projector" in name and not _names_any(name, config.target)]
    if config.train_projector and left_out:
        names = ", ".join(name.removeprefix("model.") for name in left_out)
        raise ValueError(f"train_projector trains all of the projector, so target must name {names}, too")
    peft = cast(
        "PeftModel",
        get_peft_model(
            host,
            LoraConfig(
                r=config.r,
                lora_alpha=cast("int", config.alpha),
                lora_dropout=config.dropout,
                target_modules=targets,
                bias=config.bias,
            ),
            adapter_name=ADAPTER_NAME,
        ),
    )
    adopt(model, host)
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


def adopt(model: LavidaModel, host: nn.Module) -> None:
    """Take back a projector that peft replaced as a whole: one that is a single linear has no parent here."""
    model.projector = host.get_submodule("model.mm_projector")


def lora_layers(model: nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    """Every adapted linear and its name."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            yield name, module


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


def _tower_targets(model: LavidaModel, blocks: tuple[int, ...]) -> list[str]:
    count = len(model.tower.siglip.encoder.layers)
    if wrong := [block for block in blocks if not 0 <= block < count]:
        raise ValueError(f"tower_blocks {wrong} do not exist: the tower runs blocks 0 to {count - 1}")
    return [f"{TOWER_PATH}.encoder.layers.{block}.{linear}" for block in blocks for linear in TOWER_LINEARS]
