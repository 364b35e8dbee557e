"""From lmms-eval's `gen_kwargs` to the sampler's arguments.

The names are the sampler's own (`shirg_lavida.sampler`), those that users of LaViDa's evaluation know (`prefix_lm`,
`schedule__shift`), and those that task files written for autoregressive models hold. `prefix_lm=False` is attention in
both directions everywhere, which no cache survives. Where an autoregressive setting would change nothing it is
accepted; where it asks for what this sampler does not do it is an error, and so is a name that is not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shirg_bench.lmms.values import Kind, amount, count, switch, text, typed
from shirg_lavida.denoiser import check_attention
from shirg_lavida.plan import block_size, check_rule, steps_per_block
from shirg_lavida.schedule import transfer_plan
from shirg_lavida.step import StepRule

SAMPLER: Mapping[str, Kind] = {
    "max_new_tokens": count,
    "block_length": count,
    "lookahead": switch,
    "steps": count,
    "step_ratio": amount,
    "schedule": text,
    "shift": amount,
    "schedule__shift": amount,
    "remasking": text,
    "temperature": amount,
    "confidence_threshold": amount,
    "prefix_lm": switch,
    "attention": text,
    "stop_at_eos": switch,
    "eos_penalty": amount,
    "allow_mask_prediction": switch,
}
AUTOREGRESSIVE: Mapping[str, Kind] = {"do_sample": switch, "num_beams": count, "top_p": amount, "top_k": count}


@dataclass(frozen=True)
class Sampling:
    """How to sample an answer.

    Attributes:
        max_new_tokens: length of the answer.
        until: the answer ends before the first of these.
        options: further arguments of `LavidaModel.generate`, by name.
    """

    max_new_tokens: int
    until: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def cut(self, answer: str) -> str:
        """What stands before the first stop."""
        return answer[: min((at for stop in self.until if (at := answer.find(stop)) >= 0), default=None)].strip()


def parse_sampling(
    gen_kwargs: Mapping[str, object], defaults: Mapping[str, object], *, max_new_tokens: int, cache: bool = True
) -> Sampling:
    """Read a request's `gen_kwargs`, which stay as they are.

    Args:
        gen_kwargs: of the task and the command line.
        defaults: of the model's arguments; `gen_kwargs` win.
        max_new_tokens: where nobody gives it.
        cache: keep the prefix's keys and values.

    Raises:
        ValueError: an unknown name, or a value that cannot be followed.
    """
    given = {**defaults, **gen_kwargs}
    stops = given.pop("until", None)
    values = typed(given, {**SAMPLER, **AUTOREGRESSIVE}, "generation argument")
    _drop_autoregressive(values)
    length = values.pop("max_new_tokens", max_new_tokens)
    if "schedule__shift" in values:
        shift = values.pop("schedule__shift")
        if values.setdefault("shift", shift) != shift:
            raise ValueError(f"shift={values['shift']} and schedule__shift={shift} contradict each other")
    if "shift" in values and values.get("schedule") != "shift":
        raise ValueError(f"shift={values['shift']} belongs to schedule=shift, got schedule={values.get('schedule')}")
    prefix_lm = values.pop("prefix_lm", None)
    if prefix_lm is not None:
        attention = "prefix" if prefix_lm else "full"
        if values.get("attention", attention) != attention:
            raise ValueError(f"prefix_lm={prefix_lm} and attention={values['attention']} contradict each other")
        values |= {} if prefix_lm else {"attention": attention}
    options = {**values, "cache": cache and values.get("attention") != "full"}
    _check(length, options)
    return Sampling(length, _stops(stops), tuple(sorted(options.items())))


def check_override(given: Mapping[str, object]) -> None:
    """Whether any task could be asked with these `gen_kwargs` over its own, which may complete them.

    Raises:
        ValueError: as `parse_sampling`.
    """
    values = typed(
        {name: value for name, value in given.items() if name != "until"},
        {**SAMPLER, **AUTOREGRESSIVE},
        "generation argument",
    )
    completed = {"schedule": "shift"} if values.keys() & {"shift", "schedule__shift"} else {}
    length = values.get("max_new_tokens", values.get("block_length"))
    completed |= {} if length is None else {"max_new_tokens": length, "block_length": length}
    own = {name: value for name, value in values.items() if name not in AUTOREGRESSIVE}
    parse_sampling({**completed, **own, "until": given.get("until")}, {}, max_new_tokens=1)


def _drop_autoregressive(values: dict[str, Any]) -> None:
    random = values.get("temperature", 0.0) > 0
    if values.pop("do_sample", random) != random:
        raise ValueError(
            f"do_sample and temperature={values.get('temperature', 0.0)} contradict each other: "
            "pass do_sample=True with temperature > 0, or do_sample=False with temperature=0"
        )
    if (beams := values.pop("num_beams", 1)) != 1:
        raise ValueError(f"num_beams={beams}: a diffusion sampler has no beams")
    for name, neutral in (("top_p", 1.0), ("top_k", 0)):
        if (value := values.pop(name, neutral)) != neutral and random:
            raise ValueError(f"{name}={value}: this sampler draws from the whole vocabulary; leave it out")


def _stops(stops: object) -> tuple[str, ...]:
    if stops is None:
        return ()
    found = [stops] if isinstance(stops, str) else stops
    if not isinstance(found, Sequence) or not all(isinstance(stop, str) for stop in found):
        raise ValueError(f"until must be a text or a list of texts, got {stops!r}")
    # An empty stop would end every answer before it begins.
    return tuple(stop for stop in found if stop)


def _check(length: int, options: Mapping[str, Any]) -> None:
    """Ask the sampler's own checks now, not after an hour of other tasks."""
    if length < 1:
        raise ValueError(f"max_new_tokens must be at least 1, got {length}")
    size = block_size(length, options.get("block_length"))
    steps_per_block(length, size, options.get("steps"), options.get("step_ratio"))
    transfer_plan([size], 1, schedule=options.get("schedule"), shift=options.get("shift", 1 / 3))
    names = ("remasking", "temperature", "confidence_threshold", "eos_penalty")
    check_rule(StepRule(0, **{name: options[name] for name in names if name in options}))
    check_attention(options.get("attention", "prefix"), cache=options["cache"])
