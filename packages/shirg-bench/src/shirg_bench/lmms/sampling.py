"""From lmms-eval's `gen_kwargs` to the sampler's arguments.

The names are the sampler's own (`shirg_lavida.sampling.options`), those that users of LaViDa's evaluation know
(`prefix_lm`, `schedule__shift`, Dream's `alg`), and those that task files written for autoregressive models hold.
`prefix_lm=False` is attention in both directions everywhere, which no cache survives. `stop_sequences` are stops as
`until` are, and `do_sample=False`, `top_k=1` or `top_p=0` take the likeliest token whatever the temperature, as in
Hugging Face's `generate`. Names that only steer a harness (`image_aspect_ratio`, …) change nothing. What would change
an answer and this sampler does not do, such as `top_p=0.9` without `draw=categorical`, is left out and named in
`Sampling.ignored`. Names that are not known are errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shirg_bench.lmms.values import Kind, amount, count, is_none, switch, text, typed
from shirg_core.checks import check_choice, check_known
from shirg_lavida.sampling.options import VALUES, SamplingOptions, type_of
from shirg_lavida.sampling.schedule import PLANNED, block_size, steps_per_block, transfer_plan

_KINDS: Mapping[type, Kind] = {int: count, float: amount, bool: switch, str: text}
SAMPLER: Mapping[str, Kind] = {
    "max_new_tokens": count,
    **{option.name: _KINDS[type_of(option)] for option in VALUES if option.name != "cache"},
    "schedule__shift": amount,
    "prefix_lm": switch,
    "alg": text,
}
"""The sampler's own options, but for `cache`, which the model's arguments say, and LaViDa's names for some."""
AUTOREGRESSIVE: Mapping[str, Kind] = {
    "do_sample": switch,
    "num_beams": count,
    "top_p": amount,
    "top_k": count,
    "repetition_penalty": amount,
}
ALGORITHMS = {"maskgit_plus": "low_confidence", "topk_margin": "margin", "entropy": "entropy"}
"""Dream's `alg` → `remasking`."""
STOPS = ("until", "stop_sequences")
HARNESS: Mapping[str, str] = {
    "image_aspect_ratio": "--views says how images are seen",
    "max_agentic_steps": "a task's rounds are as many as it asks for",
    "seed": "the seed is --seed",
    "skip_special_tokens": "answers are text without special tokens",
}
"""Names that only steer a harness, and what decides here instead."""
KNOWN = (*SAMPLER, *STOPS, *AUTOREGRESSIVE, *HARNESS)
WHAT = "generation argument"


@dataclass(frozen=True)
class Sampling:
    """How to sample an answer.

    Attributes:
        max_new_tokens: length of the answer.
        until: the answer ends before the first of these.
        options: further arguments of `LavidaModel.generate`, by name.
        ignored: names that would change answers of another sampler but not of this one, and a sentence on each.
    """

    max_new_tokens: int
    until: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()

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
        max_new_tokens: default length of an answer.
        cache: keep the prefix's keys and values.

    Raises:
        ValueError: an unknown name, or a value that cannot be followed.
    """
    given = {name: value for name, value in {**defaults, **gen_kwargs}.items() if not is_none(value)}
    for name in given:
        check_known(name, KNOWN, WHAT)
    stops = [stop for name in STOPS for stop in _stops(name, given.pop(name, ()))]
    given = {name: value for name, value in given.items() if name not in HARNESS}
    values = typed(given, {**SAMPLER, **AUTOREGRESSIVE}, WHAT)
    ignored = _take_autoregressive(values)
    length = values.pop("max_new_tokens", max_new_tokens)
    if "schedule__shift" in values:
        shift = values.pop("schedule__shift")
        if values.setdefault("shift", shift) != shift:
            raise ValueError(f"shift={values['shift']} and schedule__shift={shift} contradict each other")
    if "shift" in values and values.get("schedule") != "shift":
        raise ValueError(f"shift={values['shift']} belongs to schedule=shift, got schedule={values.get('schedule')}")
    if "alg" in values:
        alg = values.pop("alg")
        check_choice("alg", alg, ALGORITHMS)
        if values.setdefault("remasking", ALGORITHMS[alg]) != ALGORITHMS[alg]:
            raise ValueError(f"alg={alg} and remasking={values['remasking']} contradict each other")
    prefix_lm = values.pop("prefix_lm", None)
    if prefix_lm is not None:
        attention = "prefix" if prefix_lm else "full"
        if values.get("attention", attention) != attention:
            raise ValueError(f"prefix_lm={prefix_lm} and attention={values['attention']} contradict each other")
        values |= {} if prefix_lm else {"attention": attention}
    options = {**values, "cache": cache and values.get("attention") != "full"}
    _check(length, options)
    return Sampling(length, tuple(dict.fromkeys(stops)), tuple(sorted(options.items())), ignored)


def _take_autoregressive(values: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Take `AUTOREGRESSIVE` out of `values` and set the temperature as they say; returns `Sampling.ignored`."""
    temperature = values.get("temperature", 0.0)
    do_sample = values.pop("do_sample", temperature > 0)
    ignored = {}
    if do_sample and temperature == 0:
        raise ValueError(
            f"do_sample=True and temperature={temperature} contradict each other: "
            "pass do_sample=True with temperature > 0, or do_sample=False with temperature=0"
        )
    if not do_sample and temperature > 0:
        ignored["temperature"] = f"do_sample=False: temperature={temperature} is not used"
    top_p, top_k = values.pop("top_p", 1.0), values.pop("top_k", 0)
    greedy = not do_sample or top_k == 1 or top_p == 0
    if greedy and temperature > 0:
        values["temperature"] = 0.0
    for name, value, neutral in (("top_p", top_p, 1.0), ("top_k", top_k, 0)):
        if value != neutral and not greedy and values.get("draw") == "categorical":
            values[name] = value
        elif value != neutral and not greedy:
            ignored[name] = f"{name}={value}: this sampler draws from the whole vocabulary"
    if (beams := values.pop("num_beams", 1)) != 1:
        ignored["num_beams"] = f"num_beams={beams}: a diffusion sampler has no beams"
    if (penalty := values.pop("repetition_penalty", 1.0)) != 1:
        ignored["repetition_penalty"] = f"repetition_penalty={penalty}: this sampler does not count repetitions"
    return tuple(ignored.items())


def _stops(name: str, stops: object) -> tuple[str, ...]:
    found = [stops] if isinstance(stops, str) else stops
    if not isinstance(found, Sequence) or not all(isinstance(stop, str) for stop in found):
        raise ValueError(f"{name} must be a text or a list of texts, got {stops!r}")
    # An empty stop would end every answer before it begins.
    return tuple(stop for stop in found if stop)


def _check(length: int, options: Mapping[str, Any]) -> None:
    """Ask the sampler's own checks now, not after an hour of other tasks."""
    if length < 1:
        raise ValueError(f"max_new_tokens must be at least 1, got {length}")
    how = SamplingOptions(**options)
    size = block_size(length, how.block_length)
    steps_per_block(length, size, how.steps, how.step_ratio)
    if how.schedule in PLANNED:
        transfer_plan([size], 1, schedule=how.schedule, shift=how.shift)
