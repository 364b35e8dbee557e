"""The report: curves, tables, examples and the claims ledger on one page."""
