"""From features to a choice: the presets, what they share, and the two ways to compute them."""

from shirg_core.selection.contract import Selection, Selector, gather_tokens

__all__ = ["Selection", "Selector", "gather_tokens"]
