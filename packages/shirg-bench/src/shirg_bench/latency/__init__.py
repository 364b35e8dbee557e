"""What an answer costs: time by stage, memory, the prefix cache, and a same-size autoregressive baseline."""
