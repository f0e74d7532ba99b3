"""What a model needs, from its header alone: weights, KV cache, recurrent state, compute buffer, overhead, in bytes.

The formulas are those of llama.cpp's allocator. Against its own accounting weights and cache came out to the byte, and
the total within 0.5 % in 95 of 100 cases (97 settings of 14 models, CPU build); what a driver takes for itself is in no
file and stays an estimate. The compute buffer on a GPU is derived from the one on a CPU and checked on published logs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from arena.core.gguf import GgufHeader
from arena.core.machine import MIB, FitParts
from arena.hardware.fit.estimate import PROCESS_BYTES, Need, Setting, gpu_overhead
from arena.hardware.fit.shape import Layer, Shape, shape_of

_SIGMA_SHARE = 0.003
_SIGMA_KNOWN, _SIGMA_UNKNOWN, _SIGMA_PARTIAL, _SIGMA_RAM = 50 * MIB, 100 * MIB, 300 * MIB, 30 * MIB


def layer_kv_bytes(shape: Shape, layer: Layer, setting: Setting) -> int:
    """The KV cache of one layer, all slots together."""
    if not layer.keys + layer.values:
        return 0
    cells = setting.window_cells(shape.window) if layer.windowed else setting.cells
    # without flash attention V lies transposed, every layer as wide as the widest
    values = layer.values if setting.flash_attention or not layer.values else shape.widest_values
    return setting.kv_bytes(setting.slots * cells * (layer.keys + values))


def compute_bytes(shape: Shape, setting: Setting, *, on_gpu: bool) -> int:
    """The scratch memory of one forward pass: the largest of the three moments at which most is alive at once."""
    tokens = setting.ubatch
    row = shape.embedding * tokens * 4
    windowed = setting.window_cells(shape.window) if shape.window else 0
    queries = 3 * shape.heads * shape.head_width * tokens * 4
    mask = (setting.cells + windowed) * tokens * (2 if setting.flash_attention else 4)
    outputs = tokens if setting.runtime.all_logits else min(tokens, setting.slots)
    at_logits = outputs * (shape.vocabulary + shape.embedding) * 4 + row
    if setting.flash_attention:
        at_attention = mask + queries + 2 * row + (_dequantized(shape, setting) if on_gpu else 0)
    else:
        at_attention = mask + shape.heads * setting.cells * tokens * 4 + queries + 3 * row
    experts = shape.experts_used
    dense = 3 * shape.feed_forward * tokens * 4 + 4 * row
    routed = (3 * experts * shape.expert_feed_forward + experts * shape.embedding) * tokens * 4 + 5 * row
    at_feed_forward = max(dense, routed if experts else 0) + mask
    # the embeddings of the tokens are looked up on the host, which saves the GPU a row
    return max(at_logits, at_attention, at_feed_forward) + (row if shape.hybrid else 0) - (row if on_gpu else 0)


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
        return Need(parts, round(math.hypot(_SIGMA_SHARE * parts.total, _SIGMA_RAM)))

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
        known = _SIGMA_UNKNOWN if multiprocessors is None else _SIGMA_KNOWN
        return Need(parts, round(math.hypot(_SIGMA_SHARE * parts.total, known if whole else _SIGMA_PARTIAL)))

    def _parts(
        self, layers: tuple[Layer, ...], setting: Setting, weights: int, compute: int, overhead: int
    ) -> FitParts:
        return FitParts(
            weights=weights,
            kv=sum(layer_kv_bytes(self.shape, layer, setting) for layer in layers),
            recurrent=setting.slots * sum(layer.state for layer in layers),
            compute=compute,
            overhead=overhead,
        )
