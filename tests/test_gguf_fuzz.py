"""GGUF files bent at random: a header or one clear sentence, in bounded memory; who dies of one harms nobody."""

from __future__ import annotations

import importlib.util
import os
import struct
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import arena.demo
import gguf_files as files
from arena.backends.llamacpp import LlamaCppBackend
from arena.core.errors import ArenaError
from arena.core.gguf import read_header
from arena.core.gguf_cursor import MAX_HEADER_BYTES
from arena.core.models import Contestant, ModelRef, Sampling
from arena.hardware.fit.estimate import EMBEDDED, Setting
from arena.hardware.fit.header import HeaderEstimate
from test_workers import workers_of

DEMO = Path(arena.demo.__file__).parent / "small.gguf"
needs_engine = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing")
WHOLE, _ = files.header_of(
    {
        "general.architecture": "llama",
        "general.name": "bent",
        "general.file_type": 2,
        "llama.block_count": 2,
        "llama.embedding_length": 64,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": (4, 2),
        "llama.context_length": 512,
        "tokenizer.ggml.tokens": tuple(f"word{number}" for number in range(600)),
        "tokenizer.chat_template": "{{ messages }}",
    },
    [(f"blk.{layer}.ffn_up.weight", (64, 32), "Q4_0") for layer in range(2)]
    + [("token_embd.weight", (64, 600), "F16")],
)
LARGE = [struct.pack("<Q", number) for number in (0, 1, 255, 2**31, 2**32 - 1, 2**62, 2**63, 2**63 - 1, 2**64 - 1)]
BYTES = st.one_of(st.sampled_from(LARGE), st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff" * 64, b"GGUF"]))
AT = st.integers(0, len(WHOLE) - 1)
BEND = st.one_of(
    st.tuples(st.just("over"), AT, BYTES),
    st.tuples(st.just("in"), AT, BYTES),
    st.tuples(st.just("out"), AT, st.just(b"")),
)
MOST_BYTES = 2 * MAX_HEADER_BYTES + (4 << 20)
"""What reading may take at the most, whatever a file claims: a header, and once more while its bytes are moved."""


def bent(raw: bytes, bends: list[tuple[str, int, bytes]]) -> bytes:
    for how, at, with_ in bends:
        behind = {"over": at + len(with_), "in": at, "out": at + 8}[how]
        raw = raw[:at] + with_ + raw[behind:]
    return raw


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bends=st.lists(BEND, min_size=1, max_size=4), cut=st.one_of(st.none(), AT), hole=st.sampled_from([0, 1 << 40]))
def test_a_bent_header_is_read_or_refused_in_a_sentence_and_costs_no_memory(bends, cut, hole):
    raw = bent(WHOLE, bends)[:cut]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bent.gguf"
        with path.open("wb") as file:
            file.write(raw)
            file.truncate(len(raw) + hole)  # large enough for any claim, and takes no room
        tracemalloc.start()
        try:
            header = read_header(path)
            assert header.parameters >= 0
            assert header.active_parameters <= header.parameters
            assert header.context_length is None or header.context_length > 0
            assert all(isinstance(text, str) for text in (header.name, header.quantization, header.template_hash))
            estimate = HeaderEstimate.of(header)
            for setting in (Setting(4096), Setting(512, runtime=EMBEDDED)):
                assert estimate.in_ram(setting).parts.total >= 0
                assert estimate.on_gpu(setting, gpu_layers=1).parts.total >= 0
        except ArenaError as fault:
            refused = str(fault)
        else:
            refused = ""
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert "\n" not in refused
    assert peak < MOST_BYTES


def test_the_header_that_is_bent_is_a_good_one(tmp_path):
    path = tmp_path / "plain.gguf"
    path.write_bytes(WHOLE)
    with path.open("r+b") as file:
        file.truncate(len(WHOLE) + (1 << 20))
    assert HeaderEstimate.of(read_header(path)).in_ram(Setting(512)).parts.weights > 0


@needs_engine
@pytest.mark.engine
async def test_what_the_engine_dies_of_or_refuses_leaves_no_process_and_the_next_model_plays(tmp_path):
    good = DEMO.read_bytes()
    places = [
        good.index(key) + len(key) for key in (b"llama.block_count", b"llama.attention.head_count", b"llama.vocab")
    ]
    backend, hints = LlamaCppBackend(DEMO.parent, keep=1), []
    for number, at in enumerate((*places, 12, 20, len(good) // 3)):
        path = tmp_path / f"bent-{number}.gguf"
        path.write_bytes(bent(good, [("over", at + 4, b"\xff\xff\x7f\x00")]))
        try:
            info = await backend.find(ModelRef.parse(str(path)))
            await backend.prepare(Contestant.of(info, Sampling(context=64)))
        except ArenaError as fault:
            hints.append(fault.hint)
    assert len(hints) > 2, "most of them can't be loaded"
    assert all(hints)
    info = await backend.find(ModelRef("demo", "small"))
    await backend.prepare(Contestant.of(info, Sampling(context=64)))
    assert len(workers_of(os.getpid())) == 1
    await backend.close()
    assert workers_of(os.getpid()) == []
