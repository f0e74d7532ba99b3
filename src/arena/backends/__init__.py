"""Ways to reach models: each turns a wire into Chunk and Usage, and nothing else."""

import sys

# `import httpx` also loads its command-line client with rich and pygments, which takes two thirds of its 0.4 s. It is
# optional for httpx: where it can't be imported, httpx goes on without it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
