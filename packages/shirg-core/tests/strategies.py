"""Hypothesis strategies: layouts of every awkward kind, and images on them.

Feature values come from a seeded generator, not from hypothesis: what matters is their kind, not their digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from shirg_core import View, ViewLayout

from . import oracle

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SEEDS = st.integers(0, 2**31 - 1)


@dataclass(frozen=True)
class Images:
    """A batch of images on one layout, with everything a selector may ask for. `budget` fits cells and clusters."""

    layout: ViewLayout
    features: Tensor
    text: Tensor
    text_mask: Tensor
    edges: Tensor
    budget: int

    @property
    def inputs(self) -> dict[str, Tensor]:
        return {"text": self.text, "text_mask": self.text_mask, "edges": self.edges}


@st.composite
def views(draw, max_side=6, *, padding=True, pinned=True):
    h, w = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    kinds = ["all"] * 3 + (["border", "scattered", "none"] if padding else [])
    kind, valid = draw(st.sampled_from(kinds)), None
    if kind == "scattered":
        bits = draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))
        valid = torch.tensor(bits).view(h, w)
    elif kind == "border":
        valid = torch.zeros(h, w, dtype=torch.bool)
        top, left = draw(st.integers(0, (h - 1) // 2)), draw(st.integers(0, (w - 1) // 2))
        valid[top : h - top, left : w - left] = True
    elif kind == "none":
        valid = torch.zeros(h, w, dtype=torch.bool)
    return View(h, w, valid=valid, pinned=pinned and draw(st.integers(0, 5)) == 5)


@st.composite
def layouts(draw, max_views=9, max_side=6, *, padding=True, pinned=True):
    drawn = draw(st.lists(views(max_side, padding=padding, pinned=pinned), min_size=1, max_size=max_views))
    if all(view.n_selectable == 0 for view in drawn):
        drawn[0] = View(drawn[0].h, drawn[0].w, pinned=drawn[0].pinned)
    return ViewLayout(views=tuple(drawn))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shared_offset(kind: str, width: int, g: torch.Generator) -> Tensor:
    """`[D]`, what all tokens of a kind like `channel+3000`, `channels+300` or `direction+1000` have in common."""
    name, size = kind.split("+")
    if name == "direction":
        return float(size) * torch.nn.functional.normalize(torch.randn(width, generator=g), dim=0)
    offset = torch.zeros(width)
    offset[width // 3] = float(size)
    offset[-1] = -0.7 * float(size) if name == "channels" else 0.0
    return offset


def make_features(kind: str, batch: int, n: int, width: int, seed: int) -> Tensor:
    """`[B, N, D]` of one kind.

    `normal`: well spread, with a common direction, so that attention tells tokens apart. `duplicated`: a third as many
    different tokens, each many times. `lattice`: 0/1 corners whose cosines are exact in float32, zero tokens included.
    `constant`: one token everywhere. Tokens that share a direction, as those of real towers do: `channel+300`, one
    channel of independent ones lies that far off; `channels+300`: two, of either sign; `direction+300`: all channels.
    `blank+80`: 80 % are copies of one token, as on a page with margins, the others independent.
    """
    g = generator(seed)
    if kind.startswith(("channel", "direction")):
        tokens = torch.randn(batch, n, width, generator=g)
        return tokens + shared_offset(kind, width, g)
    if kind.startswith("blank"):
        is_blank = torch.rand(batch, n, 1, generator=g) < int(kind.removeprefix("blank+")) / 100
        blank, others = (torch.randn(batch, m, width, generator=g) for m in (1, n))
        return torch.where(is_blank, blank, others)
    if kind == "lattice":
        hot = torch.nn.functional.one_hot(torch.randint(width, (batch, n), generator=g), width).float()
        return hot * (torch.rand(batch, n, 1, generator=g) < 0.8)
    if kind == "constant":
        return torch.randn(batch, 1, width, generator=g).expand(batch, n, width).clone()
    spread = torch.rand(batch, n, 1, generator=g) * 2
    tokens = torch.randn(batch, n, width, generator=g) + spread * torch.randn(batch, 1, width, generator=g)
    if kind == "duplicated":
        tokens = tokens[:, torch.randint(max(1, n // 3), (n,), generator=g)]
    return tokens


@st.composite
def images(draw, kinds=("normal", "duplicated", "lattice", "constant"), dtypes=DTYPES, max_batch=3, **layout_options):
    layout = draw(layouts(**layout_options))
    batch, width = draw(st.integers(1, max_batch)), draw(st.sampled_from([2, 3, 8, 17]))
    seed, dtype = draw(SEEDS), draw(st.sampled_from(dtypes))
    features = make_features(draw(st.sampled_from(kinds)), batch, layout.n_tokens, width, seed).to(dtype)
    g = generator(seed + 1)
    words = draw(st.integers(1, 4))
    text_mask = torch.rand(batch, words, generator=g) < 0.6
    text_mask[:, 0] = True
    least = oracle.least_budget(layout)
    return Images(
        layout=layout,
        features=features,
        text=torch.randn(batch, words, width, generator=g).to(dtype),
        text_mask=text_mask,
        edges=torch.rand(batch, layout.n_tokens, generator=g),
        budget=draw(st.integers(least, layout.n_selectable)),
    )
