"""Reading and writing checkpoints and adapters."""
