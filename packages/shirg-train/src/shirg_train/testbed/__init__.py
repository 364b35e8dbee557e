"""The test bed: pages that are drawn, questions about them, and the small models that read them."""
