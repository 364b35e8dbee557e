"""What a recipe of `kind: adapter` may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shirg_core.checks import integer, real
from shirg_lavida.prompt.join import Positions
from shirg_train.adapter.escalation import EscalationConfig
from shirg_train.adapter.lora import AdapterConfig
from shirg_train.data import DataConfig
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.loss import Weighting
from shirg_train.recipe import RecipeError


@dataclass(frozen=True)
class ModelConfig:
    """The base model.

    Args:
        path: a checkpoint folder, an embedded model's name, or a hub id.
        vision_tower: see `load_lavida`.
        precision: of everything that is not trained; what is trained is float32, computed in `precision`.
    """

    path: str
    vision_tower: str | None = None
    precision: Literal["bf16", "fp32"] = "bf16"


@dataclass(frozen=True)
class LossConfig:
    """See `shirg_train.loss`.

    Args:
        complement: also predict what a mask leaves visible.
        weighting: `none` as released, or `inverse_t`.
        attention: `prefix`, or `full`.
        epsilon: smallest masking probability.
        extra_padding: a step's answers are padded to the longest plus a number drawn from (−n, n), if positive.
    """

    complement: bool = True
    weighting: Weighting = "none"
    attention: Literal["prefix", "full"] = "prefix"
    epsilon: float = 1e-3
    extra_padding: int = 128

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon < 1:
            raise ValueError(f"epsilon must be in [0, 1), got {self.epsilon}")
        integer("extra_padding", self.extra_padding, low=0)


@dataclass(frozen=True)
class OptimConfig:
    """AdamW and its learning rate: linear warm-up, then a half cosine to zero.

    Args:
        lr: of the adapter.
        lr_mm: of the projector's own weights; needs `adapter.train_projector`.
        weight_decay: on matrices.
        betas: Adam's.
        eps: Adam's.
        warmup_steps: steps of warm-up.
        max_grad_norm: gradients are clipped to it; a large one clips none.

    Raises:
        ValueError: a value out of range.
    """

    lr: float = 1e-4
    lr_mm: float | None = None
    weight_decay: float = 0.0
    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    warmup_steps: int = 500
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas}")
        for name in ("lr", "lr_mm", "eps", "max_grad_norm"):
            value = getattr(self, name)
            if value is not None:
                real(name, value, above=0)
        real("weight_decay", self.weight_decay, low=0)
        integer("warmup_steps", self.warmup_steps, low=0)


@dataclass(frozen=True)
class BatchConfig:
    """Sizes. All ranks together take `size` samples a step, `micro` at a time each.

    Args:
        size: samples of an optimizer step.
        micro: samples of one forward pass of one rank.
    """

    size: int = 16
    micro: int = 1

    def __post_init__(self) -> None:
        for name in ("size", "micro"):
            integer(name, getattr(self, name), low=1)

    def accumulation(self, world_size: int) -> int:
        """Micro-batches of a step and rank.

        Raises:
            RecipeError: `size` is not made of whole micro-batches.
        """
        each = world_size * self.micro
        if self.size % each:
            raise RecipeError(
                f"batch.size={self.size} is not a multiple of {world_size} ranks × batch.micro={self.micro}"
            )
        return self.size // each


@dataclass(frozen=True)
class ValidationConfig:
    """When validation NLL is measured, on the samples that `data.held_out` keeps back.

    Args:
        every: steps between two validations, and one before the first step; 0 = never.
        times: diffusion times per sample.
        baseline: the policy whose NLL before training is the bar; None = the recipe's first policy.
    """

    every: int = 500
    times: int = 8
    baseline: PolicyConfig | None = None

    def __post_init__(self) -> None:
        integer("every", self.every, low=0)
        integer("times", self.times, low=1)


@dataclass(frozen=True)
class EngineConfig:
    """What the optimizer runs on.

    Args:
        zero_stage: DeepSpeed's ZeRO stage, 0 to 3; None = plain PyTorch.
        offload: keep optimizer state (and at stage 3 parameters) in host memory; needs a stage.
        recompute: gradient checkpointing in the language model: a tenth of its activations for a third more time.
    """

    zero_stage: Literal[0, 1, 2, 3] | None = None
    offload: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.offload and not self.zero_stage:
            raise ValueError("engine.offload needs engine.zero_stage 1, 2 or 3")


@dataclass(frozen=True)
class LogConfig:
    """Metrics.

    Args:
        tensorboard: also write TensorBoard files.
        progress: draw a progress bar on stderr.
        timings: say of every step where its time went, which waits for the GPU between its parts.
    """

    tensorboard: bool = False
    progress: bool = True
    timings: bool = False


@dataclass(frozen=True)
class CheckpointConfig:
    """Checkpoints.

    Args:
        every: steps between two checkpoints; the last step always has one.
        keep: how many of the newest stay.
    """

    every: int = 500
    keep: int = 2

    def __post_init__(self) -> None:
        for name in ("every", "keep"):
            integer(name, getattr(self, name), low=1)


@dataclass(frozen=True)
class AdapterRecipe:
    """A whole recipe; see the parts.

    Args:
        model: the base model.
        data: see `shirg_train.data.DataConfig`.
        output: folder of checkpoints, metrics and the finished adapter.
        keep: the policies that steps draw from.
        positions: `packed` or `original`, see `shirg_lavida.vision.reading_order`; recorded with the adapter, which is
            asked as it was trained unless told otherwise.
        init: folder of a trained adapter that a new run begins with, of the same rank, alpha and linears; optimizer,
            learning rate's schedule and data start afresh. None = a fresh adapter.
        kind: says that this is such a recipe.
        seed: of everything random.
        epochs: passes over the data; `steps` wins.
        steps: optimizer steps. A resumed run may be given more: it goes on at the learning rate that its step has in
            the schedule of the new number, so a finished run's rises again.
        resume: `auto` continues what is in `output`; `never` wants it empty.
    """

    model: ModelConfig
    data: DataConfig
    output: Path
    keep: tuple[PolicyConfig, ...]
    positions: Positions = "packed"
    init: Path | None = None
    kind: Literal["adapter"] = "adapter"
    seed: int = 0
    epochs: float = 1.0
    steps: int | None = None
    resume: Literal["auto", "never"] = "auto"
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    escalation: EscalationConfig = field(default_factory=EscalationConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        if not self.keep:
            raise ValueError("keep must list at least one policy")
        if (self.optim.lr_mm is not None) != self.adapter.train_projector:
            raise ValueError("optim.lr_mm and adapter.train_projector: true go together")
        real("epochs", self.epochs, above=0)
        if self.steps is not None:
            integer("steps", self.steps, low=1)
        if self.escalation.ranks and not self.validation.every:
            raise ValueError("escalation needs validation.every > 0")
