"""The header of a model as Ollama's /api/show tells it, for a file that can't be read from here.

Sources, in github.com/ollama/ollama: server/routes.go (GetModelInfo, getModelData), fs/ggml/{gguf,ggml,type}.go, and
llama/compat for what it changes when it loads files of its own older form.

`model_info` holds the keys of the GGUF file but `general.name` and `tokenizer.chat_template`. Arrays in it are null, in
older versions [], unless the question says `verbose`; then the tokenizer comes, too: tens of MB. `tensors` lists the
whole table either way. The order of a `shape` is that of the file, (columns, rows, ...): `token_embd.weight` of a
model with 5120 numbers per token is [5120, 131072] (issue 10286). A `type` that Ollama has no name for is "unknown":
the I-quants, mostly. Models in safetensors have other names and other orders, and are none of GGUF.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from arena.backends import http
from arena.backends.ollama_wire import OllamaWire
from arena.core.errors import ArenaError
from arena.core.gguf import BLOCKS, MAX_KEYS, MAX_TENSORS, GgufHeader, Tensor
from arena.core.gguf_cursor import KEPT_ELEMENTS, KEPT_STRING_BYTES, MAX_HEADER_BYTES, Scalar, Skipped, Value
from arena.core.text import storable

if TYPE_CHECKING:
    from ollama import AsyncClient, ListResponse, ShowResponse

LONGEST_ANSWER_BYTES = MAX_HEADER_BYTES
"""The header as JSON is about as long as in the file."""
MAX_NUMBER = 1 << 24
"""Above this a number of heads, columns, tokens of a window is nonsense."""
MAX_LAYERS = 1024
MAX_RANK = 4

SHAPING = (
    "block_count", "nextn_predict_layers", "embedding_length", "embedding_length_per_layer_input", "vocab_size",
    "feed_forward_length", "expert_used_count", "full_attention_interval", "token_shift_count", "wkv.head_size",
    "shortconv.l_cache", "ssm.inner_size", "ssm.state_size", "ssm.group_count", "ssm.time_step_rank", "ssm.conv_kernel",
    "attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length",
    "attention.key_length_swa", "attention.value_length_swa", "attention.key_length_mla", "attention.kv_lora_rank",
    "attention.shared_kv_layers", "attention.sliding_window", "attention.sliding_window_pattern",
    "attention.recurrent_layers", "rope.dimension_count",
)  # fmt: skip
"""Keys, without the architecture, from which the shape of a model is read. Each is a number, or one for each layer."""

# Architectures that Ollama renames on loading, since llama.cpp calls them otherwise.
_RENAMED = {
    "gptoss": "gpt-oss",
    "qwen25vl": "qwen2vl",
    "olmo3": "olmo2",
    "deepseekocr": "deepseek2-ocr",
    "glmocr": "glm4",
    "glm4moelite": "deepseek2",
}
# In the file, but not loaded: heads that guess several tokens ahead everywhere, the hearing of this one.
_LEFT_OUT = {"": ("mtp.",), "nemotron_h_omni": ("mtp.", "a.")}


@dataclass(frozen=True, slots=True)
class Shown:
    """What /api/show says of a model."""

    told: ShowResponse
    header: GgufHeader | None = None
    """None: nothing that makes sense, or it is not wanted."""
    kept_back: bool = False
    """A header could be made, if only the server told the arrays in it: it has to be asked for them."""


class ShowDesk:
    """What one server says of its models, asked once for each digest: under that it does not change."""

    def __init__(self, wire: OllamaWire) -> None:
        """Nothing is asked yet."""
        self._wire = wire
        self._known: dict[str, Shown] = {}

    async def show(self, model: ListResponse.Model) -> Shown | None:
        """The short answer; None when it can't be understood. Raises ArenaError."""
        if model.digest and model.digest in self._known:
            return self._known[model.digest]
        answer = await self._asked(model, verbose=False)
        try:
            from ollama import ShowResponse  # noqa: PLC0415 - half a second; the client has loaded it by now

            told = ShowResponse(**answer or {})
        except (ValueError, TypeError):  # other servers that speak Ollama's API say less
            return None
        shown = Shown(told)
        if answer is not None and self._wire.endpoint.local:  # what runs elsewhere takes no memory here
            header = header_of(answer, model.model or "", model.size)
            late = header is not None and arrays_kept_back(answer)
            shown = Shown(told, None if late else header, late)
        return self._keep(model, shown)

    async def whole(self, model: ListResponse.Model, shown: Shown) -> Shown:
        """With its header, if it takes the long answer to make one. Never raises: then there is no header."""
        if not shown.kept_back:
            return shown
        known = self._known.get(model.digest or "")
        if known is not None and not known.kept_back:
            return known
        with suppress(ArenaError):  # it may have more time for it at the next list
            answer = await self._asked(model, verbose=True) or {}
            header = None if arrays_kept_back(answer) else header_of(answer, model.model or "", model.size)
            return self._keep(model, replace(shown, header=header, kept_back=False))
        return shown

    def _keep(self, model: ListResponse.Model, shown: Shown) -> Shown:
        if model.digest:
            self._known[model.digest] = shown
        return shown

    async def _asked(self, model: ListResponse.Model, *, verbose: bool) -> dict[str, Any] | None:
        """The answer; None when it is no JSON object, or too long. Raises ArenaError."""
        with self._wire.faults():
            client = await self._wire.client()
            async with asyncio.timeout(http.LIST_S):
                try:
                    return await _ask(client, model.model or "", verbose=verbose)
                except (ValueError, TypeError):
                    return None


async def _ask(client: AsyncClient, name: str, *, verbose: bool) -> dict[str, Any]:
    """The answer of /api/show as it came. Raises as httpx does, ValueError and TypeError.

    The client's own `show` can't ask for the arrays, drops the tensors, and reads answers of any length.
    """
    question = {"model": name, "verbose": True} if verbose else {"model": name}
    body = bytearray()
    async with client._client.stream("POST", "/api/show", json=question) as answer:  # noqa: SLF001
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > LONGEST_ANSWER_BYTES:
                raise ValueError("too long")
    told = json.loads(body)
    if not isinstance(told, dict):
        raise TypeError("no object")
    return told


def arrays_kept_back(answer: Mapping[str, Any]) -> bool:
    """Whether a number per layer that the shape is read from is null or empty."""
    info = answer.get("model_info")
    if not isinstance(info, dict):
        return False
    architecture = info.get("general.architecture")
    return any(info.get(key, 0) in (None, []) for key in (f"{architecture}.{suffix}" for suffix in SHAPING))


def header_of(answer: Mapping[str, Any], name: str, size: int | None) -> GgufHeader | None:
    """The header that an answer of /api/show describes, as Ollama loads it; None for whatever makes no sense.

    `size`: bytes of all files of the model, as /api/tags gives them. Without the arrays, where they are kept back. Its
    path is the name of the model, which is no file; version and length of the header are not told, and 0. Seeing and
    hearing that are in the same file are tensors like others (`v.`, `mm.`, `a.`): Ollama loads them onto the GPU
    beside the model. Where they are a file of their own, no tensor of it is told, and they are in `file_bytes` alone.
    """
    try:
        if _format(answer) not in ("", "gguf"):
            return None
        metadata = _metadata(answer.get("model_info"))
        tensors = _tensors(answer.get("tensors"), str(metadata["general.architecture"]))
        metadata = _as_loaded(metadata)
    except ValueError:
        return None
    data_bytes = sum(tensor.bytes for tensor in tensors)
    if not tensors or (size is not None and data_bytes > size):
        return None
    return GgufHeader(Path(storable(name)), 0, metadata, tensors, 0, data_bytes if size is None else int(size))


def _format(answer: Mapping[str, Any]) -> str:
    details = answer.get("details")
    return str(details.get("format") or "") if isinstance(details, dict) else ""


def _metadata(info: object) -> dict[str, Value]:
    """The keys of the file. Raises ValueError when they are none of a GGUF file."""
    if not isinstance(info, dict) or len(info) > MAX_KEYS:
        raise ValueError("no keys")
    metadata = {storable(key): _value(item) for key, item in info.items() if item is not None}
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise ValueError("no architecture")
    facts = {suffix: metadata.get(f"{architecture}.{suffix}", 0) for suffix in SHAPING}
    layers, ahead = facts["block_count"], facts["nextn_predict_layers"]
    if not isinstance(layers, int) or not isinstance(ahead, int) or not 0 <= ahead < layers <= MAX_LAYERS:
        raise ValueError("no layers")
    if not facts["embedding_length"] or not all(_plausible(value, layers - ahead) for value in facts.values()):
        raise ValueError("no numbers")
    return metadata


def _value(item: object) -> Value:
    """A value as the header of a file would hold it. Raises ValueError."""
    if isinstance(item, list) and len(item) > KEPT_ELEMENTS:
        return Skipped(len(item))
    if isinstance(item, list):
        return tuple(_scalar(each) for each in item)
    if isinstance(item, str) and len(item) > KEPT_STRING_BYTES:
        return Skipped(len(item.encode("utf-8", "replace")))
    return _scalar(item)


def _scalar(item: object) -> Scalar:
    if isinstance(item, str):
        return storable(item)
    if isinstance(item, float) or (isinstance(item, int) and -(1 << 63) <= item < 1 << 64):
        return item
    raise ValueError("no value of GGUF")


def _plausible(value: Value, layers: int) -> bool:
    """A number, or one for each layer, none of them negative or absurd."""
    items = value if isinstance(value, tuple) else (value,) * layers
    return len(items) >= layers and all(isinstance(item, int) and 0 <= item <= MAX_NUMBER for item in items)


def _tensors(rows: object, architecture: str) -> tuple[Tensor, ...]:
    """The table, less what is not loaded. Raises ValueError."""
    if not isinstance(rows, list) or len(rows) > MAX_TENSORS:
        raise ValueError("no table")
    tensors = [_tensor(row) for row in rows]
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise ValueError("twice")
    left_out = _LEFT_OUT.get(architecture, _LEFT_OUT[""])
    return tuple(tensor for tensor in tensors if not tensor.name.startswith(left_out))


def _tensor(row: object) -> Tensor:
    """One row of the table. Raises ValueError."""
    facts: dict[str, Any] = row if isinstance(row, dict) else {}
    name, kind, dims = facts.get("name"), facts.get("type"), facts.get("shape")
    if not isinstance(name, str) or not name or not isinstance(kind, str) or kind not in BLOCKS:
        raise ValueError("no tensor")
    if not isinstance(dims, list) or not 0 < len(dims) <= MAX_RANK:
        raise ValueError("no shape")
    if not all(type(dim) is int and 0 <= dim < 1 << 63 for dim in dims):
        raise ValueError("no shape")
    tensor = Tensor(storable(name), tuple(dims), kind)
    if tensor.elements >= 1 << 63 or dims[0] % BLOCKS[kind][0]:
        raise ValueError("no shape of that type")
    return tensor


def _as_loaded(metadata: dict[str, Value]) -> dict[str, Value]:
    """With the architecture and the prefix of the keys that llama.cpp knows, as Ollama's llama/compat puts them."""
    old = str(metadata["general.architecture"])
    new = _RENAMED.get(old, old)
    if old == "nemotron_h_omni":
        routed = any(metadata.get(f"{old}.{key}") for key in ("expert_count", "expert_used_count"))
        new = "nemotron_h_moe" if routed else "nemotron_h"
    if new == old:
        return metadata
    renamed = {_renamed(key, old, new): value for key, value in metadata.items()} | {"general.architecture": new}
    return renamed | _latent(renamed) if old == "glm4moelite" else renamed


def _renamed(key: str, old: str, new: str) -> str:
    return f"{new}.{key[len(old) + 1 :]}" if key.startswith(f"{old}.") else key


def _latent(metadata: Mapping[str, Value]) -> dict[str, Value]:
    """GLM 4.7 Flash gives the widths of a head; llama.cpp wants those of the one latent row of DeepSeek 2 that it is.

    Raises ValueError when they can't be told.
    """
    prefix = "deepseek2.attention."
    rank, head = metadata.get(f"{prefix}kv_lora_rank"), metadata.get(f"{prefix}key_length")
    turned = metadata.get("deepseek2.rope.dimension_count")
    if not all(isinstance(each, int) and 0 < each <= MAX_NUMBER for each in (rank, head, turned)):
        raise ValueError("no latent width")
    width = cast("int", rank)
    return {
        f"{prefix}head_count_kv": 1,
        f"{prefix}key_length": width + cast("int", turned),
        f"{prefix}value_length": width,
        f"{prefix}key_length_mla": cast("int", head),
        f"{prefix}value_length_mla": cast("int", head),
    }
