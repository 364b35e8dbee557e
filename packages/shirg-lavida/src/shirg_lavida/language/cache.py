"""The prefix's keys and values, written once; answer tokens get scratch space behind them.

Every layer holds one buffer `[B, H_kv, P + L, head_dim]` for keys and one for values. `prefill` writes the first P
rows, and nothing ever writes them again; each step overwrites the last L rows with the answer's own keys and values.
So a step attends to prefix and answer as one contiguous slice: no concatenation, no copy of the prefix, static
shapes. Keys are stored after rotation: their positions never change, so rotating them again at every step would buy
nothing.

What chooses again while an answer is decoded has three ways to do so: `gathered` copies the kept rows into a smaller
cache, `reading` masks rows and copies nothing, and `extended` then `longer` writes further rows behind the first P, in
room that the prefill left.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class LayerCache:
    """One layer's keys and values.

    Attributes:
        keys: `[B, H_kv, P + L, head_dim]`, rotated.
        values: `[B, H_kv, P + L, head_dim]`.
        prefix_length: P; rows from P on are scratch.
        mask: `[B, 1, 1, P + L]` bool, False = padding; None = nothing padded.
    """

    keys: Tensor
    values: Tensor
    prefix_length: int
    mask: Tensor | None

    @classmethod
    def write(cls, keys: Tensor, values: Tensor, valid: Tensor | None, answer_length: int) -> LayerCache:
        """Copy `keys` and `values` `[B, H_kv, P, head_dim]` into buffers with room for `answer_length` more rows.

        `valid [B, P]` bool marks what is not padding.
        """
        b, h, p, c = keys.shape
        buffers = [torch.zeros(b, h, p + answer_length, c, dtype=x.dtype, device=x.device) for x in (keys, values)]
        for buffer, x in zip(buffers, (keys, values), strict=True):
            buffer[:, :, :p] = x
        mask = None
        if valid is not None:
            mask = torch.cat([valid, valid.new_ones(b, answer_length)], dim=1)[:, None, None]
        return cls(buffers[0], buffers[1], p, mask)

    def extended(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Put an answer's keys and values `[B, H_kv, L, head_dim]` into the scratch rows.

        Returns views of prefix and answer together, and their mask.

        Raises:
            ValueError: more answer tokens than scratch rows.
        """
        end = self.prefix_length + keys.shape[2]
        if end > self.keys.shape[2]:
            room = self.keys.shape[2] - self.prefix_length
            raise ValueError(f"the cache has room for {room} answer tokens, got {keys.shape[2]}; prefill with more")
        self.keys[:, :, self.prefix_length : end] = keys
        self.values[:, :, self.prefix_length : end] = values
        mask = None if self.mask is None else self.mask[..., :end]
        return self.keys[:, :, :end], self.values[:, :, :end], mask

    def gathered(self, index: Tensor, present: Tensor | None = None) -> LayerCache:
        """A new cache that holds only the prefix entries `index [B, K]`; this one is left as it is.

        `present [B, K]` bool is False for entries that only fill a row; None = all are kept.
        """
        p, heads, channels = self.prefix_length, self.keys.shape[1], self.keys.shape[3]
        at = index[:, None, :, None].expand(-1, heads, -1, channels)
        valid = None if self.mask is None else self.mask[:, 0, 0, :p].gather(1, index)
        if present is not None:
            valid = present if valid is None else valid & present
        answer_length = self.keys.shape[2] - p
        keys, values = (x[:, :, :p].gather(2, at) for x in (self.keys, self.values))
        return LayerCache.write(keys, values, valid, answer_length)

    def reading(self, kept: Tensor) -> LayerCache:
        """The same buffers, of whose prefix only the entries in `kept [B, P]` bool are read."""
        whole, p = self._whole_mask(len(kept)), self.prefix_length
        return replace(self, mask=torch.cat([whole[..., :p] & kept[:, None, None], whole[..., p:]], dim=-1))

    def longer(self, added: int, valid: Tensor | None = None) -> LayerCache:
        """The same buffers, whose first `added` scratch rows now belong to the prefix; `extended` has written them.

        `valid [B, added]` bool is False for what only fills a row.
        """
        mask, p = self.mask, self.prefix_length
        if valid is not None:
            whole = self._whole_mask(len(valid))
            mask = torch.cat([whole[..., :p], valid[:, None, None], whole[..., p + added :]], dim=-1)
        return replace(self, prefix_length=p + added, mask=mask)

    def _whole_mask(self, batch: int) -> Tensor:
        if self.mask is not None:
            return self.mask
        return torch.ones(batch, 1, 1, self.keys.shape[2], dtype=torch.bool, device=self.keys.device)


@dataclass(frozen=True)
class PrefixCache:
    """All layers' prefix keys and values. Layers may hold different numbers of entries (FastV).

    Attributes:
        layers: keys and values, layer by layer.
        last: `[B, 1, d]`, the state of the prefix's last token, where it predicts the answer's first; None elsewhere.
    """

    layers: tuple[LayerCache, ...]
    last: Tensor | None = None

    @property
    def bytes(self) -> int:
        """Bytes of the prefix's keys and values; scratch rows are not counted."""
        return sum(
            2 * layer.keys[:, :, : layer.prefix_length].numel() * layer.keys.element_size() for layer in self.layers
        )

    def gathered(self, index: Tensor, present: Tensor | None = None) -> PrefixCache:
        """A new cache of the prefix entries `index [B, K]` in every layer, see `LayerCache.gathered`."""
        return PrefixCache(tuple(layer.gathered(index, present) for layer in self.layers), self.last)

    def reading(self, kept: Tensor) -> PrefixCache:
        """The same buffers, of whose prefix only the entries in `kept [B, P]` bool are read; nothing is copied."""
        return PrefixCache(tuple(layer.reading(kept) for layer in self.layers), self.last)

    def digest(self) -> str:
        """SHA-256 over every bit of the prefix part: equal digests, untouched cache. Slow, for checking."""
        sha = hashlib.sha256()
        for layer in self.layers:
            for x in (layer.keys, layer.values):
                sha.update(x[:, :, : layer.prefix_length].contiguous().cpu().view(torch.uint8).numpy().tobytes())
        return sha.hexdigest()
