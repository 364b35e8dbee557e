"""SHIRG under lmms-eval: the model `shirg_lavida`, and what `shirg eval` does around it."""
