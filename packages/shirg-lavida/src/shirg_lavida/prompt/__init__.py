"""From a question to a prefix: chat template, tokenizer, joining text and images."""
