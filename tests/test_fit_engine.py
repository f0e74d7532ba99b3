"""What the embedded engine can do is seen from its files."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import ClassVar

import pytest

from arena.core.machine import Gpu
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.fit.engine import offloads
from arena.hardware.probe import MachineProbe

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


def test_what_a_cpu_build_runs_is_held_against_ram():
    here = Gpu(0, "Card", "u0", 24 << 30, 20 << 30)
    info = ModelInfo(ModelRef("gguf", "x"), parameters=8_000_000_000, quantization="Q4_K_M")
    served = replace(info, ref=ModelRef("ollama", "x"))
    for can, expected in ((True, "gpu 0"), (False, "ram")):
        probe = MachineProbe(Card(here), others=(), offloads=lambda can=can: can)
        machine = probe.read()
        assert probe.fit(info, machine, context=4096).device == expected
        assert probe.fit(served, machine, context=4096).device == "gpu 0", "Ollama brings an engine of its own"
        assert probe.together([info], machine, context=4096).device == expected


class Card:
    """An NVIDIA driver with that one card."""

    multiprocessors: ClassVar[dict[str, int]] = {}

    def __init__(self, gpu):
        self.gpu = gpu

    def read(self):
        return (self.gpu,), ()

    def close(self):
        pass
