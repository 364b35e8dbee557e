"""What images raise."""

from __future__ import annotations


class ImageError(ValueError):
    """An image that cannot be used; the message is one line for the person who gave it."""
