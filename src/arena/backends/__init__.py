"""Ways to reach models: each turns a wire into Chunk and Usage, and nothing else."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

# `import httpx` also loads its command-line client with rich and pygments, which takes two thirds of its 0.4 s. It is
# optional for httpx: where it can't be imported, httpx goes on without it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


class _Late:
    """A module that is imported when the first of its names is asked for.

    Mostly nothing listens at the usual ports, and a knock needs no client.
    """

    def __init__(self, name: str) -> None:
        """`name`: as `import` spells it."""
        self._name = name

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        return getattr(importlib.import_module(self._name), name)


if TYPE_CHECKING:
    import httpx
    import httpx_sse
else:
    httpx, httpx_sse = _Late("httpx"), _Late("httpx_sse")

__all__ = ["httpx", "httpx_sse"]
