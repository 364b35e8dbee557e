"""`shirg ask`. Cheap to import: models are loaded by the command, not by its help."""

from shirg_lavida.cli.command import ask

__all__ = ["ask"]
