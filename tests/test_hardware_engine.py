"""The formulas against llama.cpp itself: it plans its buffers for a file without data, and prints their sizes."""

import importlib.util
import json
import subprocess
import sys

import pytest

import gguf_files as files
from arena.core.gguf import read_header
from arena.core.machine import MIB
from arena.hardware.fit.estimate import EMBEDDED, SERVER, Runtime, Setting
from arena.hardware.fit.header import HeaderEstimate

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing: formulas not cross-checked"
    ),
]

# Runs in a process of its own: llama.cpp aborts on what it does not like. `no_alloc` wants `load_mode` 0.
ASK = """
import ctypes, json, re, sys
from llama_cpp import llama_cpp as api
path, wanted = sys.argv[1], json.loads(sys.argv[2])
lines = []
@api.llama_log_callback
def note(level, text, data):
    lines.append(text.decode("utf-8", "replace"))
api.llama_log_set(note, ctypes.c_void_p(0))
params = api.llama_model_default_params()
params.no_alloc, params.load_mode, params.use_extra_bufts, params.n_gpu_layers = True, 0, False, 0
model = api.llama_model_load_from_file(path.encode(), params)
if not model:
    sys.exit("".join(lines))
found = []
for each in wanted:
    lines.clear()
    params = api.llama_context_default_params()
    for key, value in each.items():
        setattr(params, key, value)
    context = api.llama_init_from_model(model, params)
    if not context:
        sys.exit("".join(lines))
    text = "".join(lines)
    size = lambda what: sum(map(float, re.findall(what + r" *= +([0-9.]+) MiB", text)))
    found.append((api.llama_model_size(model), size("llama_kv_cache: size"), size("compute buffer size")))
    api.llama_free(context)
print(json.dumps(found))
"""

GGML_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}
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


def as_llama_cpp_says(setting):
    runtime = setting.runtime
    return {
        "n_ctx": setting.context * setting.slots,
        "n_batch": runtime.batch,
        "n_ubatch": runtime.ubatch,
        "n_seq_max": setting.slots,
        "kv_unified": False,
        "flash_attn_type": int(setting.flash_attention),
        "swa_full": runtime.full_window,
        "n_outputs_max": 0 if runtime.all_logits else setting.slots,
        "type_k": GGML_TYPES[setting.kv_type],
        "type_v": GGML_TYPES[setting.kv_type],
    }


def add_gemma_norms(tensors, layers, width):
    for layer in range(layers):
        tensors += [(f"blk.{layer}.post_{each}_norm.weight", (width,), "F32") for each in ("attention", "ffw")]


@pytest.mark.parametrize("arch", MODELS)
def test_weights_and_cache_to_the_byte_and_compute_within_a_few_mib(tmp_path, arch):
    metadata, tensors = files.llama_like(arch, **MODELS[arch])
    if arch == "gemma3":
        add_gemma_norms(tensors, GEMMA["layers"], GEMMA["width"])
    path = files.write_gguf(tmp_path / "model.gguf", metadata, tensors)
    estimate = HeaderEstimate.of(read_header(path))
    asked = json.dumps([as_llama_cpp_says(setting) for setting in SETTINGS])
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(path), asked], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for setting, (weights, cache_mib, compute_mib) in zip(SETTINGS, json.loads(done.stdout), strict=True):
        parts = estimate.in_ram(setting).parts
        assert parts.weights == weights, setting
        assert parts.kv / MIB == pytest.approx(cache_mib, abs=0.02), setting
        assert parts.compute / MIB == pytest.approx(compute_mib, rel=0.05, abs=12), setting
