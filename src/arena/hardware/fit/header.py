"""What a model needs, from its header alone: weights, KV cache, recurrent state, compute buffer, overhead, in bytes.

The formulas are those of llama.cpp's allocator. Against its own accounting weights and cache come out to the byte, and
the total within 0.04 % on average, 0.24 % in 95 of 100 cases and 0.9 % in the worst (3355 settings of 78 models of 50
architectures, CPU build; `tests/test_fit_dry_run.py` prints the table). What a driver takes for itself is in no file
and stays an estimate. The compute buffer on a GPU is derived from the one on a CPU and checked on published logs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from arena.core.gguf import GgufHeader
from arena.core.machine import MIB, FitParts
from arena.hardware.fit.estimate import OVERHEAD_SIGMA_BYTES, PROCESS_BYTES, Need, Setting, gpu_overhead
from arena.hardware.fit.shape import Layer, Shape, shape_of

SIGMA_SHARE = 0.003
"""Of the total."""
_SIGMA_PARTIAL, _SIGMA_RAM = 300 * MIB, 30 * MIB


_CACHE = attrgetter("keys", "values", "windowed")
"""What the cache of a layer depends on."""


def kv_bytes(shape: Shape, layers: Iterable[Layer], setting: Setting) -> int:
    """The KV cache of these layers, all slots together. Most are alike, and a longest context takes many questions."""
    kinds = Counter(map(_CACHE, layers))
    return sum(count * _kv_bytes(shape, setting, *kind) for kind, count in kinds.items())


def _kv_bytes(shape: Shape, setting: Setting, keys: int, values: int, windowed: bool) -> int:  # noqa: FBT001 - of _CACHE
    if not keys + values:
        return 0
    cells = setting.window_cells(shape.window) if windowed else setting.cells
    # without flash attention V lies transposed, every layer as wide as the widest
    wide = values if setting.flash_attention or not values else shape.widest_values
    return setting.kv_bytes(setting.slots * cells * (keys + wide))


# Rows as wide as the model that are alive beside the feed-forward network, where that is not 4; and beside the experts,
# where that is not 5. Measured: what ggml's allocator can put into a gap depends on the order of the operations.
_ROWS = {
    "phi2": 5, "cohere2": 5, "gemma3n": 9,
    **dict.fromkeys(("chatglm", "phi3", "lfm2", "lfm2moe", "bailingmoe2", "afmoe"), 3),
}  # fmt: skip
_ROWS_BESIDE_EXPERTS = {
    "qwen2moe": 4, "granitemoe": 4, **dict.fromkeys(("llama4", "qwen3next", "qwen35moe", "lfm2moe", "gpt-oss"), 3),
}  # fmt: skip
_ONE_ROW_LESS = ("falcon-h1", "nemotron_h", "nemotron_h_moe")


def compute_bytes(shape: Shape, setting: Setting, *, on_gpu: bool) -> int:
    """The scratch memory of one forward pass: the largest of the moments at which most is alive at once."""
    row = shape.embedding * setting.ubatch * 4
    extra = row if shape.hybrid and shape.attends and shape.architecture not in _ONE_ROW_LESS else 0
    moments = (
        _at_logits(shape, setting),
        _at_attention(shape, setting, on_gpu=on_gpu) + extra,
        _at_feed_forward(shape, setting) + extra,
        _at_experts(shape, setting) + extra,
        _at_state(shape, setting),
    )
    # the embeddings of the tokens are looked up on the host, which saves the GPU a row
    return max(moments) - (row if on_gpu else 0)


def _mask(shape: Shape, setting: Setting) -> int:
    """Which token sees which: one for the layers that see everything, one for those with a window."""
    if not shape.attends:
        return 0
    windowed = setting.window_cells(shape.window) if shape.window else 0
    return (setting.cells + windowed) * setting.ubatch * (2 if setting.flash_attention else 4)


def _at_logits(shape: Shape, setting: Setting) -> int:
    tokens = setting.ubatch
    row = shape.embedding * tokens * 4
    outputs = tokens if setting.runtime.all_logits else min(tokens, setting.slots)
    return outputs * (shape.vocabulary + shape.embedding) * 4 + row + _under_logits(shape, setting)


def _under_logits(shape: Shape, setting: Setting) -> int:
    """Where the last rows lie when logits of the whole batch are put behind them.

    By then nothing else is alive, but what the last layer left free before them is no room for logits. Without experts
    and states the rows lie at the bottom. Else they come behind two others and the mask, unless the room of the mask,
    which is not needed any more, takes them all.
    """
    if not setting.runtime.all_logits or not (shape.experts_used or shape.hybrid):
        return 0
    row, mask = shape.embedding * setting.ubatch * 4, _mask(shape, setting)
    return row if mask >= 2 * row else mask + 2 * row


def _at_attention(shape: Shape, setting: Setting, *, on_gpu: bool) -> int:
    """While queries meet keys: the tokens that came in, the rows that go on, and what attention was given."""
    tokens = setting.ubatch
    row, mask = shape.embedding * tokens * 4, _mask(shape, setting)
    if not shape.attends:
        return mask + 2 * row
    alive = mask + shape.queries * tokens * 4 + (1 + shape.streams + shape.normed) * row
    if setting.flash_attention:
        return alive + (_dequantized(shape, setting) if on_gpu else 0)
    scores = shape.heads * setting.cells * tokens * 4
    # V lies transposed, so every number of it has its own index of 64 bits; one list for each kind of cache
    places = shape.widest_values * tokens * 8 * (2 if shape.window else 1)
    # V that is read from K is copied out, into the room of the norm and of what was turned, if that is enough
    copied = max(0, shape.latent * setting.cells * 2 - row)
    # each layer's own embeddings come in one order and are kept in another, and what they leave takes no scores
    return alive + scores + places + copied + 2 * shape.per_layer * tokens * 4


def _at_feed_forward(shape: Shape, setting: Setting) -> int:
    if not shape.feed_forward:
        return 0
    wide, rows = (3 if shape.gated else 1) * shape.feed_forward, _ROWS.get(shape.architecture, 4)
    if shape.feed_forward <= 2 * shape.embedding:
        rows -= 2  # attention left two rows free, which take the gate
    rows -= _turned(shape, setting)
    beside = shape.per_layer + shape.heads * shape.head_width if shape.per_layer else 0
    return (wide + rows * shape.embedding + beside) * setting.ubatch * 4 + _mask(shape, setting)


def _turned(shape: Shape, setting: Setting) -> bool:
    """Whether attention leaves a row less behind.

    Before a quantized cache the queries are turned once more, and land where the norm was, if they are as wide.
    """
    usual = shape.normed and shape.in_turn and shape.architecture not in _ROWS
    return setting.quantized and usual and shape.heads * shape.head_width == shape.embedding


def _at_experts(shape: Shape, setting: Setting) -> int:
    used, width, embedding = shape.experts_used, shape.expert_feed_forward, shape.embedding
    if not used or not width:
        return 0
    numbers = (3 if shape.gated_experts else 1) * used * width
    if 2 * width >= embedding:
        # what the experts give fits where gate and up projection were
        rows = _ROWS_BESIDE_EXPERTS.get(shape.architecture, 4)
    else:
        numbers += used * embedding
        rows = _ROWS_BESIDE_EXPERTS.get(shape.architecture, 5)
    if shape.architecture == "gpt-oss":
        numbers += shape.heads * shape.head_width
    rows -= _turned(shape, setting)
    return (numbers + rows * embedding) * setting.ubatch * 4 + _mask(shape, setting)


def _at_state(shape: Shape, setting: Setting) -> int:
    """While a state-space layer is computed."""
    if not shape.hybrid:
        return 0
    tokens = setting.ubatch
    alive = shape.beside_state * tokens * 4 + _mask(shape, setting)
    if not shape.scanned_state:
        return alive + 2 * max(layer.state for layer in shape.layers)
    if shape.scanned_state > shape.scan_gap * tokens * 4:
        return alive + shape.scanned_state
    # The scan takes the gap that its input left, and what is copied from it finds none: it goes on top of all, above
    # the two rows that a feed-forward network left, which are too small for the wide projection.
    return alive + (2 * shape.embedding * tokens * 4 if shape.in_turn else 0)


def _dequantized(shape: Shape, setting: Setting) -> int:
    """CUDA's flash attention unpacks the quantized cache of one layer to 16 bits, for as long as it works on it."""
    if not setting.quantized:
        return 0
    whole, window = setting.cells, setting.window_cells(shape.window)
    return max((window if layer.windowed else whole) * (layer.keys + layer.values) * 2 for layer in shape.layers)


@dataclass(frozen=True, slots=True)
class HeaderEstimate:
    """The needs of a model whose header could be read."""

    shape: Shape
    method: str = "header"
    weights_doubt: float = 0.0
    """One standard deviation of the weights, as a share of them: 0 where the tensor table is that of the file."""

    @classmethod
    def of(cls, header: GgufHeader) -> HeaderEstimate:
        """From a header. Raises ArenaError when it leaves out what is needed."""
        return cls(shape_of(header))

    @property
    def trained(self) -> int | None:
        """The longest context that the model was trained for, in tokens."""
        return self.shape.trained

    @property
    def layers(self) -> int:
        """Layers, and the output as one more: what llama.cpp counts as layers on a GPU."""
        return len(self.shape.layers) + 1

    def in_ram(self, setting: Setting, *, gpu_layers: int = 0) -> Need:
        """What it takes in RAM when a GPU has the last `gpu_layers` layers."""
        shape = self.shape
        layers = shape.layers[: self.layers - max(0, min(gpu_layers, self.layers))]
        weights = sum(layer.weights for layer in layers) + shape.host_weights if gpu_layers > 0 else shape.weights
        parts = self._parts(layers, setting, weights, compute_bytes(shape, setting, on_gpu=False), PROCESS_BYTES)
        return Need(parts, self._sigma(parts, _SIGMA_RAM))

    def on_gpu(self, setting: Setting, *, gpu_layers: int | None = None, multiprocessors: int | None = None) -> Need:
        """What it takes on one GPU that gets the last `gpu_layers` layers; None: everything."""
        shape = self.shape
        count = self.layers if gpu_layers is None else max(0, min(gpu_layers, self.layers))
        layers = shape.layers[self.layers - count :]
        weights = sum(layer.weights for layer in layers) + (shape.output_weights if count else 0)
        # the batches of a prompt pull weights of the host over, one tensor at a time
        whole = count == self.layers
        compute = compute_bytes(shape, setting, on_gpu=True) + (0 if whole else shape.largest_tensor)
        parts = self._parts(layers, setting, weights, compute, gpu_overhead(multiprocessors))
        overhead = OVERHEAD_SIGMA_BYTES[multiprocessors is not None]
        return Need(parts, self._sigma(parts, overhead if whole else _SIGMA_PARTIAL))

    def _sigma(self, parts: FitParts, other: int) -> int:
        return round(math.hypot(SIGMA_SHARE * parts.total, self.weights_doubt * parts.weights, other))

    def _parts(
        self, layers: tuple[Layer, ...], setting: Setting, weights: int, compute: int, overhead: int
    ) -> FitParts:
        return FitParts(
            weights=weights,
            kv=kv_bytes(self.shape, layers, setting),
            recurrent=setting.slots * sum(layer.state for layer in layers),
            compute=compute,
            overhead=overhead,
        )
