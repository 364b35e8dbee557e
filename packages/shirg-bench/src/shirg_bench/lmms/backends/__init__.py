"""lmms-eval's own models of transformers with fewer visual tokens: `shirg eval --backend`.

find        lmms-eval's class, and which arguments it takes
settings    the arguments of such an evaluation
generation  `gen_kwargs`: those that an autoregressive model follows
request     lmms-eval's requests, and what is shown and asked in them
meter       what the calls of a model's `generate` cost
model       the lmms-eval model that answers through another one, its images pruned
"""
