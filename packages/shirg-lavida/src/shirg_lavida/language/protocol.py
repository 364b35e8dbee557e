"""What the sampler, the pruning baselines and the loss need from a backbone, whatever its architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from torch import Tensor

from shirg_lavida.language.cache import PrefixCache

Thinned: TypeAlias = tuple[Tensor, Tensor | None]
"""Indices `[B, K]` of the tokens that go on, and `[B, K]` bool, False = only fills a row; None = none does."""
Thin: TypeAlias = Callable[[int, Tensor, Tensor, Tensor | None], Thinned | None]
"""`thin(layer, q, k, valid)`, called after each layer of a prefill (from 1; not the last) with its queries and keys
`[B, heads, P, c]` and padding mask `[B, P]`; None = all tokens go on."""


class DiffusionBackbone(Protocol):
    """A bidirectional language model. d: width, V: vocabulary, P: prefix tokens, L: answer tokens, S: any sequence.

    Positions are int64 rotary positions. Hidden states are the final norm's output, ready for `logits`.
    """

    @property
    def n_layers(self) -> int:
        """Transformer layers."""
        ...

    @property
    def vocab_size(self) -> int:
        """V; ids are below it."""
        ...

    @property
    def max_sequence_length(self) -> int:
        """Largest allowed position + 1."""
        ...

    @property
    def shifted(self) -> bool:
        """Whether the state of the token before predicts a token; that of a prefix's last token then is needed, too."""
        ...

    def embed(self, ids: Tensor) -> Tensor:
        """`[B, L]` int64 → `[B, L, d]`."""
        ...

    def prefill(
        self,
        prefix: Tensor,
        positions: Tensor,
        mask: Tensor | None = None,
        *,
        answer_length: int,
        thin: Thin | None = None,
    ) -> PrefixCache:
        """Run `prefix [B, P, d]` at `positions [B, P]` attending only to itself; keep its keys and values.

        Args:
            prefix: `[B, P, d]`.
            positions: `[B, P]`.
            mask: `[B, P]` bool, False = padding; None = nothing padded.
            answer_length: L, answer tokens the cache leaves room for.
            thin: may drop prefix tokens between layers.
        """
        ...

    def denoise(self, x: Tensor, positions: Tensor, cache: PrefixCache) -> Tensor:
        """Answer embeddings `x [B, L, d]` attend to the cached prefix and to each other: hidden `[B, L, d]`."""
        ...

    def observe(
        self, x: Tensor, positions: Tensor, cache: PrefixCache, layers: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """`denoise`, and `[B, L, P]` float32: attention paid to every prefix entry, mean over heads and `layers`.

        Layers are counted from 1; None = all of them.
        """
        ...

    def extend(self, x: Tensor, positions: Tensor, cache: PrefixCache, valid: Tensor | None = None) -> PrefixCache:
        """Write R further entries `x [B, R, d]` into the cache's scratch rows: a cache of P + R, in the same buffers.

        They attend to the prefix and to each other; the prefix, written before, does not attend to them and is not
        touched.

        Args:
            x: `[B, R, d]`.
            positions: `[B, R]`.
            cache: with room for them, see `prefill`'s `answer_length`.
            valid: `[B, R]` bool, False = fills a row; None = all are entries.
        """
        ...

    def forward(self, x: Tensor, positions: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Uncached and differentiable: `x [B, S, d]` → hidden `[B, S, d]`.

        `allowed` bool, broadcastable to `[B, H, S, S]`, says which query may see which key; None = all.
        """
        ...

    def predicting(self, hidden: Tensor, last: Tensor | None) -> Tensor:
        """The states that predict an answer's tokens, `[B, L, d]`: here, and nowhere else, Dream's are shifted by one.

        Args:
            hidden: `[B, L, d]`, the states of the answer's tokens.
            last: `[B, 1, d]`, the state of the prefix's last token; may be None if the model is not `shifted`.
        """
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """`[…, d]` → `[…, V]`."""
        ...
