"""The explorer: one HTML page to look at selections, patch by patch, and at the answers they give."""
