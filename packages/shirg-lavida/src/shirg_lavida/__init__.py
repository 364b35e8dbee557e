"""shirg-lavida."""
