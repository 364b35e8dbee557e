"""Methods that drop tokens inside the language model."""
