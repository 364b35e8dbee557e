"""Kept and dropped tokens in a plane: t-SNE of projected features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shirg_bench.plots.style import BLUE, GREY, LABEL_PT, VERMILION, new_figure

PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class TokenCloud:
    """Which tokens one method kept.

    Attributes:
        method: in words.
        kept: `[N]` bool.
    """

    method: str
    kept: NDArray[np.bool_]


def embed_tokens(features: NDArray[np.float32], *, seed: int = 0) -> NDArray[np.float32]:
    """t-SNE, cosine distances: `[N, D]` → `[N, 2]`.

    Raises:
        ValueError: not more tokens than the perplexity.
    """
    # Imported here: scikit-learn takes a second that the other plots need not wait for.
    from sklearn.manifold import TSNE  # type: ignore[import-untyped]  # it has no stubs

    if len(features) <= PERPLEXITY:
        raise ValueError(f"t-SNE needs more than {PERPLEXITY:g} tokens, got {len(features)}")
    plane: NDArray[np.float32] = TSNE(
        metric="cosine", init="random", perplexity=PERPLEXITY, random_state=seed
    ).fit_transform(features)
    return plane


def token_clouds(plane: NDArray[np.float32], shows_answer: NDArray[np.bool_], clouds: Sequence[TokenCloud]) -> Figure:
    """A panel per method over the same plane.

    Args:
        plane: `[N, 2]`, see `embed_tokens`.
        shows_answer: `[N]`, tokens whose patch shows the answer to the question.
        clouds: what methods kept.

    Raises:
        ValueError: no clouds, or one of another length.
    """
    if not clouds or any(len(cloud.kept) != len(plane) for cloud in clouds):
        raise ValueError(f"every cloud must say of {len(plane)} tokens whether they were kept, and there must be one")
    figure = new_figure(5.2 * len(clouds), 5.4, "t-SNE of visual tokens as the language model gets them")
    panels = figure.subplots(1, len(clouds), squeeze=False)[0]
    for axes, cloud in zip(panels, clouds, strict=True):
        _panel(axes, plane, shows_answer, cloud)
    handles, words = panels[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside lower center", ncols=3, fontsize=LABEL_PT + 1, frameon=False)
    return figure


def _panel(axes: Axes, plane: NDArray[np.float32], shows_answer: NDArray[np.bool_], cloud: TokenCloud) -> None:
    kept = cloud.kept
    axes.scatter(
        plane[~kept, 0], plane[~kept, 1], s=9, facecolors="none", edgecolors=GREY, linewidths=0.5, label="dropped"
    )
    axes.scatter(plane[kept, 0], plane[kept, 1], s=11, color=BLUE, linewidths=0, label="kept")
    axes.scatter(
        plane[shows_answer, 0],
        plane[shows_answer, 1],
        s=46,
        marker="D",
        facecolors="none",
        edgecolors=VERMILION,
        linewidths=1.2,
        label="shows the answer",
    )
    found = int((kept & shows_answer).sum())
    title = f"{cloud.method}: {kept.sum()} of {len(kept)} kept, {found} of {shows_answer.sum()} that show the answer"
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")
