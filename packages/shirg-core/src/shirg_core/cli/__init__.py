"""The `shirg` command. Needs the extra `cli`; importing this package needs nothing."""
