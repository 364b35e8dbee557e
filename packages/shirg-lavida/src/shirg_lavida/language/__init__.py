"""The language model: LLaDA's backbone, its attention masks and its prefix cache."""
