"""What tower and projector made of recent images, for further questions about them.

Images are known by their pixels, so that a page that was decoded anew for its next question is found again. Those of
one call are kept together, because the tower runs over them as one batch, and its rounding may depend on who shares it:
what was asked before changes no bit of a call's features. Within a call equal images go through the tower once.
"""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Hashable, Sequence

from PIL import Image

from shirg_core.checks import integer
from shirg_core.clock import Clock
from shirg_core.images.load import upright_rgb
from shirg_lavida.vision.options import VisionOptions, VisionPath, check_images
from shirg_lavida.vision.visual_prefix import EncodedImages, encode

MAX_BYTES = 2**28


class FeatureCache:
    """The most recently used features of models whose weights stay as they are.

    Args:
        max_bytes: of features and pixels; what takes more is not kept.

    Raises:
        ValueError: not an integer ≥ 0.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = integer("max_bytes", max_bytes, low=0)
        self.bytes = 0
        self._kept: OrderedDict[Hashable, EncodedImages] = OrderedDict()

    def encode(
        self, model: VisionPath, images: Sequence[Image.Image], options: VisionOptions, clock: Clock | None = None
    ) -> EncodedImages:
        """As `shirg_lavida.vision.visual_prefix.encode`; what it returns is shared, and not to be written to.

        Raises:
            ValueError: images that are not a list of Pillow images.
        """
        check_images(images)
        digests = []
        different: dict[bytes, Image.Image] = {}
        for image in images:
            upright = upright_rgb(image)
            digests.append(hashlib.sha256(f"{upright.size}".encode() + upright.tobytes()).digest())
            different.setdefault(digests[-1], upright)
        # Of the selector only counts that there is one.
        sight = options.views, options.selector is None, options.select_on == "tower"
        whose = weakref.ref(model), model.image_newline.device, model.image_newline.dtype
        key = (whose, tuple(different), sight, options.tower_attention, options.attention_layer)
        found = self._kept.pop(key, None)
        if found is None:
            found = encode(model, list(different.values()), options, clock)
        else:
            self.bytes -= found.bytes
        self._keep(key, found)
        order = list(different)
        return found if digests == order else found.take([order.index(digest) for digest in digests])

    def _keep(self, key: Hashable, encoded: EncodedImages) -> None:
        self._kept[key] = encoded
        self.bytes += encoded.bytes
        while self.bytes > self.max_bytes:
            self.bytes -= self._kept.popitem(last=False)[1].bytes
