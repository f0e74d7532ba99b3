"""A model without its weights: a GGUF header made from the numbers of an architecture.

In memory it is what the formulas ask; as a file it has a real header and, behind it, a hole as long as the weights
would be, which takes no room on disk. llama.cpp loads such a file without reading the data and plans its buffers for
it, in 20 to 70 ms, since it has no tokenizer.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from arena.core.errors import ArenaError
from arena.core.gguf import FILE_TYPES, GgufHeader, Tensor
from arena.core.gguf_cursor import Scalar
from arena.hardware.fit import blueprint
from arena.hardware.fit.mixture import Facts, type_names
from arena.hardware.fit.shape import Fields

ALIGNMENT = 32
# ggml.h, enum ggml_type
_NUMBERS = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11, "Q4_K": 12,
    "Q5_K": 13, "Q6_K": 14, "IQ2_XXS": 16, "IQ2_XS": 17, "IQ3_XXS": 18, "IQ1_S": 19, "IQ4_NL": 20, "IQ3_S": 21,
    "IQ2_S": 22, "IQ4_XS": 23, "IQ1_M": 29, "BF16": 30, "TQ1_0": 34, "TQ2_0": 35, "MXFP4": 39, "NVFP4": 40,
    "Q1_0": 41, "Q2_0": 42,
}  # fmt: skip

# What llama.cpp insists on and what changes no size, by architecture; '' is for all. Norms come in two kinds, and each
# architecture asks for one of them: both are written.
_FILLED: dict[str, dict[str, Scalar | tuple[Scalar, ...]]] = {
    "": {"attention.layer_norm_rms_epsilon": 1e-5, "attention.layer_norm_epsilon": 1e-5, "rope.freq_base": 10000.0},
    **{each: {"logit_scale": 1.0} for each in ("cohere2", "granite", "granitemoe")},
    **{
        each: {"rope.dimension_sections": (11, 11, 10, 0)}
        for each in ("qwen35", "qwen35moe", "qwen2vl", "qwen3vl", "qwen3vlmoe")
    },
    **{each: {"expert_gating_func": 2} for each in ("lfm2moe", "exaone-moe", "bailingmoe2", "dots1", "minimax-m2")},
    "ernie4_5-moe": {"interleave_moe_layer_step": 1, "expert_gating_func": 1},
    "llama4": {"interleave_moe_layer_step": 1},
    "deepseek2": {"expert_weights_scale": 1.0},
    "gemma2": {"attention.sliding_window": 4096},
}


@dataclass(frozen=True, slots=True)
class GgufSpec:
    """The numbers of a model, as its header would give them."""

    architecture: str
    """As llama.cpp calls it."""
    fields: Mapping[str, Scalar | tuple[Scalar, ...]]
    """Keys of the header without the architecture: `vocab_size`, `block_count`, `attention.head_count`, ..."""
    tied: bool = False
    """The token table is the output table, too."""

    @classmethod
    def of(cls, gguf: Mapping[str, object]) -> GgufSpec:
        """From a table with `architecture`, `vocab_size`, `tied` and keys of the header.

        Raises ArenaError when the architecture is not known here, or a value is no number, text, or list of them.
        """
        fields: dict[str, Scalar | tuple[Scalar, ...]] = {}
        for key, value in gguf.items():
            item = tuple(value) if isinstance(value, list) else value
            if not isinstance(item, (bool, int, float, str, tuple)):
                raise ArenaError(f"The value of {key} is no number.", "Write it as in a GGUF header.")
            fields[key] = item
        architecture, tied = fields.pop("architecture", ""), bool(fields.pop("tied", False))
        if not isinstance(architecture, str) or architecture not in blueprint.ARCHITECTURES:
            raise ArenaError(
                f"The tensors of the architecture '{architecture}' are not known.", "Spell it as llama.cpp."
            )
        return cls(architecture, MappingProxyType(fields), tied)


def header_of(spec: GgufSpec, quantization: str, name: str = "skeleton") -> GgufHeader:
    """The header of that model in that quantization, as if it had been read from a file.

    Raises ArenaError when numbers are missing, UsageError for an unknown quantization.
    """
    plain = _plain(spec, quantization, name)
    rows = tuple(blueprint.rows(plain, tied=spec.tied))
    names = type_names(rows, _facts(plain), quantization)
    tensors = tuple(Tensor(row[0], row[1], kind) for row, kind in zip(rows, names, strict=True))
    data = sum(_padded(tensor.bytes) for tensor in tensors)
    return GgufHeader(plain.path, 3, plain.metadata, tensors, 0, data)


def write(path: Path, spec: GgufSpec, quantization: str) -> GgufHeader:
    """Write the skeleton file, as long as the whole model and nearly empty. Raises as `header_of`, and OSError."""
    header = header_of(spec, quantization, path.stem)
    raw = encode(header.metadata, header.tensors)
    with path.open("wb") as file:
        file.write(raw)
        file.truncate(len(raw) + header.file_bytes)
    return header


def encode(metadata: Mapping[str, object], tensors: Sequence[Tensor]) -> bytes:
    """The bytes of a GGUF 3 header, padded to where the data would begin."""
    parts = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        kind, body = _value(value)
        parts += [_string(key), struct.pack("<I", kind), body]
    offset = 0
    for tensor in tensors:
        rank = len(tensor.dims)
        parts.append(_string(tensor.name))
        parts.append(struct.pack(f"<I{rank}QIQ", rank, *tensor.dims, _NUMBERS[tensor.type], offset))
        offset += _padded(tensor.bytes)
    raw = b"".join(parts)
    return raw + b"\0" * (-len(raw) % ALIGNMENT)


def _plain(spec: GgufSpec, quantization: str, name: str) -> GgufHeader:
    """The metadata alone."""
    arch = spec.architecture
    fields = {**_FILLED[""], **_FILLED.get(arch, {}), **spec.fields}
    ahead = fields.pop("nextn_predict_layers", 0)
    blocks = fields.get("block_count")
    if isinstance(ahead, int) and isinstance(blocks, int):
        # layers that guess ahead are not loaded, and not described
        fields["block_count"] = blocks - ahead
    number = next((number for number, known in FILE_TYPES.items() if known == quantization.upper()), 0)
    metadata: dict[str, Scalar | tuple[Scalar, ...]] = {
        "general.architecture": arch,
        "general.name": name,
        "general.file_type": number,
        "tokenizer.ggml.model": "none",
        **{f"{arch}.{key}": value for key, value in fields.items()},
    }
    return GgufHeader(Path(name), 3, MappingProxyType(metadata), (), 0, 0)


def _facts(header: GgufHeader) -> Facts:
    fields = Fields(header)
    layers = fields.number("block_count")
    heads = fields.per_layer("attention.head_count", layers, 0)[0]
    kv_heads = fields.per_layer("attention.head_count_kv", layers, heads)[0]
    grouped = heads // kv_heads if kv_heads else 0
    return Facts(header.architecture, layers, fields.number("expert_count", 0), grouped)


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(item: object) -> tuple[int, bytes]:
    """Type and bytes of a value; the numbers of the types are those of ggml's docs/gguf.md."""
    if isinstance(item, bool):
        return 7, struct.pack("<?", item)
    if isinstance(item, int):
        return (4, struct.pack("<I", item)) if 0 <= item < 1 << 32 else (11, struct.pack("<q", item))
    if isinstance(item, float):
        return 6, struct.pack("<f", item)
    if isinstance(item, str):
        return 8, _string(item)
    if isinstance(item, tuple):
        items = [_value(each) for each in item]
        kind = items[0][0] if items else 4
        return 9, struct.pack("<IQ", kind, len(items)) + b"".join(body for _, body in items)
    raise TypeError(type(item).__name__)
