"""SHIRG for the vision-language models of transformers ≥ 5.23: relies on their conventions, and does not import them.

prompts     checks of what the processor wrote, placeholder and padding ids
features    the model's image features, one row for every placeholder of the prompt
geometry    the place of every row in its image and the edge density behind it; the table of model families
mosaic      the same for LLaVA-NeXT and LLaVA-OneVision
question    the word embeddings of the question, for the selector
tower       the attention that a vision tower computes, for selectors that are to have it
maps        the place of that attention in the images
cut         a selection applied: fewer rows, a shorter prompt, and its positions
prune       all of these: the inputs of `model(**…)` and `model.generate(**…)`
context     pruning inside calls that other code makes
"""

from shirg_core.hf.context import pruning
from shirg_core.hf.prune import Pruned, prune
from shirg_core.hf.tower import TowerAttention, tower_attention

__all__ = ["Pruned", "TowerAttention", "prune", "pruning", "tower_attention"]
