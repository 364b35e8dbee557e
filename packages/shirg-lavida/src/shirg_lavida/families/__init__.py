"""What differs between the released LaViDas, as data: one file per family of language models."""
