"""The header of a GGUF file: what a model is, read from its first megabytes, without loading it.

GGUF 2 and 3, little endian. The format: ggml's docs/gguf.md; what is refused here, llama.cpp's loader refuses too.
A file may come from a stranger: every count is held against the size of the file and a limit before memory is spent on
it, and whatever is wrong is one ArenaError. Long arrays (the tokenizer) are walked over, not kept.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from arena.core.gguf_cursor import U64, Cursor, Value, refuse
from arena.core.text import clean_line

MAX_KEYS = 4096
MAX_TENSORS = 1 << 16
_OF_RANK = [struct.Struct(f"<{rank}QIQ") for rank in range(5)]
"""Dimensions, type and offset of a tensor, by the number of its dimensions."""
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
# ggml.h, ggml-common.h: number, name, elements of a block, bytes of a block
_TABLE = """0 F32 1 4, 1 F16 1 2, 2 Q4_0 32 18, 3 Q4_1 32 20, 6 Q5_0 32 22, 7 Q5_1 32 24, 8 Q8_0 32 34, 9 Q8_1 32 36,
10 Q2_K 256 84, 11 Q3_K 256 110, 12 Q4_K 256 144, 13 Q5_K 256 176, 14 Q6_K 256 210, 15 Q8_K 256 292, 16 IQ2_XXS 256 66,
17 IQ2_XS 256 74, 18 IQ3_XXS 256 98, 19 IQ1_S 256 50, 20 IQ4_NL 32 18, 21 IQ3_S 256 110, 22 IQ2_S 256 82,
23 IQ4_XS 256 136, 24 I8 1 1, 25 I16 1 2, 26 I32 1 4, 27 I64 1 8, 28 F64 1 8, 29 IQ1_M 256 56, 30 BF16 1 2,
34 TQ1_0 256 54, 35 TQ2_0 256 66, 39 MXFP4 32 17, 40 NVFP4 64 36, 41 Q1_0 128 18, 42 Q2_0 64 18"""
_ROWS = [row.split() for row in _TABLE.split(",")]
_TYPES = {int(number): name for number, name, _, _ in _ROWS}
BLOCKS: Mapping[str, tuple[int, int]] = {name: (int(block), int(size)) for _, name, block, size in _ROWS}
"""Type name -> (elements of a block, bytes of a block)."""

# llama.h, enum llama_ftype; a dash is a number that was taken out of the format
_FILE_TYPES = """F32 F16 Q4_0 Q4_1 - - - Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K
IQ2_XXS IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M BF16 - - - TQ1_0 TQ2_0
MXFP4 NVFP4 Q1_0 Q2_0"""
FILE_TYPES: Mapping[int, str] = {number: name for number, name in enumerate(_FILE_TYPES.split()) if name != "-"}
_GUESSED = 1024


@dataclass(frozen=True, slots=True)
class Tensor:
    """One row of the tensor table."""

    name: str
    dims: tuple[int, ...]
    """Fastest first, as in the file: (columns, rows, ...)."""
    type: str
    """`F32`, `Q4_K`, ..."""

    @property
    def elements(self) -> int:
        """Numbers in it."""
        return math.prod(self.dims)

    @property
    def bytes(self) -> int:
        """Bytes of its data; exact, since a row is a whole number of blocks."""
        block, size = BLOCKS[self.type]
        return self.elements // block * size


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Everything the file says of a model before its weights."""

    path: Path
    """As it was asked for; the first file of a split model."""
    version: int
    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]
    """Of all files of a split model."""
    header_bytes: int
    """Up to the end of the (first file's) tensor table."""
    file_bytes: int
    """Of all files of a split model together."""
    files: tuple[Path, ...] = ()

    def text(self, key: str) -> str:
        """The string of that key; '' where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def field(self, key: str) -> Value | None:
        """The value of `ARCHITECTURE.key`."""
        return self.metadata.get(f"{self.architecture}.{key}")

    @property
    def architecture(self) -> str:
        """`llama`, `qwen3`, ...; '' where the file does not say."""
        return self.text("general.architecture")

    @property
    def name(self) -> str:
        """What the file calls the model, else the file's own name. Text from a stranger: `clean_line` shows it."""
        return self.text("general.name") or _SPLIT.sub("", self.path.name).removesuffix(".gguf")

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def active_parameters(self) -> int:
        """Parameters used per token: of a mixture of experts, the experts that one token asks."""
        used, experts = self.field("expert_used_count"), self.field("expert_count")
        if not (isinstance(used, int) and isinstance(experts, int) and 0 < used < experts):
            return self.parameters
        routed = sum(tensor.elements for tensor in self.tensors if "_exps" in tensor.name)
        return self.parameters - routed + routed * used // experts

    @property
    def quantization(self) -> str:
        """`Q4_K_M`: as declared, else the type that holds most bytes, else ''."""
        declared = self.metadata.get("general.file_type")
        if isinstance(declared, int) and (known := FILE_TYPES.get(declared & ~_GUESSED)):
            return known
        held: Counter[str] = Counter()
        for tensor in self.tensors:
            held[tensor.type] += tensor.bytes
        return held.most_common(1)[0][0] if held else ""

    @property
    def context_length(self) -> int | None:
        """The context it was trained for, in tokens."""
        value = self.field("context_length")
        return value if isinstance(value, int) and value > 0 else None

    @property
    def chat_template(self) -> str:
        """Its chat template, in Jinja; '' where there is none."""
        return self.text("tokenizer.chat_template")

    @property
    def template_hash(self) -> str:
        """16 hex digits over the chat template; '' where there is none."""
        template = self.chat_template.encode("utf-8", "replace")
        return hashlib.sha256(template).hexdigest()[:16] if template else ""


def part_of(path: str | Path) -> tuple[int, int] | None:
    """(2, 3) for `model-00002-of-00003.gguf`, None for a file that is a whole model. Goes by the name alone."""
    match = _SPLIT.search(Path(path).name)
    return (int(match[1]), int(match[2])) if match else None


def read_header(path: str | Path) -> GgufHeader:
    """Read the header of a GGUF file, and of the other files if the model is split.

    Raises ArenaError when the file is missing, unreadable, no GGUF, damaged or cut short. Takes 1 to 80 ms.
    """
    path = Path(path)
    first = _read_file(path)
    count, number = first.metadata.get("split.count"), first.metadata.get("split.no", 0)
    if not isinstance(count, int) or count < 2:
        return first
    if number != 0:
        refuse(path, f"is a later part of a model split into {count}", "Name the first part of it.")
    if part_of(path) != (1, count):
        refuse(path, f"is part 1 of {count} but is not called so", f"Name it ...-00001-of-{count:05}.gguf.")
    paths = [path.with_name(_SPLIT.sub(f"-{part:05}-of-{count:05}.gguf", path.name)) for part in range(1, count + 1)]
    for part, other in enumerate(paths, start=1):
        if not other.exists():
            refuse(path, f"is part 1 of {count}, and part {part} is not there", f"Put {other.name} beside it.")
    parts = [first, *map(_read_file, paths[1:])]
    return replace(
        first,
        tensors=tuple(tensor for each in parts for tensor in each.tensors),
        file_bytes=sum(each.file_bytes for each in parts),
        files=tuple(paths),
    )


def quick_digest(path: str | Path, header: GgufHeader | None = None) -> str:
    """32 hex digits that name the content, at the cost of reading 4 MiB, and a header where none is given.

    SHA-256 over the header, the size of each file, and 64 samples of 64 KiB spaced evenly over each: it tells models
    apart, and is no proof against somebody who changes single bytes. Raises ArenaError as read_header does.
    """
    header = header or read_header(path)
    digest = hashlib.sha256()
    for each in header.files:
        with _opened(each) as (file, size):
            digest.update(U64.pack(size))
            if each == header.path:
                digest.update(file.read(header.header_bytes))
            last = max(0, size - _SAMPLE_BYTES)
            for start in sorted({last * sample // (_SAMPLES - 1) for sample in range(_SAMPLES)}):
                file.seek(start)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:32]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The open file and its size in bytes; its faults as ArenaError. Never opens a pipe: that could wait forever."""
    try:
        try:
            mode = path.stat().st_mode
        except ValueError:
            refuse(path, "is no possible file name", "Check the path.")
        if stat.S_ISDIR(mode):
            refuse(path, "is a directory", "Name a .gguf file in it.")
        if not stat.S_ISREG(mode):
            refuse(path, "is no regular file", "Name a .gguf file.")
        with path.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        refuse(path, "is not there", "Check the path.")
    except PermissionError:
        refuse(path, "may not be read", "Ask its owner for permission to read it.")
    except OSError as error:
        refuse(path, f"can't be read: {error.strerror}", "Check the path and the disk.")


def _read_file(path: Path) -> GgufHeader:
    """The header of one file."""
    with _opened(path) as (file, size):
        cursor = Cursor(path, file, size)
        if (start := file.read(4)) != b"GGUF":
            refuse(path, "is no GGUF file" if start else "is empty", "Name a model in GGUF format, or fetch it again.")
        file.seek(0)
        cursor.at = 4
        version, tensor_count, key_count = cursor.u32(), cursor.u64(), cursor.u64()
        if version not in (2, 3):
            kind = "big-endian" if version & 0xFFFF == 0 else f"of GGUF version {version}"
            refuse(path, f"is {kind}; versions 2 and 3, little-endian, can be read", "Look for a newer conversion.")
        if tensor_count > MAX_TENSORS or key_count > MAX_KEYS:
            refuse(path, f"claims {tensor_count:,} tensors and {key_count:,} keys, more than any model has")
        metadata: dict[str, Value] = {}
        for _ in range(key_count):
            key = cursor.string()
            if not key or key in metadata:
                refuse(path, f"holds the key '{clean_line(key, 60)}' twice" if key else "holds a key without a name")
            metadata[key] = cursor.value()
        tensors, data_bytes = _read_tensors(cursor, tensor_count)
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            refuse(path, "gives an alignment that is no power of two")
        whole = -(-cursor.at // alignment) * alignment + data_bytes
        if tensors and whole > size:
            refuse(path, f"is cut short: {size:,} of {whole:,} bytes are there")
        return GgufHeader(path, version, MappingProxyType(metadata), tensors, cursor.at, size, (path,))


def _read_tensors(cursor: Cursor, count: int) -> tuple[tuple[Tensor, ...], int]:
    """The tensor table, and the bytes from the start of the data to the end of the last tensor."""
    tensors: dict[str, Tensor] = {}
    data_bytes = 0
    for _ in range(count):
        name = cursor.string()
        if name in tensors:
            refuse(cursor.path, f"holds the {_called(name)} twice")
        if (rank := cursor.u32()) >= len(_OF_RANK):
            refuse(cursor.path, f"gives the {_called(name)} {rank:,} dimensions")
        *dims, kind, offset = cursor.unpack(_OF_RANK[rank])
        if kind not in _TYPES:
            refuse(
                cursor.path, f"gives the {_called(name)} the unknown type {kind}", "Perhaps arena is too old for it."
            )
        tensor = tensors[name] = Tensor(name, tuple(dims), _TYPES[kind])
        block, size = BLOCKS[tensor.type]
        if (elements := tensor.elements) >= 1 << 63 or (dims[0] if dims else 1) % block:
            refuse(cursor.path, f"gives the {_called(name)} a shape that its type can't have")
        data_bytes = max(data_bytes, offset + elements // block * size)
    return tuple(tensors.values()), data_bytes


def _called(name: str) -> str:
    return f"tensor '{clean_line(name, 60)}'"
