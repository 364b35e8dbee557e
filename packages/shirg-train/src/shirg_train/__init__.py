"""shirg-train."""
