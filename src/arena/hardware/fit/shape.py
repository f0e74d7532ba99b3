"""The shape of a model: what its GGUF header says of the bytes that it will need.

Sources: llama.cpp's llama-hparams.cpp, llama-kv-cache*.cpp and src/models/*.cpp, as llama-cpp-python 0.3.36 ships them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from arena.core.errors import ArenaError
from arena.core.gguf import GgufHeader
from arena.core.text import clean_line

MAX_LAYERS = 1024
MAX_WIDTH = 1 << 24
"""Above this a number in a header is nonsense."""

# Where the file gives no pattern: every n-th layer sees the whole context, the others a sliding window. True: the
# first of the n is the one that sees it all, else the last.
_WINDOW_PATTERNS: dict[str, tuple[int, bool]] = {
    **dict.fromkeys(("gemma2", "gpt-oss"), (2, False)),
    **dict.fromkeys(("gemma3", "gemma-embedding"), (6, False)),
    **dict.fromkeys(("cohere2", "llama4", "olmo2", "exaone4", "exaone-moe", "afmoe", "mellum"), (4, False)),
    **dict.fromkeys(("smallthinker", "cohere2moe", "laguna"), (4, True)),
    "gemma3n": (5, False),
    "plamo3": (8, False),
    "modern-bert": (3, True),
}
# Where the file gives no window. Llama 4's is not that of the file.
_WINDOWS = {"gemma2": 4096, "llama4": 8192, "exaone4": 4096}
# Recurrent in every n-th layer but the last, where the file names no layers.
_FULL_ATTENTION_INTERVAL = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
_ON_HOST = ("token_embd.", "per_layer_token_embd.", "position_embd.", "token_types.")


@dataclass(frozen=True, slots=True)
class Layer:
    """One block of the model."""

    weights: int
    """Bytes of its tensors."""
    keys: int
    """Numbers that its K cache holds per cell; 0 where it keeps none."""
    values: int
    """The same of its V cache."""
    windowed: bool
    """Sees a sliding window instead of the whole context."""
    state: int
    """Bytes of recurrent state per slot; 0 for attention."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything that the formulas ask."""

    architecture: str
    layers: tuple[Layer, ...]
    window: int
    """Tokens of the sliding window, 0 without one."""
    trained: int | None
    """The longest context that it was trained for, in tokens."""
    embedding: int
    heads: int
    head_width: int
    feed_forward: int
    """The widest dense feed-forward network; 0 where there is none."""
    gated: bool
    """It has a gate beside it, and multiplies by it."""
    experts_used: int
    """Per token; 0 for a dense model."""
    expert_feed_forward: int
    gated_experts: bool
    vocabulary: int
    hybrid: bool
    """Has state-space layers."""
    attends: bool
    """Has layers with attention."""
    queries: int
    """Numbers per token of the queries when they meet the keys, with what they are made of."""
    latent: int
    """Numbers per cell that V is read from where it is no cache of its own; 0 elsewhere."""
    normed: bool
    """A layer begins with a norm; the others have one at its end."""
    in_turn: bool
    """First attention, then a feed-forward network with a norm of its own; in the others both take the same row."""
    per_layer: int
    """Numbers per token of the embeddings that each layer has of its own, of all layers; 0 without such."""
    streams: int
    """Rows per token that go from layer to layer."""
    beside_state: int
    """Numbers per token that are alive at once in a state-space layer."""
    scanned_state: int
    """Bytes of state that Mamba 2's scan hands on behind its result; 0 for others."""
    scan_gap: int
    """Numbers per token by which what was convolved is wider than the result of the scan."""
    widest_values: int
    """The largest `values` of any layer."""
    host_weights: int
    """Bytes of the token table and its like, which stay in RAM."""
    output_weights: int
    """Bytes of what comes after the last layer; the token table again where both are one."""
    tied: bool
    """The token table is the output table, too: next to a GPU it exists twice, in RAM once."""
    token_table: int
    largest_tensor: int
    """Bytes."""

    @property
    def weights(self) -> int:
        """Bytes of all tensors that are loaded, each counted once."""
        layers = sum(layer.weights for layer in self.layers)
        return layers + self.host_weights + self.output_weights - (self.token_table if self.tied else 0)


class Fields:
    """Numbers of a header, held against nonsense."""

    def __init__(self, header: GgufHeader) -> None:
        """Its metadata is all that is looked at."""
        self._header = header

    def fault(self, what: str) -> ArenaError:
        """What to raise: the header of that file ... `what`."""
        name = clean_line(self._header.path.name)
        return ArenaError(f"The header of '{name}' {what}.", "Without that nobody can say what it needs.")

    def number(self, key: str, default: int | None = None) -> int:
        """One number, 0 to MAX_WIDTH; of a number per layer, the largest."""
        value = self._header.field(key)
        if isinstance(value, tuple):
            numbers = [item for item in value if isinstance(item, int)]
            value = max(numbers, default=None)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or not 0 <= value <= MAX_WIDTH:
            raise self.fault(f"gives no usable {key}")
        return int(value)

    def per_layer(self, key: str, count: int, default: int) -> tuple[int, ...]:
        """A number for each layer: from a list, or one for all of them."""
        value = self._header.field(key)
        if not isinstance(value, tuple):
            return (self.number(key, default),) * count
        numbers = tuple(int(item) for item in value[:count] if isinstance(item, int) and 0 <= item <= MAX_WIDTH)
        if len(numbers) < count:
            raise self.fault(f"gives {key} for {len(numbers)} of {count} layers")
        return numbers

    def has_list(self, key: str) -> bool:
        """There is a number per layer."""
        return isinstance(self._header.field(key), tuple)


def shape_of(header: GgufHeader) -> Shape:
    """Read the shape. Raises ArenaError when the header leaves out what is needed, or gives nonsense."""
    fields = Fields(header)
    if not header.architecture or not header.tensors:
        raise fields.fault("names no architecture" if header.tensors else "lists no weights")
    blocks = fields.number("block_count")
    # heads that guess several tokens ahead are in the file, but not loaded
    count = blocks - min(blocks, fields.number("nextn_predict_layers", 0))
    if not 0 < count <= MAX_LAYERS:
        raise fields.fault(f"claims {count} layers")
    embedding = fields.number("embedding_length")
    heads = fields.number("attention.head_count", 0)
    head_width = fields.number("attention.key_length", embedding // heads if heads else 0)
    tensors = {tensor.name: tensor for tensor in header.tensors}
    table = tensors.get("token_embd.weight")
    weights, host, output, largest = _weights(header)
    tied, gemma3n = "output.weight" not in tensors, header.architecture == "gemma3n"
    windowed = windowed_layers(header, fields, count)
    caches = _caches(header, fields, windowed, heads, head_width)
    inner, state = fields.number("ssm.inner_size", 0), fields.number("ssm.state_size", 0)
    scans = header.architecture != "mamba" and header.architecture not in _FULL_ATTENTION_INTERVAL
    states = _states(header, fields, count, embedding)
    # in a hybrid a layer has either a state or a cache; only Falcon-H1 has both in each
    both = header.architecture == "falcon-h1"
    layers = tuple(
        Layer(weights[i], *((0, 0) if states[i] and not both else caches[i]), windowed[i], states[i])
        for i in range(count)
    )
    return Shape(
        layers=layers,
        architecture=header.architecture,
        window=window_of(header, fields) if any(windowed) else 0,
        trained=header.context_length,
        embedding=embedding,
        heads=heads,
        head_width=head_width,
        feed_forward=_inputs_of(header, ".ffn_down.weight"),
        gated=any(".ffn_gate.weight" in tensor.name for tensor in header.tensors) or _is_doubled(header),
        experts_used=fields.number("expert_used_count", 0),
        expert_feed_forward=_inputs_of(header, ".ffn_down_exps.weight"),
        gated_experts=any(".ffn_gate_" in tensor.name and "_exps" in tensor.name for tensor in header.tensors),
        vocabulary=table.dims[1] if table and len(table.dims) > 1 else fields.number("vocab_size", 0),
        hybrid=any(states) and inner > 0,
        attends=any(layer.keys for layer in layers),
        queries=heads * _per_head(header, fields, head_width),
        latent=fields.number("attention.kv_lora_rank", 0) if fields.number("attention.key_length_mla", 0) else 0,
        normed=any(name.endswith(".attn_norm.weight") for name in tensors),
        in_turn=any(".ffn_norm" in name or ".post_attention_norm." in name for name in tensors),
        per_layer=count * fields.number("embedding_length_per_layer_input", 256 if gemma3n else 0),
        streams=4 if gemma3n else 1,
        beside_state=_beside_state(header.architecture, fields, embedding),
        scanned_state=4 * inner * state if scans else 0,
        scan_gap=2 * fields.number("ssm.group_count", 0) * state if scans else 0,
        widest_values=max(values for _, values in caches),
        host_weights=host,
        output_weights=output + (table.bytes if table and tied else 0),
        tied=tied,
        token_table=table.bytes if table else 0,
        largest_tensor=largest,
    )


def _per_head(header: GgufHeader, fields: Fields, width: int) -> int:
    """The queries of one head before and after their positions are turned in; a gate, where one comes with them.

    Latent attention makes them of three parts: what it got, its two ends, the one that is pulled into the width of the
    cache and both of them joined.
    """
    latent = fields.number("attention.key_length_mla", 0)
    if latent:
        return 2 * width + fields.number("rope.dimension_count", 0) + latent
    if header.architecture.startswith("nemotron_h"):
        return width  # it knows no positions
    return 3 * width if header.architecture in _FULL_ATTENTION_INTERVAL else 2 * width


def _beside_state(arch: str, fields: Fields, embedding: int) -> int:
    """Mamba 2 splits one wide projection, convolves a part of it and scans; a delta net convolves Q, K and V."""
    inner, state = fields.number("ssm.inner_size", 0), fields.number("ssm.state_size", 0)
    convolved = inner + 2 * fields.number("ssm.group_count", 0) * state
    if not inner:
        return 0
    if arch in _FULL_ATTENTION_INTERVAL:
        return 3 * convolved + 3 * embedding
    if arch == "mamba":
        return 6 * inner + embedding
    projected = inner + convolved + fields.number("ssm.time_step_rank", 0)
    return projected + 2 * convolved + inner + 3 * embedding


def _inputs_of(header: GgufHeader, suffix: str) -> int:
    """How many numbers the widest matrix of that name takes in."""
    return max((tensor.dims[0] for tensor in header.tensors if tensor.name.endswith(suffix)), default=0)


def _is_doubled(header: GgufHeader) -> bool:
    """Gate and up projection are one matrix."""
    outputs = max((tensor.dims[-1] for tensor in header.tensors if tensor.name.endswith(".ffn_up.weight")), default=0)
    return outputs > _inputs_of(header, ".ffn_down.weight") > 0


def _weights(header: GgufHeader) -> tuple[dict[int, int], int, int, int]:
    """Bytes by layer, bytes that stay on the host, bytes of what comes after the last layer, and of the largest one."""
    layers: dict[int, int] = defaultdict(int)
    host = output = largest = 0
    for tensor in header.tensors:
        size = tensor.bytes
        largest = max(largest, size)
        if tensor.name.startswith("blk."):
            number = tensor.name.split(".", 2)[1]
            if number.isascii() and number.isdigit() and len(number) <= 6:
                layers[int(number)] += size
        elif tensor.name.startswith(_ON_HOST):
            host += size
        else:
            output += size
    return layers, host, output, largest


def _caches(
    header: GgufHeader, fields: Fields, windowed: tuple[bool, ...], heads: int, head_width: int
) -> tuple[tuple[int, int], ...]:
    """Numbers of K and of V per cell, for each layer; (0, 0) for a layer that uses another's cache."""
    count = len(windowed)
    kv_heads = fields.per_layer("attention.head_count_kv", count, heads)
    value_width = fields.number("attention.value_length", head_width)
    window_keys = fields.number("attention.key_length_swa", head_width)
    window_values = fields.number("attention.value_length_swa", value_width)
    # multi-head latent attention keeps one compressed K, from which V is computed
    latent = fields.number("attention.key_length_mla", 0) > 0
    blocks = fields.number("block_count")
    sharing = max(0, blocks - 20) if header.architecture == "gemma3n" else 0
    own = blocks - fields.number("attention.shared_kv_layers", sharing)
    found = []
    for i in range(count):
        keys, values = (window_keys, window_values) if windowed[i] else (head_width, value_width)
        found.append((kv_heads[i] * keys, 0 if latent else kv_heads[i] * values) if i < own else (0, 0))
    return tuple(found)


def window_of(header: GgufHeader, fields: Fields) -> int:
    """Tokens of the sliding window; 0 without one."""
    arch = header.architecture
    if arch == "phi3" or (arch == "exaone4" and fields.number("block_count") != 64):
        return 0
    found = fields.number("attention.sliding_window", _WINDOWS.get(arch, 0))
    return _WINDOWS[arch] if arch == "llama4" and found else found


def windowed_layers(header: GgufHeader, fields: Fields, count: int) -> tuple[bool, ...]:
    """Which layers see a sliding window."""
    key, arch = "attention.sliding_window_pattern", header.architecture
    if not window_of(header, fields):
        return (False,) * count
    if fields.has_list(key):
        return tuple(bool(item) for item in fields.per_layer(key, count, 0))
    default, dense_first = _WINDOW_PATTERNS.get(arch, (1, False))
    period = fields.number(key, default)
    if period == 0:
        return (True,) * count
    return tuple(i % period != 0 if dense_first else i % period < period - 1 for i in range(count))


def _states(header: GgufHeader, fields: Fields, count: int, embedding: int) -> tuple[int, ...]:
    """Bytes of recurrent state per slot, for each layer. It is kept in 32-bit floats whatever the cache's type."""
    inner, state = fields.number("ssm.inner_size", 0), fields.number("ssm.state_size", 0)
    conv, groups = fields.number("ssm.conv_kernel", 0), fields.number("ssm.group_count", 0)
    shift, rwkv = fields.number("shortconv.l_cache", 0), fields.number("wkv.head_size", 0)
    if rwkv:
        numbers = embedding * fields.number("token_shift_count", 2) + embedding * rwkv
    elif shift:
        numbers = embedding * (shift - 1)
    elif inner:
        numbers = max(0, conv - 1) * (inner + 2 * groups * state) + state * inner
    else:
        return (0,) * count
    return tuple(4 * numbers if there else 0 for there in recurrent_layers(header, fields, count))


def recurrent_layers(header: GgufHeader, fields: Fields, count: int) -> tuple[bool, ...]:
    """Which layers have recurrent state."""
    arch = header.architecture
    if not any(fields.number(key, 0) for key in ("ssm.inner_size", "shortconv.l_cache", "wkv.head_size")):
        return (False,) * count
    if fields.has_list("attention.recurrent_layers"):
        return tuple(bool(item) for item in fields.per_layer("attention.recurrent_layers", count, 0))
    interval = fields.number("full_attention_interval", _FULL_ATTENTION_INTERVAL.get(arch, 0))
    if interval:
        return tuple((i + 1) % interval != 0 for i in range(count))
    if fields.has_list("attention.head_count_kv"):
        kv_heads = fields.per_layer("attention.head_count_kv", count, 0)
        # Nemotron-H also has layers that are a feed-forward network and nothing else
        plain = fields.per_layer("feed_forward_length", count, 0) if arch.startswith("nemotron_h") else (0,) * count
        return tuple(kv_heads[i] == 0 and plain[i] == 0 for i in range(count))
    return (True,) * count
