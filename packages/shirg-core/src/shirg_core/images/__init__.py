"""Images: reading them, cutting them into views, pixel features, and drawing what was kept. Needs the extra `cli`.

What reads them is here and does without torch; the rest is in the modules.
"""

from shirg_core.images.errors import ImageError
from shirg_core.images.load import DECODE_ERRORS, count_pages, load_image, upright_rgb

__all__ = ["DECODE_ERRORS", "ImageError", "count_pages", "load_image", "upright_rgb"]
