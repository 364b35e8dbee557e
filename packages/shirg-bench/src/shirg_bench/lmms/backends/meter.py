"""What the calls of a model's `generate` cost, of a pruned model and of one that is left as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from shirg_bench.lmms.costs import AnswerCosts
from shirg_core.clock import Clock
from shirg_core.hf import Pruned
from shirg_core.hf.context import replaced
from shirg_core.hf.features import encoder_of
from shirg_core.hf.prompts import placeholder_id


@dataclass
class Call:
    """One call of `generate`, of B prompts.

    Attributes:
        given: its arguments by name, as the caller wrote them.
        input_ids: `[B, L]`, cut if it was pruned.
        attention_mask: `[B, L]`, or None.
        pruned: whether images were pruned.
        embed_ms: encoding images and choosing their tokens; a model that is left alone encodes in `generate`, too.
        forward_ms: of every forward pass, without encoding.
        kv_bytes: of the cache behind the first forward pass, all rows together.
        new_ids: `[B, new tokens]`.
    """

    given: dict[str, Any]
    input_ids: Tensor
    attention_mask: Tensor | None
    pruned: bool = False
    embed_ms: float = 0.0
    forward_ms: list[float] = field(default_factory=list)
    kv_bytes: int = 0
    new_ids: Tensor | None = None


class Meter:
    """Watches one model.

    Attributes:
        calls: of `generate`, those of the last `watching`.
        failure: what `generate` raised, also where its caller went on without saying so.
    """

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model, self._home, self._clock = model, encoder_of(model), Clock(device)
        self._placeholder = placeholder_id(self._home)
        self.calls: list[Call] = []
        self.failure: Exception | None = None
        self._encoded_ms = self._encoded_before_ms = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch every call inside; enter it inside `pruning`, whose `on_pruned` is `self.on_pruned`."""
        self.calls, self.failure = [], None
        model, home = self._model, self._home
        with ExitStack() as stack:
            stack.enter_context(replaced(home, "get_image_features", self._encode(home.get_image_features)))
            stack.enter_context(replaced(model, "generate", self._generate(model.generate)))
            hooks = model.register_forward_pre_hook(self._before), model.register_forward_hook(self._after)
            for hook in hooks:
                stack.callback(hook.remove)
            yield

    def on_pruned(self, inputs: Pruned) -> None:
        """See `shirg_core.hf.pruning`."""
        call = self.calls[-1]
        call.input_ids, call.attention_mask, call.pruned = inputs["input_ids"], inputs["attention_mask"], True
        call.embed_ms, self._encoded_ms = self._clock.lap(), 0.0

    def costs(self) -> list[AnswerCosts]:
        """One for every prompt of `calls`, in order; latency and batch size are for the caller to say."""
        return [one for call in self.calls for one in self._costs(call)]

    def _costs(self, call: Call) -> Iterator[AnswerCosts]:
        ids = call.input_ids
        real = torch.ones_like(ids) if call.attention_mask is None else call.attention_mask
        assert call.new_ids is not None
        ends = torch.tensor(self._ends(call.given), device=call.new_ids.device)
        is_end = torch.isin(call.new_ids, ends).long()
        # The first token that ends an answer belongs to it, what comes behind is padding.
        lengths = (is_end.cumsum(1) - is_end == 0).sum(1)
        steps = call.forward_ms[1:]
        for b in range(len(ids)):
            yield AnswerCosts(
                input_tokens=int(real[b].sum()),
                output_tokens=int(lengths[b]),
                visual_tokens=int((ids[b] == self._placeholder).sum()),
                kv_bytes=call.kv_bytes // len(ids),
                nfe=len(call.forward_ms),
                embed_ms=round(call.embed_ms, 3),
                prefill_ms=round(call.forward_ms[0], 3),
                step_ms=round(fmean(steps), 3) if steps else 0.0,
            )

    def _ends(self, given: dict[str, Any]) -> list[int]:
        ends = given.get("eos_token_id", self._model.generation_config.eos_token_id)
        return [] if ends is None else ends if isinstance(ends, list) else [ends]

    def _encode(self, own: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(own)
        def get_image_features(*args: Any, **kwargs: Any) -> Any:
            start = self._clock.now()
            output = own(*args, **kwargs)
            self._encoded_ms += self._clock.now() - start
            return output

        return get_image_features

    def _generate(self, own: Callable[..., Any]) -> Callable[..., Any]:
        names = list(inspect.signature(own).parameters)

        @wraps(own)
        def generate(*args: Any, **kwargs: Any) -> Any:
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            ids: Tensor = given["input_ids"] if given.get("inputs") is None else given["inputs"]
            call = Call(given, ids, given.get("attention_mask"))
            self.calls.append(call)
            self._encoded_ms = 0.0
            self._clock.lap()
            try:
                answer = own(*args, **kwargs)
            except Exception as error:
                self.failure = error
                raise
            call.embed_ms += self._encoded_ms
            sequences = answer if isinstance(answer, Tensor) else answer.sequences
            call.new_ids = sequences[:: len(sequences) // len(ids), ids.shape[1] :]
            return answer

        return generate

    def _before(self, *_: Any) -> None:
        self._encoded_before_ms = self._encoded_ms
        self._clock.lap()

    def _after(self, _model: Any, _args: Any, output: Any) -> None:
        call = self.calls[-1]
        call.forward_ms.append(self._clock.lap() - (self._encoded_ms - self._encoded_before_ms))
        if len(call.forward_ms) == 1 and output.past_key_values is not None:
            held = (x for layer in output.past_key_values.layers for x in vars(layer).values())
            call.kv_bytes = sum(x.nbytes for x in held if isinstance(x, Tensor) and x.is_floating_point())
