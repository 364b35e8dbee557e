"""Exact match of a micro model against budget, and the ablations of both proposals, over the same questions.

`curve` and `ablate` return rows, `merge_rows` puts them into a results file, the tables are their Markdown.
"""

from shirg_bench.accuracy.budgets import BUDGETS, curve
from shirg_bench.accuracy.compare import ABLATIONS, ablate
from shirg_bench.accuracy.files import merge_rows, write_text
from shirg_bench.accuracy.tables import ablation_table, budget_table

__all__ = [
    "ABLATIONS",
    "BUDGETS",
    "ablate",
    "ablation_table",
    "budget_table",
    "curve",
    "merge_rows",
    "write_text",
]
