"""What a training step of an adapter computes, counted as matrix products, and how long a run of them takes.

    language model   forward    2 S W (N − 1) + 2 S d (d + 2 k) + 2 R (d² + 3 d m) + 4 d (N A − P²)
                     backward   the same products once more, attention's 2.5 times
                     logits     forward and backward 4 L d V
    tower            forward    6 T h p² + (N_t − 1) (2 T (4 h² + 2 h m_t) + 4 h T²)      of each view
    projector        forward and backward  V T (4 h d + … )

    S = P + 2 L tokens, R = 2 L of them read (one more in a shifted model), W = 2 d² + 2 d k + 3 d m weights of a block,
    A = P² + 2 L (P + 2 L) pairs that attention forms

Frozen weights have no gradient, so a backward pass costs what a forward pass does, and the frozen tower has none.
Norms, activations, LoRA and selection are left out: together they are below a hundredth at LaViDa's size.

P: prefix tokens, L: answer tokens with padding, d, k, m, N, V: the language model's width, key and value width, MLP
width, blocks and vocabulary; h, m_t, N_t, p: the tower's and its patch side; T: tokens of a view.
"""

from __future__ import annotations

from dataclasses import dataclass

from shirg_lavida.language.config import BackboneConfig
from shirg_lavida.vision.config import VisionConfig

ATTENTION_BACKWARD = 2.5
"""Five products against the forward pass's two (arXiv 2205.14135)."""


@dataclass(frozen=True)
class StepCost:
    """Floating-point operations of one sample.

    Attributes:
        tower: encoding its views.
        projector: projecting all of their tokens, and the gradient.
        forward: of the language model.
        backward: of the language model.
        logits: of the answer's tokens, and the gradient.
        recompute: of the language model a second time, with gradient checkpointing.
    """

    tower: float
    projector: float
    forward: float
    backward: float
    logits: float
    recompute: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.tower + self.projector + self.forward + self.backward + self.logits + self.recompute


def step_cost(
    language: BackboneConfig,
    vision: VisionConfig,
    *,
    views: int,
    prefix: int,
    answer: int,
    recompute: bool = False,
    pixels: int | None = None,
) -> StepCost:
    """The operations of one sample under prefix attention with its complement.

    Args:
        language: the language model.
        vision: the tower.
        views: that the tower encodes.
        prefix: P.
        answer: L.
        recompute: gradient checkpointing.
        pixels: side of a view; None = the tower's own.
    """
    d, m, blocks = language.d_model, language.mlp_hidden_size, language.n_layers
    kv = language.kv_heads * language.head_dim
    samples = 2 * answer
    tokens, read = prefix + samples, samples + int(language.shifted)
    pairs = prefix**2 + samples * tokens
    weights = 2 * d * d + 2 * d * kv + 3 * d * m
    last = 2 * tokens * d * (d + 2 * kv) + 2 * read * (d * d + 3 * d * m)
    linear = 2 * tokens * weights * (blocks - 1) + last
    attention = 4 * d * (pairs * (blocks - 1) + samples * tokens + (read - samples) * prefix)
    forward = linear + attention
    side = (pixels or vision.image_size) // vision.patch_size
    seen, h = side**2, vision.hidden_size
    layer = 2 * seen * (4 * h * h + 2 * h * vision.intermediate_size) + 4 * h * seen**2
    patches = 2 * seen * h * 3 * vision.patch_size**2
    return StepCost(
        tower=views * (patches + layer * (vision.num_hidden_layers - 1)),
        projector=2 * views * seen * (h * d + 2 * d * d),
        forward=forward,
        backward=linear + ATTENTION_BACKWARD * attention,
        logits=4 * answer * d * language.vocab_size,
        # A block's last product is not needed again: nothing keeps its result.
        recompute=forward - 2 * d * m * (tokens * (blocks - 1) + read) if recompute else 0,
    )


def run_hours(cost: StepCost, *, samples: int, gpus: int, flop_rate: float, utilisation: float) -> float:
    """Hours of a run.

    Args:
        cost: of a sample.
        samples: over all epochs.
        gpus: that share them.
        flop_rate: peak FLOP/s of each.
        utilisation: share of the peak that is reached, communication and loading included.

    Raises:
        ValueError: a utilisation outside (0, 1].
    """
    if not 0 < utilisation <= 1:
        raise ValueError(f"utilisation must be in (0, 1], got {utilisation}")
    return cost.total * samples / (gpus * flop_rate * utilisation) / 3600
