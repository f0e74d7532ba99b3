"""Ways to reach models: each turns a wire into Chunk and Usage, and nothing else."""
