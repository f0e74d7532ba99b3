"""Files from strangers: whatever the bytes, the outcome is an answer or an ArenaError, and it is quick."""

import itertools
import os
import struct
import time
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gguf_files as files
from arena.core import gguf
from arena.core.errors import ArenaError
from arena.core.machine import GIB, Fits, FitVerdict, Machine
from arena.core.models import ModelInfo, ModelRef
from arena.core.text import clean_line
from arena.hardware.amd import SysfsReader
from arena.hardware.apple import AppleReader
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
        assert probe.estimates.note(info).endswith(".")


NONSENSE = st.one_of(
    st.binary(max_size=40),
    st.integers().map(lambda number: str(number).encode()),
    st.sampled_from([b"", b"\0", b"-1", b"1e9", b"0x10", b"9" * 5000, "١٢".encode(), b"\x1b[2J", b"0x1002", b"1\n2"]),
)
FILES = ["mem_info_vram_total", "mem_info_vram_used", "mem_info_gtt_total", "mem_info_gtt_used", "gpu_busy_percent"]
FILES += ["product_name", "device", "uevent", "unique_id", "mem_info_vram_vendor", "power/runtime_status"]
FILES += ["hwmon/hwmon0/temp1_input", "hwmon/hwmon0/power1_average", "hwmon/hwmon0/in1_label"]
CARDS = itertools.count()


def card_of(folder, files, vendor=b"0x1002"):
    for name, raw in {"vendor": vendor, **files}.items():
        path = folder / "sys/class/drm/card0/device" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return folder


def is_sound(gpu):
    """Figures that can be shown and reckoned with, and text that is safe."""
    if gpu.total_bytes is not None and gpu.free_bytes is not None:
        assert 0 <= gpu.free_bytes <= max(gpu.total_bytes, 0)
    assert gpu.utilization is None or 0 <= gpu.utilization <= 100
    assert gpu.power_w is None or 0 <= gpu.power_w <= 10_000
    assert gpu.temperature_c is None or 0 <= gpu.temperature_c < 200
    assert clean_line(gpu.name) == gpu.name != ""
    assert clean_line(gpu.uuid) == gpu.uuid != ""
    assert all(each.used_bytes is None or each.used_bytes >= 0 for each in gpu.processes)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), NONSENSE), st.sampled_from([b"0x1002", b"0x8086"]), NONSENSE)
def test_graphics_files_with_nonsense(tmp_path_factory, files, vendor, line):
    root = card_of(tmp_path_factory.getbasetemp() / f"sysfs{next(CARDS)}", files, vendor)
    (root / "proc/7/fdinfo").mkdir(parents=True)
    (root / "proc/7/fd").mkdir()
    (root / "proc/7/fd/3").symlink_to("/dev/dri/card0")
    begin = b"drm-driver: amdgpu\ndrm-pdev: 0000:03:00.0\n"
    (root / "proc/7/fdinfo/3").write_bytes(begin + b"drm-memory-vram: " + line + b"\n" + line)
    (root / "proc/meminfo").write_bytes(b"MemAvailable: " + line + b" kB")
    gpus, notes = SysfsReader(root=root).read()
    assert notes == ()
    for gpu in gpus:
        is_sound(gpu)


@pytest.mark.parametrize("name", FILES)
def test_graphics_files_that_cannot_be_read(tmp_path, name):
    """A folder where a file is wanted fails for every user, also for one who may read everything."""
    sizes = dict.fromkeys(FILES[:4], b"1000")
    root = card_of(tmp_path, {**sizes, "device": b"0x744c", f"{name}.d/x": b""})
    path = root / "sys/class/drm/card0/device" / name
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    (gpu,) = SysfsReader(root=root).read()[0]
    is_sound(gpu)
    assert ("its memory can't be read" in gpu.note) == (name in FILES[:2])


def test_folders_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(_folder):
        raise PermissionError

    root = card_of(tmp_path, {})
    monkeypatch.setattr(os, "scandir", refuse)
    assert SysfsReader(root=root).read() == ((), ())


def test_a_loop_of_links_ends(tmp_path):
    folder = tmp_path / "sys/class/drm"
    folder.mkdir(parents=True)
    (folder / "card0").symlink_to(folder / "card0")
    assert SysfsReader(root=tmp_path).read() == ((), ())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=3, max_size=3))
@example(["", "1", ""])
def test_an_apple_processor_that_answers_nonsense(texts):
    given_answers = iter(texts)
    (gpu,), _ = AppleReader(lambda _name: next(given_answers), system=("Darwin", "arm64")).read()
    is_sound(gpu)
    assert gpu.total_bytes is None or gpu.total_bytes > 0
