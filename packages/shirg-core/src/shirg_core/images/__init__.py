"""Images: reading them, cutting them into views, pixel features, and drawing what was kept. Needs the extra `cli`."""

from shirg_core.images.errors import ImageError
from shirg_core.images.load import DECODE_ERRORS, load_image, upright_rgb
from shirg_core.images.pixels import pixel_features
from shirg_core.images.views import ImageViews, anyres_views, single_view

__all__ = [
    "DECODE_ERRORS",
    "ImageError",
    "ImageViews",
    "anyres_views",
    "load_image",
    "pixel_features",
    "single_view",
    "upright_rgb",
]
