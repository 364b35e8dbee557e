"""The sampler's options, listed here alone: commands, evaluations, pipeline and model take theirs from here.

Cheap to import, because commands list the options before they wait for torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict

from shirg_core.checks import check_choice, integer, real

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from shirg_lavida.pruning.protocol import Pruning
    from shirg_lavida.sampling.step import Step

REMASKING = ("low_confidence", "entropy", "margin", "random")
"""Valid values of `remasking`, see `remasking.py`. Upstream spells the second "entrophy"."""
SCHEDULES = (None, "linear", "cosine", "shift", "logit_normal", "timesteps")
"""Valid values of `schedule`, see `schedule.py`."""
DRAWS = ("gumbel", "categorical")
"""Valid values of `draw`, see `remasking.py`: LLaDA's and Dream's way of drawing tokens at a temperature."""
ATTENTION = ("prefix", "full")
"""Valid values of `attention`: "prefix" = the prefix sees only itself (LaViDa), "full" = all see all (LLaDA)."""
_OWN = "the model's own"
_TYPES: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "str": str}


def _value(default: Any, help: str, shown: str | None = None) -> Any:
    """An option that a command line or a YAML file can give; `shown` is the default that a command's help names."""
    return field(default=default, metadata={"help": help, "shown": shown})


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplingOptions:
    """How to sample; the defaults reproduce LaViDa-LLaDA's released sampler, see `sampler.py`.

    Args:
        block_length: tokens of a block; None = 128. The last block may be shorter.
        lookahead: a block sees the masks of later blocks, as released. False hides them: what a block says then does
            not depend on L, which a model that was trained on one length needs.
        steps: steps over all blocks, a multiple of their number; None = L.
        step_ratio: factor on a block's steps, floored; steps beyond a block's tokens are left out.
        schedule: one of `SCHEDULES`.
        shift: parameter of the schedule "shift".
        remasking: one of `REMASKING`.
        temperature: 0 = the likeliest token.
        draw: one of `DRAWS`.
        top_p: tokens go that come, by probability, after others which hold more than this already; draw "categorical"
            only.
        top_k: the k likeliest tokens stay; draw "categorical" only.
        attention: one of `ATTENTION`.
        cache: keep the prefix's keys and values; attention "prefix" only.
        stop_at_eos: stop once every row has an end of text with nothing masked before it; what follows it becomes it.
        eos_penalty: ≥ 0, subtracted from the confidence (see `remasking.py`) of a predicted end of text, which is the
            surest token of a long block and would end the answer first. `math.inf` settles it last, as LLaDA's
            `confidence_eos_eot_inf` does.
        allow_mask_prediction: False bans the mask from predictions; confidences are then those without it.
        confidence_threshold: each step also settles every token at least this probable (arXiv 2505.22618), never fewer
            than planned. Needs remasking "low_confidence".
        draft_ids: `[B or 1, ≤ L]` int64, how the answer begins; masks in it are filled, other tokens stay (infilling).
        generator: source of randomness; None = torch's global one.
        pruning: thins out the prefix inside the model.
        on_step: called with the number of the step, from 0, and the `[B, L]` ids after it.
        verify_cache: hash the cache before and after every step. Slow, for checking.
        wrap_step: compiles or captures a block's step `(ids [B, L], quota [B]) → ids`. It then has static shapes and
            never synchronises the device; on a CPU logits are otherwise computed for masked tokens only.

    Raises:
        ValueError: a value that cannot be followed.
    """

    block_length: int | None = _value(
        None, "Tokens decoded together, block after block.", "the length of answers that the model recommends"
    )
    lookahead: bool = _value(True, "Let a block see that later blocks follow.", _OWN)
    steps: int | None = _value(None, "Denoising steps over all blocks.", "one per token")
    step_ratio: float | None = _value(None, "Fraction of --steps to run.")
    schedule: str | None = _value(
        None, "How many tokens each step settles: linear, cosine, shift, logit_normal or timesteps.", _OWN
    )
    shift: float = _value(
        1 / 3, "Parameter of --schedule shift: below 1 settles more tokens early, above 1 late.", "1/3"
    )
    remasking: str = _value(
        "low_confidence", "What ranks predicted tokens: low_confidence, entropy, margin or random.", _OWN
    )
    temperature: float = _value(0.0, "Sampling temperature; 0 takes the likeliest token.")
    draw: str = _value("gumbel", "gumbel or categorical: how tokens are drawn at a temperature.", _OWN)
    top_p: float | None = _value(None, "Draw from the likeliest tokens that hold this probability.")
    top_k: int | None = _value(None, "Draw from this many of the likeliest tokens.")
    attention: str = _value(
        "prefix", "prefix: the prefix sees only itself; full: everything sees everything, without cache."
    )
    cache: bool = _value(True, "Keep the prefix's keys and values.")
    stop_at_eos: bool = _value(False, "Stop once the answer has an end of text.", "True")
    eos_penalty: float = _value(
        0.0, "Subtracted from the log-confidence of the end of text, which then settles later; inf = last."
    )
    allow_mask_prediction: bool = _value(True, "Let the mask be predicted, as released; such a token stays masked.")
    confidence_threshold: float | None = _value(None, "Also settle tokens at least this probable.")
    draft_ids: Tensor | None = None
    generator: torch.Generator | None = None
    pruning: Pruning | None = None
    on_step: Callable[[int, Tensor], None] | None = None
    verify_cache: bool = False
    wrap_step: Callable[[Step], Step] | None = None

    def __post_init__(self) -> None:
        for name in ("block_length", "steps"):
            if (number := getattr(self, name)) is not None:
                integer(name, number, low=1)
        if self.step_ratio is not None:
            real("step_ratio", self.step_ratio, above=0)
        check_choice("schedule", self.schedule, SCHEDULES)
        real("shift", self.shift, above=0)
        check_choice("remasking", self.remasking, REMASKING)
        real("temperature", self.temperature, low=0)
        check_choice("draw", self.draw, DRAWS)
        if self.top_p is not None:
            real("top_p", self.top_p, above=0, high=1)
        if self.top_k is not None:
            integer("top_k", self.top_k, low=1)
        for name in ("top_p", "top_k"):
            if (value := getattr(self, name)) is not None and self.draw != "categorical":
                raise ValueError(f'{name}={value} needs draw="categorical", got {self.draw!r}')
        check_attention(self.attention, cache=self.cache)
        real("eos_penalty", self.eos_penalty, low=0, infinite=True)
        if self.confidence_threshold is not None:
            real("confidence_threshold", self.confidence_threshold, above=0, high=1)
            if self.remasking != "low_confidence":
                raise ValueError(f'confidence_threshold needs remasking="low_confidence", got {self.remasking!r}')
        if self.pruning is not None and (not self.cache or self.wrap_step is not None):
            raise ValueError("pruning thins out the prefix cache: it needs cache=True and no wrap_step")


class SamplingKeywords(TypedDict, total=False):
    """`SamplingOptions` as keywords of `sample`, `generate` and a pipeline's call, for editors and type checkers."""

    block_length: int | None
    lookahead: bool
    steps: int | None
    step_ratio: float | None
    schedule: str | None
    shift: float
    remasking: str
    temperature: float
    draw: str
    top_p: float | None
    top_k: int | None
    attention: str
    cache: bool
    stop_at_eos: bool
    eos_penalty: float
    allow_mask_prediction: bool
    confidence_threshold: float | None
    draft_ids: Tensor | None
    generator: torch.Generator | None
    pruning: Pruning | None
    on_step: Callable[[int, Tensor], None] | None
    verify_cache: bool
    wrap_step: Callable[[Step], Step] | None


VALUES: tuple[Field[Any], ...] = tuple(option for option in fields(SamplingOptions) if option.metadata)
"""The options whose values a command line, a YAML file or a JSON summary can hold."""


def type_of(option: Field[Any]) -> type:
    """Of an option's values, besides None: `bool`, `int`, `float` or `str`."""
    return _TYPES[str(option.type).removesuffix(" | None")]


def check_attention(attention: str, *, cache: bool) -> None:
    """Reject what cannot be done.

    Raises:
        ValueError: an unknown kind of attention, or a cache under full attention.
    """
    check_choice("attention", attention, ATTENTION)
    if attention == "full" and cache:
        raise ValueError(
            'attention="full" lets the prefix see the answer, so its keys and values change at every step '
            "and cannot be cached: pass cache=False"
        )
