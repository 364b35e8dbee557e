"""The training loop of the adapter: own loop, PyTorch or DeepSpeed underneath.

Not transformers' Trainer: resuming bit for bit, sums over ranks and micro-batches instead of means of means, a rank
that grows and masks that do not depend on the number of ranks would each override a different part of it.
"""
