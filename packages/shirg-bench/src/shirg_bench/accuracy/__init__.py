"""Exact match of a micro model against budget, and the ablations of both proposals, over the same questions."""
