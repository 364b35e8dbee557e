"""SHIRG for vision-language models of transformers ≥ 5.23, whose convention is enough: nothing of it is imported.

features    a model's images → rows, one for every placeholder of the prompt
geometry    rows → their places in the image, and the edges behind them: the one table of families (see also mosaic)
question    prompt → what the selector takes for the question
cut         a choice → fewer rows, a shorter prompt, and its positions
prune       all of these → what `model(**…)` and `model.generate(**…)` take
context     the same inside calls of code that is not yours
"""

from shirg_core.hf.context import pruning
from shirg_core.hf.prune import Pruned, prune

__all__ = ["Pruned", "prune", "pruning"]
