"""Plots of results: plain functions from rows to matplotlib figures, drawn without a display."""

from shirg_bench.plots.answers import Example, answer_sheet
from shirg_bench.plots.budget import budget_curves
from shirg_bench.plots.cost import cache_cost
from shirg_bench.plots.forest import ablation_forest
from shirg_bench.plots.save import save_plot
from shirg_bench.plots.speed import speed_accuracy
from shirg_bench.plots.tokens import TokenCloud, token_clouds

__all__ = [
    "Example",
    "TokenCloud",
    "ablation_forest",
    "answer_sheet",
    "budget_curves",
    "cache_cost",
    "save_plot",
    "speed_accuracy",
    "token_clouds",
]
