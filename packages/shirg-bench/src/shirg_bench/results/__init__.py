"""The results store: rows in JSON-lines files, how they are merged, where they come from, and how they are shown."""
