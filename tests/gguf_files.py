"""Small GGUF files for tests: a real header, and as much data as it promises, in a hole that takes no room on disk."""

import os
import struct
from pathlib import Path

from arena.core.gguf import BLOCKS

UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, INT64, FLOAT64 = range(13)
TYPES = {
    "F32": 0,
    "F16": 1,
    "Q4_0": 2,
    "Q8_0": 8,
    "Q2_K": 10,
    "Q3_K": 11,
    "Q4_K": 12,
    "Q5_K": 13,
    "Q6_K": 14,
    "IQ4_NL": 20,
    "IQ4_XS": 23,
    "BF16": 30,
    "MXFP4": 39,
}


def string(text):
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def value(item):
    """Type and bytes of a metadata value."""
    if isinstance(item, bool):
        return BOOL, struct.pack("<?", item)
    if isinstance(item, int):
        return (UINT32, struct.pack("<I", item)) if 0 <= item < 1 << 32 else (INT64, struct.pack("<q", item))
    if isinstance(item, float):
        return FLOAT32, struct.pack("<f", item)
    if isinstance(item, str):
        return STRING, string(item)
    kinds = [value(each) for each in item] or [(UINT32, b"")]
    body = b"".join(raw for _, raw in kinds)
    return ARRAY, struct.pack("<IQ", kinds[0][0], len(item)) + body


def data_bytes(dims, kind):
    block, size = BLOCKS[kind]
    count = 1
    for dim in dims:
        count *= dim
    return count // block * size


def header_of(metadata, tensors, *, version=3, alignment=32):
    """The bytes of a header, and how many bytes of data belong behind it. `tensors`: (name, dims, type)."""
    raw = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, item in metadata.items():
        kind, body = value(item)
        raw += string(key) + struct.pack("<I", kind) + body
    offset = 0
    for name, dims, kind in tensors:
        raw += string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, TYPES[kind], offset)
        offset += -(-data_bytes(dims, kind) // alignment) * alignment
    raw += b"\0" * (-len(raw) % alignment)
    return raw, offset


def write_gguf(path, metadata, tensors=(), *, version=3, alignment=32):
    """Write the file. Its data is a hole: it takes no room."""
    raw, data = header_of(metadata, list(tensors), version=version, alignment=alignment)
    path = Path(path)
    path.write_bytes(raw)
    os.truncate(path, len(raw) + data)
    return path


def q4_k_m(layers):
    """llama.cpp's recipe of Q4_K_M: V and the down projection of some layers are Q6_K."""

    def more(layer):
        return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2

    def pick(kind, layer):
        if kind == "output" or (kind in ("attn_v", "ffn_down") and more(layer)):
            return "Q6_K"
        return "Q4_K"

    return pick


def llama_like(
    arch="llama", *, layers=32, width=4096, feed_forward=14336, heads=32, kv_heads=8, head_width=128,
    vocabulary=128256, trained=131072, tied=False, pick=None, qk_norm=False, extra=None, experts=0,
):  # fmt: skip
    """(metadata, tensors) of a transformer with gated feed-forward; by default those of Llama 3.1 8B in Q4_K_M."""
    pick = pick or q4_k_m(layers)
    per_layer = list(kv_heads) if isinstance(kv_heads, tuple) else [kv_heads] * layers
    metadata = {
        "general.architecture": arch,
        "general.file_type": 15,
        f"{arch}.context_length": trained,
        f"{arch}.embedding_length": width,
        f"{arch}.block_count": layers,
        f"{arch}.feed_forward_length": feed_forward,
        f"{arch}.attention.head_count": heads,
        f"{arch}.attention.head_count_kv": kv_heads,
        f"{arch}.attention.key_length": head_width,
        f"{arch}.attention.value_length": head_width,
        f"{arch}.rope.dimension_count": head_width,
        f"{arch}.rope.freq_base": 500000.0,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "none",
        f"{arch}.vocab_size": vocabulary,
        **(extra or {}),
    }
    tensors = [
        ("token_embd.weight", (width, vocabulary), pick("token_embd", 0)),
        ("output_norm.weight", (width,), "F32"),
    ]
    if not tied:
        tensors.append(("output.weight", (width, vocabulary), pick("output", 0)))
    for layer in range(layers):
        name = f"blk.{layer}."
        tensors += [
            (name + "attn_norm.weight", (width,), "F32"),
            (name + "ffn_norm.weight", (width,), "F32"),
            (name + "attn_q.weight", (width, heads * head_width), pick("attn_q", layer)),
            (name + "attn_k.weight", (width, per_layer[layer] * head_width), pick("attn_k", layer)),
            (name + "attn_v.weight", (width, per_layer[layer] * head_width), pick("attn_v", layer)),
            (name + "attn_output.weight", (heads * head_width, width), pick("attn_output", layer)),
        ]
        if qk_norm:
            tensors += [(f"{name}attn_{each}_norm.weight", (head_width,), "F32") for each in "qk"]
        shape, suffix = ((experts,), "_exps") if experts else ((), "")
        if experts:
            tensors.append((name + "ffn_gate_inp.weight", (width, experts), "F32"))
        for kind in ("gate", "up"):
            tensors.append(
                (f"{name}ffn_{kind}{suffix}.weight", (width, feed_forward, *shape), pick(f"ffn_{kind}", layer))
            )
        tensors.append((f"{name}ffn_down{suffix}.weight", (feed_forward, width, *shape), pick("ffn_down", layer)))
    return metadata, tensors
