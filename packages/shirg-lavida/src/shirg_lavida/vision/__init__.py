"""From an image to entries of the prefix: views, tower, projector, selection, reading order."""
