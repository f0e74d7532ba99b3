"""Files from strangers: whatever the bytes, the outcome is an answer or an ArenaError, and it is quick."""

import os
import struct
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gguf_files as files
from arena.core import gguf
from arena.core.errors import ArenaError
from arena.core.machine import GIB, Fits, FitVerdict, Machine
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.fit.estimate import SERVER, Setting
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.verdict import judge
from arena.hardware.probe import MachineProbe
from arena.hardware.whatif import parse_gpus

MACHINE = Machine(gpus=parse_gpus("8GB"), ram_total_bytes=16 * GIB, ram_free_bytes=8 * GIB)
METADATA, TENSORS = files.llama_like(
    layers=2,
    width=64,
    feed_forward=64,
    heads=2,
    kv_heads=(1, 2),
    head_width=32,
    vocabulary=96,
    pick=lambda _kind, _layer: "Q8_0",
    extra={
        "llama.attention.sliding_window": 16,
        "llama.attention.sliding_window_pattern": (True, False),
        "llama.ssm.inner_size": 64,
        "tokenizer.ggml.tokens": tuple("abc" * 200),
        "tokenizer.chat_template": "{{ messages }}",
    },
)
RAW, DATA = files.header_of(METADATA, TENSORS)


def answer_or_error(path):
    """The file is a header that can be asked everything, or an ArenaError."""
    try:
        header = gguf.read_header(path)
        gguf.quick_digest(path)
    except ArenaError:
        return
    assert header.header_bytes <= header.file_bytes
    assert all(isinstance(text, str) for text in (header.architecture, header.name, header.quantization))
    assert header.parameters >= header.active_parameters >= 0
    assert header.context_length is None or header.context_length > 0
    assert len(header.template_hash) in (0, 16)
    try:
        estimate = HeaderEstimate.of(header)
    except ArenaError:
        return
    verdict = judge("x", estimate, MACHINE, Setting(4096, "q8_0", 1, SERVER))
    assert isinstance(verdict, FitVerdict)
    assert verdict.need_bytes is not None
    assert verdict.need_bytes > 0


@settings(deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_random_bytes(tmp_path_factory, raw, magic):
    path = tmp_path_factory.getbasetemp() / "random.gguf"
    path.write_bytes((b"GGUF" + struct.pack("<IQQ", 3, 1, 2) if magic else b"") + raw)
    answer_or_error(path)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(RAW) - 1), st.sampled_from([0, 1, 4, 7, 8, 9, 10, 127, 128, 255]), st.integers(1, 8)
        ),
        max_size=6,
    ),
    st.integers(0, len(RAW) + DATA),
)
def test_mutated_and_cut_headers(tmp_path_factory, changes, cut):
    raw = bytearray(RAW)
    for position, byte, count in changes:
        raw[position : position + count] = bytes([byte]) * len(raw[position : position + count])
    path = tmp_path_factory.getbasetemp() / "mutated.gguf"
    path.write_bytes(raw)
    os.truncate(path, len(RAW) + DATA)
    answer_or_error(path)
    os.truncate(path, cut)
    answer_or_error(path)


HOSTILE = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.sampled_from([0, 1, 2, 3, 128]),
    st.floats(width=32),
    st.text(max_size=5),
    st.booleans(),
    st.lists(st.integers(0, 300), max_size=4).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_values_in_a_sound_header(tmp_path_factory, data):
    keys = st.sampled_from([*sorted(METADATA), "llama.nextn_predict_layers", "llama.wkv.head_size", "split.count"])
    metadata = METADATA | data.draw(st.dictionaries(keys, HOSTILE, max_size=4))
    answer_or_error(files.write_gguf(tmp_path_factory.getbasetemp() / "values.gguf", metadata, TENSORS))


@pytest.mark.parametrize(
    "architecture", ["gemma3n", "phi3", "mamba", "rwkv7", "qwen35", "falcon-h1", "nemotron_h", "?"]
)
def test_any_architecture_gets_an_answer(tmp_path, architecture):
    metadata, tensors = files.llama_like(architecture, layers=3, width=64, heads=2, head_width=32, vocabulary=96)
    tensors = [(name, (256, 4), "F16") for name, _, _ in tensors]
    metadata |= {f"{architecture}.ssm.inner_size": 64, f"{architecture}.ssm.state_size": 16}
    answer_or_error(files.write_gguf(tmp_path / "x.gguf", metadata, tensors))


def test_claims_cost_neither_memory_nor_time(tmp_path):
    empty_strings = 1 << 20
    strings = files.string("a") + struct.pack("<IIQ", files.ARRAY, files.STRING, 1 << 62) + bytes(8 * empty_strings)
    path = tmp_path / "strings.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + strings)
    tracemalloc.start()
    with pytest.raises(ArenaError, match="breaks off"):
        gguf.read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 8 * empty_strings
    began = time.perf_counter()
    with pytest.raises(ArenaError, match="breaks off"):
        gguf.read_header(path)
    assert time.perf_counter() - began < 5


def test_a_model_that_cannot_be_read_is_unknown_and_never_an_exception(tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(RAW[:100])
    no_weights = files.write_gguf(tmp_path / "vocab.gguf", METADATA)
    probe = MachineProbe()
    for location in (str(bad), str(no_weights), str(tmp_path), str(tmp_path / "missing.gguf"), "nul\0"):
        info = ModelInfo(ModelRef("gguf", "x"), location=location, size_bytes=1 << 30)
        verdict = probe.fit(info, MACHINE, context=4096)
        assert (verdict.verdict, verdict.method, verdict.need_bytes) == (Fits.UNKNOWN, "", None)
        assert probe.note(info).endswith(".")
