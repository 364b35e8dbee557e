"""Exact match of a micro model against budget, and the ablations of both proposals, over the same questions.

`curve` and `ablate` return rows; `shirg_bench.results` merges them into files and shows them as tables.
"""

from shirg_bench.accuracy.budgets import BUDGETS, curve
from shirg_bench.accuracy.compare import ABLATIONS, ablate

__all__ = ["ABLATIONS", "BUDGETS", "ablate", "curve"]
