"""Synthetic documents and charts: seeded pages of label–value pairs in small print, and the truth about every patch."""
