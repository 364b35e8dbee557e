"""LoRA adapters: building, dropout, growing, reading and writing."""
