"""Synthetic documents and charts: seeded pages of label–value pairs in small print, and the truth about every patch."""

from shirg_train.testbed.pages.batch import IGNORE, NONE, PageBatch, allocate
from shirg_train.testbed.pages.config import (
    KINDS,
    LARGE_PRINT,
    SMALL_PRINT,
    SPLITS,
    TIERS,
    PageConfig,
    Split,
    Tier,
    split_seed,
    step_seeds,
)
from shirg_train.testbed.pages.fonts import FACE_NAMES, FACES
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.sheet import contact_sheet, page_image, save_contact_sheet
from shirg_train.testbed.pages.tokenizer import SpecialIds, build_tokenizer, save_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES, answer_ids, answer_text, prompt_ids, prompt_table
from shirg_train.testbed.pages.words import ALPHABET, BLANK, LABELS, MAX_VALUE

__all__ = [
    "ALPHABET", "BLANK", "FACES", "FACE_NAMES", "IGNORE", "KINDS", "LABELS", "LARGE_PRINT", "MAX_VALUE", "NONE",
    "SMALL_PRINT", "SPLITS", "TEMPLATES", "TIERS", "PageBatch", "PageConfig", "SpecialIds", "Split", "Tier", "allocate",
    "answer_ids", "answer_text", "build_tokenizer", "contact_sheet", "draw_pages", "page_image", "prompt_ids",
    "prompt_table", "save_contact_sheet", "save_tokenizer", "split_seed",
    "step_seeds",
]  # fmt: skip
