"""Learned compressors that others published, trained between a frozen tower and the language model.

They are here to be compared with: rebuilt from the papers' formulas, at the size of the test bed.
"""
