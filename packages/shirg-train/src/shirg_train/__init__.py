"""shirg-train: diffusion-NLL training of SHIRG adapters, and the embedded models."""

from importlib.metadata import version

__version__ = version("shirg-train")
