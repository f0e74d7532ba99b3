"""GGUF headers: what is read from good files, and what is said of bad ones."""

import os
import struct
import tracemalloc

import pytest

import gguf_files as files
from arena.core import gguf
from arena.core.errors import ArenaError
from arena.core.gguf_cursor import Skipped

SMALL = (
    {
        "general.architecture": "llama",
        "general.name": "Small 한국어",
        "general.file_type": 15,
        "llama.context_length": 2048,
        "llama.rope.freq_base": 10000.0,
        "llama.attention.head_count_kv": (1, 2),
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.tokens": tuple(f"token{number}" for number in range(600)),
        "tokenizer.ggml.scores": tuple(float(number) for number in range(600)),
        "tokenizer.chat_template": "{{ messages }}",
        "general.tags": ("chat", "한국어"),
    },
    [("token_embd.weight", (256, 10), "Q4_K"), ("output_norm.weight", (256,), "F32"), ("scale", (), "F32")],
)
RAW, DATA = files.header_of(*SMALL)


def refusal(path):
    with pytest.raises(ArenaError) as caught:
        gguf.read_header(path)
    error = caught.value
    assert error.sentence.endswith(".")
    assert error.hint.endswith(".")
    assert "\n" not in str(error)
    return error.sentence


def written(tmp_path, raw, *, size=None):
    path = tmp_path / "x.gguf"
    path.write_bytes(raw)
    if size is not None:
        os.truncate(path, size)
    return path


def start(tensors=0, keys=0, version=3):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def key(name, kind, body=b""):
    return files.string(name) + struct.pack("<I", kind) + body


def tensor(name, dims, kind, offset=0):
    return files.string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


@pytest.mark.parametrize("version", [2, 3])
def test_a_header_is_read(tmp_path, version):
    header = gguf.read_header(files.write_gguf(tmp_path / "small.gguf", *SMALL, version=version))
    assert header.version == version
    assert (header.architecture, header.name) == ("llama", "Small 한국어")
    assert (header.quantization, header.context_length) == ("Q4_K_M", 2048)
    assert header.metadata["llama.rope.freq_base"] == 10000.0
    assert header.metadata["tokenizer.ggml.add_bos_token"] is True
    assert header.metadata["general.tags"] == ("chat", "한국어")
    assert header.field("attention.head_count_kv") == (1, 2)
    assert [each.dims for each in header.tensors] == [(256, 10), (256,), ()]
    assert [each.bytes for each in header.tensors] == [10 * 144, 1024, 4]
    assert header.parameters == 256 * 10 + 256 + 1
    assert header.file_bytes == len(RAW) + DATA
    assert len(RAW) - 32 < header.header_bytes <= len(RAW)


def test_long_arrays_are_counted_but_not_kept(tmp_path):
    header = gguf.read_header(files.write_gguf(tmp_path / "small.gguf", *SMALL))
    assert header.metadata["tokenizer.ggml.tokens"] == Skipped(600)
    assert header.metadata["tokenizer.ggml.scores"] == Skipped(600)


@pytest.mark.parametrize("longest", [0, 9, 63, 64, 70000])
def test_strings_of_all_lengths_are_passed_over_to_the_byte(tmp_path, longest):
    lengths = [number % 12 for number in range(5000)]
    lengths[::701] = [longest] * len(lengths[::701])
    body = b"".join(files.string(bytes(255 - number % 256 for number in range(length))) for length in lengths)
    for count in (513, 575, 576, 577, 5000):
        start_of = struct.pack("<IQ", files.STRING, count)
        kept = body[: sum(8 + length for length in lengths[:count])]
        raw = start(keys=2) + key("long", files.ARRAY, start_of + kept) + key("last", files.UINT8, b"\7")
        header = gguf.read_header(written(tmp_path, raw))
        assert dict(header.metadata) == {"long": Skipped(count), "last": 7}
        assert header.header_bytes == len(raw)
        cut = raw[: len(raw) - len(key("last", files.UINT8, b"\7")) - 1]
        assert f"breaks off within its header, at {len(cut):,} bytes" in refusal(written(tmp_path, cut))


@pytest.mark.parametrize("byte", range(1, 8))
def test_every_byte_of_a_length_counts(tmp_path, byte):
    lengths = [bytes([1]) + bytes(7)] * 600
    lengths[300] = bytes(1 if at in (0, byte) else 0 for at in range(8))
    body = struct.pack("<IQ", files.STRING, 600) + b"".join(length + b"x" for length in lengths)
    assert "breaks off" in refusal(written(tmp_path, start(keys=1) + key("long", files.ARRAY, body)[:-200]))
    if byte > 4:
        assert "breaks off" in refusal(written(tmp_path, start(keys=1) + key("long", files.ARRAY, body)))


def test_every_kind_of_number_is_read(tmp_path):
    numbers = {
        files.UINT8: ("B", 255), files.INT8: ("b", -1), files.UINT16: ("H", 65535), files.INT16: ("h", -2),
        files.UINT32: ("I", 1 << 31), files.INT32: ("i", -3), files.FLOAT32: ("f", 0.5), files.BOOL: ("?", False),
        files.UINT64: ("Q", 1 << 63), files.INT64: ("q", -4), files.FLOAT64: ("d", 0.1),
    }  # fmt: skip
    raw = start(keys=2 * len(numbers))
    for kind, (letter, number) in numbers.items():
        body = struct.pack(f"<{letter}", number)
        raw += key(f"one{kind}", kind, body) + key(f"two{kind}", files.ARRAY, struct.pack("<IQ", kind, 2) + 2 * body)
    header = gguf.read_header(written(tmp_path, raw))
    for kind, (_, number) in numbers.items():
        assert header.metadata[f"one{kind}"] == number
        assert header.metadata[f"two{kind}"] == (number, number)


def test_a_string_of_a_megabyte_is_not_kept(tmp_path):
    raw = start(keys=1) + key("long", files.STRING, files.string("x" * ((1 << 20) + 1)))
    assert gguf.read_header(written(tmp_path, raw)).metadata["long"] == Skipped((1 << 20) + 1)


def test_the_template_is_hashed_and_its_absence_is_no_hash(tmp_path):
    header = gguf.read_header(files.write_gguf(tmp_path / "small.gguf", *SMALL))
    assert header.chat_template == "{{ messages }}"
    assert len(header.template_hash) == 16
    plain = gguf.read_header(files.write_gguf(tmp_path / "plain-q4.gguf", {"general.architecture": "llama"}))
    assert (plain.chat_template, plain.template_hash) == ("", "")
    assert (plain.name, plain.quantization, plain.context_length, plain.parameters) == ("plain-q4", "", None, 0)


@pytest.mark.parametrize(
    ("file_type", "expected"),
    [(15, "Q4_K_M"), (7, "Q8_0"), (1 + 1024, "F16"), (32, "BF16"), (41, "Q2_0"), (999, "Q6_K"), (5, "Q6_K")],
)
def test_quantization_is_the_declared_one_else_the_largest_by_bytes(tmp_path, file_type, expected):
    tensors = [("a", (256, 8), "Q6_K"), ("b", (256, 4), "Q8_0"), ("c", (256,), "F32")]
    header = gguf.read_header(files.write_gguf(tmp_path / "x.gguf", {"general.file_type": file_type}, tensors))
    assert header.quantization == expected


def test_active_parameters_leave_out_the_experts_that_are_not_asked(tmp_path):
    metadata = {"general.architecture": "moe", "moe.expert_count": 8, "moe.expert_used_count": 2}
    tensors = [("blk.0.ffn_up_exps.weight", (256, 10, 8), "F16"), ("token_embd.weight", (256, 10), "F16")]
    header = gguf.read_header(files.write_gguf(tmp_path / "x.gguf", metadata, tensors))
    assert header.parameters == 2560 * 9
    assert header.active_parameters == 2560 * 3


def test_the_block_sizes_are_those_of_ggml():
    # ggml-common.h: the scale is 2 bytes; K-quants carry 12 bytes (4-bit) or 16 (6-bit) of scales per 256
    assert gguf.BLOCKS["Q8_0"] == (32, 2 + 32)
    assert gguf.BLOCKS["Q4_0"] == (32, 2 + 16)
    assert gguf.BLOCKS["Q4_K"] == (256, 2 + 2 + 12 + 128)
    assert gguf.BLOCKS["Q6_K"] == (256, 2 + 16 + 128 + 64)
    assert gguf.BLOCKS["MXFP4"] == (32, 1 + 16)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "is empty"),
        (b"GG", "is no GGUF file"),
        (b"PK\3\4 something else", "is no GGUF file"),
        (b"GGUF\3\0\0\0", "breaks off within its header, at 8 bytes"),
        (start(version=1), "GGUF version 1"),
        (start(version=4), "GGUF version 4"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (start(tensors=1 << 63), "claims 9,223,372,036,854,775,808 tensors"),
        (start(keys=1 << 63), "and 9,223,372,036,854,775,808 keys"),
        (start(keys=2), "breaks off"),
        (start(keys=1) + struct.pack("<Q", 1 << 63), "breaks off"),
        (start(keys=1) + key("", files.BOOL, b"\1"), "a key without a name"),
        (start(keys=2) + 2 * key("same", files.BOOL, b"\1"), "the key 'same' twice"),
        (start(keys=1) + key("a", 13), "the unknown type 13"),
        (start(keys=1) + key("a", files.ARRAY, struct.pack("<IQ", 99, 4)), "the unknown type 99"),
        (start(keys=1) + key("a", files.ARRAY, struct.pack("<IQ", files.ARRAY, 1)), "an array of arrays"),
        (start(keys=1) + key("a", files.ARRAY, struct.pack("<IQ", files.UINT8, 1 << 63)), "breaks off"),
        (start(keys=1) + key("a", files.ARRAY, struct.pack("<IQ", files.STRING, 1 << 63)), "breaks off"),
        (start(keys=1) + key("a", files.STRING, struct.pack("<Q", (1 << 64) - 1)), "breaks off"),
        (start(keys=1) + key("general.alignment", files.UINT32, struct.pack("<I", 24)), "no power of two"),
        (start(keys=1) + key("general.alignment", files.UINT32, struct.pack("<I", 0)), "no power of two"),
        (start(tensors=1) + tensor("t", (1,) * 5, 0), "5 dimensions"),
        (start(tensors=1) + tensor("t", (1,), 31), "the unknown type 31"),
        (start(tensors=1) + tensor("t", (255,), 12), "a shape that its type can't have"),
        (start(tensors=1) + tensor("t", (1 << 40, 1 << 40), 0), "a shape that its type can't have"),
        (start(tensors=2) + 2 * tensor("t", (1,), 0), "the tensor 't' twice"),
        (start(tensors=1) + tensor("t", (1 << 40,), 0), "is cut short: 57 of 4,398,046,511,168 bytes are there"),
        (start(tensors=1) + tensor("t", (1,), 0, 1 << 63), "is cut short: 57 of"),
    ],
)
def test_a_damaged_file_is_one_clear_sentence(tmp_path, raw, expected):
    assert expected in refusal(written(tmp_path, raw))


def test_a_file_that_broke_off_says_how_much_of_it_is_there(tmp_path):
    path = files.write_gguf(tmp_path / "model.gguf", *SMALL)
    whole = 1440 + 1024 + 4 + len(RAW)
    os.truncate(path, whole)
    gguf.read_header(path)
    os.truncate(path, whole - 1)
    assert refusal(path) == f"'model.gguf' is cut short: {whole - 1:,} of {whole:,} bytes are there."


def test_a_header_larger_than_any_is_refused_before_it_is_read(tmp_path):
    raw = start(keys=1) + key("a", files.ARRAY, struct.pack("<IQ", files.UINT8, 1 << 30))
    assert "over 64 MiB" in refusal(written(tmp_path, raw, size=2 << 30))


def test_claims_cost_no_memory(tmp_path):
    claims = [
        start(keys=4096) + key("a", files.ARRAY, struct.pack("<IQ", files.STRING, 1 << 60)),
        start(tensors=65536, keys=4096),
        start(keys=1) + key("a", files.ARRAY, struct.pack("<IQ", files.FLOAT64, 1 << 60)),
        start(keys=1) + key("a" * 10, files.STRING, struct.pack("<Q", 1 << 60)),
    ]
    for raw in claims:
        path = written(tmp_path, raw)
        tracemalloc.start()
        refusal(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 << 20


def test_names_in_errors_can_be_shown(tmp_path):
    raw = start(keys=2) + 2 * key("\x1b[2Jsame\u202e", files.BOOL, b"\1")
    assert not set("\x1b\u202e") & set(refusal(written(tmp_path, raw)))


def test_what_is_no_file_is_said_so(tmp_path):
    assert "is a directory" in refusal(tmp_path)
    assert "is not there" in refusal(tmp_path / "missing.gguf")
    assert "no possible file name" in refusal("nul\0.gguf")
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "no regular file" in refusal(tmp_path / "pipe.gguf")
    (tmp_path / "loop.gguf").symlink_to("loop.gguf")
    assert "can't be read" in refusal(tmp_path / "loop.gguf")


def test_a_file_without_permission_is_said_so(tmp_path):
    path = files.write_gguf(tmp_path / "secret.gguf", *SMALL)
    path.chmod(0)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may read everything
    try:
        assert "may not be read" in refusal(path)
    finally:
        os.seteuid(user)


@pytest.fixture
def split(tmp_path):
    paths = []
    for number in range(3):
        metadata = {"split.no": number, "split.count": 3} | (SMALL[0] if number == 0 else {})
        tensors = [(f"blk.{number}.attn_q.weight", (256, 10), "Q8_0")]
        paths.append(files.write_gguf(tmp_path / f"big-q8-{number + 1:05}-of-00003.gguf", metadata, tensors))
    return paths


def test_a_split_model_is_read_through_its_first_part(split):
    header = gguf.read_header(split[0])
    assert header.file_bytes == sum(path.stat().st_size for path in split)
    assert [each.name[:5] for each in header.tensors] == ["blk.0", "blk.1", "blk.2"]
    assert header.files == tuple(split)
    assert [gguf.part_of(path) for path in split] == [(1, 3), (2, 3), (3, 3)]
    assert gguf.part_of("model-of-2.gguf") is None


def test_parts_of_a_split_model_that_are_not_enough(split):
    assert "a later part of a model split into 3" in refusal(split[1])
    moved = split[0].rename(split[0].with_name("renamed.gguf"))
    assert "is part 1 of 3 but is not called so" in refusal(moved)
    moved.rename(split[0])
    split[2].unlink()
    assert "part 3 is not there" in refusal(split[0])


def test_the_digest_names_the_content(tmp_path):
    path = files.write_gguf(tmp_path / "a.gguf", *SMALL)
    first = gguf.quick_digest(path)
    assert len(first) == 32
    assert int(first, 16) >= 0
    assert gguf.quick_digest(path.rename(tmp_path / "b.gguf")) == first
    path = tmp_path / "b.gguf"
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    changed = gguf.quick_digest(path)
    assert changed != first
    os.truncate(path, path.stat().st_size + 1)
    assert gguf.quick_digest(path) not in (first, changed)


def test_the_digest_of_a_large_file_samples_all_of_it(tmp_path):
    metadata, tensors = {"general.architecture": "llama"}, [("token_embd.weight", (1 << 20, 64), "F16")]
    path = files.write_gguf(tmp_path / "a.gguf", metadata, tensors)
    size = path.stat().st_size
    os.truncate(path, size + 1)
    found = {gguf.quick_digest(path)}
    os.truncate(path, size)
    found.add(gguf.quick_digest(path))
    for sample in range(0, 64, 9):
        with path.open("r+b") as file:
            file.seek((size - 65536) * sample // 63 + 1000)
            file.write(b"\1")
        found.add(gguf.quick_digest(path))
    assert len(found) == 2 + len(range(0, 64, 9))


def test_the_digest_of_a_split_model_covers_all_parts(split):
    before = gguf.quick_digest(split[0])
    with split[2].open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    assert gguf.quick_digest(split[0]) != before
