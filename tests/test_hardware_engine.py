"""The formulas against llama.cpp itself, on files whose headers were written apart from the skeletons."""

import importlib.util

import pytest

import gguf_files as files
from arena.core.gguf import read_header
from arena.core.machine import MIB
from arena.hardware.fit.dry_run import DryRun
from arena.hardware.fit.estimate import EMBEDDED, SERVER, Runtime, Setting
from arena.hardware.fit.header import HeaderEstimate

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing: formulas not cross-checked"
    ),
]

GEMMA = {
    "layers": 12, "width": 1152, "feed_forward": 6912, "heads": 4, "kv_heads": 1, "head_width": 256,
    "vocabulary": 262144, "tied": True, "qk_norm": True, "pick": lambda *_: "Q8_0",
    "extra": {"gemma3.attention.sliding_window": 512},
}  # fmt: skip
MIXTURE = {
    "layers": 8, "width": 2048, "feed_forward": 768, "kv_heads": 4, "vocabulary": 151936, "qk_norm": True,
    "experts": 16,
    "extra": {
        "qwen3moe.expert_count": 16, "qwen3moe.expert_used_count": 8, "qwen3moe.expert_feed_forward_length": 768,
    },
}  # fmt: skip
MODELS = {"llama": {}, "gemma3": GEMMA, "qwen3moe": MIXTURE}
SETTINGS = [
    Setting(context, kv_type, slots, runtime)
    for context in (1000, 4096, 32768)
    for kv_type, slots, runtime in (
        ("f16", 1, SERVER), ("q8_0", 1, SERVER), ("q4_0", 4, SERVER), ("f16", 1, EMBEDDED),
        ("f16", 1, Runtime(flash_attention=False, full_window=True)),
    )
]  # fmt: skip


def add_gemma_norms(tensors, layers, width):
    for layer in range(layers):
        tensors += [(f"blk.{layer}.post_{each}_norm.weight", (width,), "F32") for each in ("attention", "ffw")]


@pytest.mark.parametrize("arch", MODELS)
def test_weights_and_cache_to_the_byte_and_compute_within_a_few_mib(tmp_path, arch):
    metadata, tensors = files.llama_like(arch, **MODELS[arch])
    if arch == "gemma3":
        add_gemma_norms(tensors, GEMMA["layers"], GEMMA["width"])
    path = files.write_gguf(tmp_path / "model.gguf", metadata, tensors)
    estimate, run = HeaderEstimate.of(read_header(path)), DryRun()
    planned = run.needs(path, SETTINGS)
    run.close()
    for setting, told in zip(SETTINGS, planned, strict=True):
        parts = estimate.in_ram(setting).parts
        assert parts.weights == told.weights, setting
        assert parts.kv == pytest.approx(told.kv, abs=0.02 * MIB), setting
        assert parts.compute == pytest.approx(told.compute, rel=0.05, abs=12 * MIB), setting
