"""What the embedded engine, llama-cpp-python, can do here, seen from its files: it is never imported for a look."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

_OFFLOADS = re.compile(r"ggml-(cuda|hip|metal|musa|opencl|sycl|vulkan)\b")
_LIBRARIES = (".so", ".dylib", ".dll")


def offloads(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the installed build can use a GPU; also where none is installed, as then nobody knows."""
    return _offloads(environ.get("LLAMA_CPP_LIB_PATH", ""))


@lru_cache(maxsize=4)
def _offloads(elsewhere: str) -> bool:
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or not spec.submodule_search_locations:
        return True
    package = Path(next(iter(spec.submodule_search_locations)))
    # The wheel puts them beside the package, older ones inside.
    folders = [Path(elsewhere)] if elsewhere else [package / "lib", package.parent / "lib"]
    names = [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]
    libraries = [name for name in names if any(end in name for end in _LIBRARIES)]
    return not libraries or any(_OFFLOADS.search(name) for name in libraries)
