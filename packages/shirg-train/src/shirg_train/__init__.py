"""shirg-train: diffusion-NLL training of projector adapters. Nothing is trained here yet."""

__version__ = "0.1.0"
