"""Pages that are drawn offline from seeds, with every word's place: documents, charts, and print beside photographs."""
