"""The machine: GPUs, memory, and what fits."""
