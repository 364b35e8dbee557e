"""Subcommands of `shirg` that this package adds; cheap to import."""
