"""shirg-bench."""
