"""Device code and launch helpers that the kernels of scores, coverage and selection share; see KERNELS.md."""
