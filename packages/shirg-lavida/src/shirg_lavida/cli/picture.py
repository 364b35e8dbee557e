"""The overlay of `shirg ask`: the kept tokens over the page as sharp as the vision tower saw it."""

from __future__ import annotations

from matplotlib.figure import Figure
from PIL import Image

from shirg_core.anyres import place
from shirg_core.images.overlay import display_size
from shirg_core.plot import selection_figure
from shirg_core.selection import Selection
from shirg_lavida.cli.report import Outcome
from shirg_lavida.config import LavidaConfig
from shirg_lavida.vision.views import ViewPlan, plan_views


def overlay(config: LavidaConfig, image: Image.Image, question: str, outcome: Outcome, selection: Selection) -> Figure:
    """The figure.

    Args:
        config: of the model that answered.
        image: upright RGB.
        question: as it was asked.
        outcome: the answer to it.
        selection: what that chose.
    """
    title = f"{question} → {outcome.answer.text} · {outcome.method}, {outcome.n_kept} tokens kept"
    seen = seen_image(image, plan_views(config, image.size, outcome.views, selecting=True))
    return selection_figure(seen, outcome.layout, selection, " ".join(title.split()))


def seen_image(image: Image.Image, plan: ViewPlan) -> Image.Image:
    """An upright RGB image with the detail of its crops, or else of its one view, and in its own shape.

    Without the canvas's border, so that boxes in units of the image lie where they did.
    """
    if plan.canvas is not None:
        return image.resize(place(image.size, plan.canvas).image, Image.Resampling.BICUBIC)
    view = image.resize((plan.px, plan.px), Image.Resampling.BICUBIC)
    return view.resize(display_size(image.size), Image.Resampling.LANCZOS)
