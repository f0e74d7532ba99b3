"""What the embedded engine can do is seen from its files."""

from __future__ import annotations

import importlib.util

import pytest

from arena.hardware.fit.engine import offloads

installed = importlib.util.find_spec("llama_cpp") is not None


@pytest.mark.skipif(not installed, reason="llama-cpp-python is missing")
@pytest.mark.parametrize(
    ("files", "can"),
    [
        (("libggml-cpu.so", "libllama.so"), False),
        (("libggml-cpu.so", "libggml-cuda.so.0"), True),
        (("libggml-metal.dylib",), True),
        (("ggml-vulkan.dll",), True),
        (("libggml-cpu.so", "ggml-cuda.h"), False),
        ((), True),
    ],
)
def test_a_build_is_known_by_its_libraries(tmp_path, files, can):
    for name in files:
        (tmp_path / name).write_bytes(b"")
    assert offloads({"LLAMA_CPP_LIB_PATH": str(tmp_path)}) is can
