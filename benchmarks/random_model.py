"""A GGUF file of any size with random weights: as fast as a trained model of its shape, and as wise as dice.

`python benchmarks/random_model.py FILE.gguf [120|500]` writes it, in Q8_0, about so many million parameters large. Its
tokenizer and chat template are those of the largest demo model, the vocabulary is filled up to the usual 32,000.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import arena.demo
from arena.core.gguf import Tensor, read_header

DONOR = Path(arena.demo.__file__).parent / "large.gguf"
ALIGNMENT = 32
NUMBERS = {"F32": 0, "Q8_0": 8}
Q8_0 = np.dtype([("scale", "<f2"), ("numbers", "i1", 32)])


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a Llama."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    vocabulary: int = 32_000

    def fields(self) -> dict[str, int]:
        """As the header calls them."""
        return {
            "context_length": 32_768,
            "embedding_length": self.width,
            "block_count": self.layers,
            "feed_forward_length": self.feed_forward,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.kv_heads,
            "rope.dimension_count": self.width // self.heads,
            "vocab_size": self.vocabulary,
        }

    def tensors(self) -> list[Tensor]:
        """All of them; the token table is the output table, too."""
        width, cache = self.width, self.width // self.heads * self.kv_heads
        found = [("token_embd", (width, self.vocabulary)), ("output_norm", (width,))]
        for layer in range(self.layers):
            shapes = {
                "attn_norm": (width,),
                "attn_q": (width, width),
                "attn_k": (width, cache),
                "attn_v": (width, cache),
                "attn_output": (width, width),
                "ffn_norm": (width,),
                "ffn_gate": (width, self.feed_forward),
                "ffn_up": (width, self.feed_forward),
                "ffn_down": (self.feed_forward, width),
            }
            found += [(f"blk.{layer}.{name}", dims) for name, dims in shapes.items()]
        return [Tensor(f"{name}.weight", dims, "Q8_0" if len(dims) > 1 else "F32") for name, dims in found]


SHAPES = {120: Shape(12, 768, 2560, 12, 12), 500: Shape(24, 1152, 4096, 18, 6)}
"""By millions of parameters, about."""


def write(path: Path, shape: Shape, seed: int = 1) -> Path:
    """Write the file; takes a second for 120 M parameters."""
    rng, tensors, metadata = np.random.default_rng(seed), shape.tensors(), _metadata(shape)
    count = struct.unpack_from("<Q", DONOR.read_bytes(), 16)[0]
    header = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), count) + metadata)
    offset = 0
    for tensor in tensors:
        rank = len(tensor.dims)
        header += _string(tensor.name.encode())
        header += struct.pack(f"<I{rank}QIQ", rank, *tensor.dims, NUMBERS[tensor.type], offset)
        offset += tensor.bytes + -tensor.bytes % ALIGNMENT
    with path.open("wb") as file:
        file.write(header + bytes(-len(header) % ALIGNMENT))
        for tensor in tensors:
            file.write(_weights(tensor, rng))
            file.write(bytes(-tensor.bytes % ALIGNMENT))
    return path


def _weights(tensor: Tensor, rng: np.random.Generator) -> bytes:
    """Norms of one; a matrix keeps the size of what goes through it."""
    if tensor.type == "F32":
        return np.ones(tensor.elements, "<f4").tobytes()
    blocks = np.empty(tensor.elements // 32, Q8_0)
    blocks["numbers"] = rng.integers(-127, 128, (len(blocks), 32), np.int8)
    blocks["scale"] = tensor.dims[0] ** -0.5 / 73  # 73 is the deviation of numbers from -127 to 127
    return blocks.tobytes()


def _metadata(shape: Shape) -> bytes:
    """That of the donor, with other numbers and a longer vocabulary."""
    raw = DONOR.read_bytes()[: read_header(DONOR).header_bytes]
    metadata = bytearray(raw[24 : raw.index(_string(b"token_embd.weight"))])
    for key, number in shape.fields().items():
        struct.pack_into("<I", metadata, _value_at(metadata, f"llama.{key}"), number)
    _lengthen(metadata, "tokenizer.ggml.token_type", shape.vocabulary, lambda _: struct.pack("<I", 1))
    _lengthen(metadata, "tokenizer.ggml.tokens", shape.vocabulary, lambda number: _string(b"word%x" % number))
    return bytes(metadata)


def _lengthen(metadata: bytearray, key: str, length: int, item) -> None:  # noqa: ANN001 - number -> bytes
    """Add items to an array of strings or of numbers of four bytes."""
    at = _value_at(metadata, key)
    kind, count = struct.unpack_from("<IQ", metadata, at)
    end = at + 12
    for _ in range(count):
        end += 8 + struct.unpack_from("<Q", metadata, end)[0] if kind == 8 else 4
    struct.pack_into("<Q", metadata, at + 4, length)
    metadata[end:end] = b"".join(map(item, range(count, length)))


def _value_at(metadata: bytearray, key: str) -> int:
    """Where the value of a key begins, behind its type."""
    return metadata.index(_string(key.encode())) + 8 + len(key) + 4


def _string(raw: bytes) -> bytes:
    return struct.pack("<Q", len(raw)) + raw


if __name__ == "__main__":
    write(Path(sys.argv[1]), SHAPES[int(sys.argv[2]) if len(sys.argv) > 2 else 120])
