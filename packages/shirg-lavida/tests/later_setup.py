"""Prefixes of a tiny model for methods that choose again while an answer is decoded."""

from PIL import Image

from shirg_core import shirg_v4
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.testing import tiny_lavida

MODEL = tiny_lavida(side=6, patch_size=4)
PROMPTS = ([1, 2, IMAGE_TOKEN_ID, 5, 6, 7], [3, IMAGE_TOKEN_ID, 4], [8, 9, 7])
SIZES = ((200, 80), (60, 60))


def images():
    """Of two layouts: an anyres page of two crops, and one of a single crop."""
    return [Image.radial_gradient("L").resize(size).convert("RGB") for size in SIZES]


def prefix(budget=0.4, *, rows=3, positions="packed", every_token=False, selector=None, **options):
    """Of up to three prompts, of which the last has no image: rows of different lengths, so all but one are padded."""
    chooser = shirg_v4(budget, **options) if selector is None else selector
    shown = images()[: min(rows, 2)]
    ids = list(PROMPTS[:rows])
    return MODEL.embed_prompt(ids, shown, selector=chooser, positions=positions, every_token=every_token)


def ids_of(answers):
    """Sampled ids of every row."""
    return [answer.ids.tolist() for answer in answers]
