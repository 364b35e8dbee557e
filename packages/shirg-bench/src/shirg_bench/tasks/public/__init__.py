"""Public benchmarks set up for a diffusion model: answer length and blocks. Their data come from the hub."""
