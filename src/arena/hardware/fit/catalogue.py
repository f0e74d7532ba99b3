"""A rough estimate for a model of which only the size is known: no header, no layers, a name and a few numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from arena.core.machine import GIB, MIB, FitParts
from arena.core.models import ModelInfo
from arena.hardware.fit.estimate import PROCESS_BYTES, Need, Setting, gpu_overhead

COMPUTE_BYTES = 3 * GIB // 10
"""The scratch memory of a usual model with flash attention."""

SIGMA_SHARE = 0.08
"""Recipes of the same name differ by 3 to 8 % between publishers; the cache is a guess on top."""
_SIGMA_OVERHEAD = 100 * MIB

# Bits per parameter of Llama 3.1 8B: llama.cpp, tools/quantize/README.md; MXFP4 by its block of 32 in 17 bytes.
_BITS = {
    "F32": 32.0, "F16": 16.0, "BF16": 16.0, "Q8_0": 8.5, "Q6_K": 6.56, "Q5_K_M": 5.7, "Q5_K_S": 5.57,
    "Q5_1": 6.0, "Q5_0": 5.5, "Q4_K_M": 4.89, "Q4_K_S": 4.67, "Q4_1": 5.0, "Q4_0": 4.65, "IQ4_NL": 4.68,
    "IQ4_XS": 4.46, "MXFP4": 4.25, "Q3_K_L": 4.3, "Q3_K_M": 4.0, "Q3_K_S": 3.64, "IQ3_M": 3.76, "IQ3_S": 3.66,
    "IQ3_XS": 3.5, "IQ3_XXS": 3.25, "Q2_K": 3.16, "Q2_K_S": 2.97, "IQ2_M": 2.93, "IQ2_S": 2.74, "IQ2_XS": 2.59,
    "IQ2_XXS": 2.38, "IQ1_M": 2.15, "IQ1_S": 2.0,
}  # fmt: skip

# Numbers in the cache per token of a model of 8 billion parameters: 32 layers x 8 heads x 128, once for K, once for V.
# It grows about as the root of the size: Llama 3.1 70B has 2.5 times as many, Qwen 2.5 32B twice as many.
_CACHED_NUMBERS, _CACHED_AT = 2 * 32 * 8 * 128, 8e9


@dataclass(frozen=True, slots=True)
class CatalogueEstimate:
    """The needs of a model of that size."""

    weights: int
    """Bytes."""
    active_parameters: float
    trained: int | None = None
    """The longest context that the model was trained for, in tokens."""
    layers: int | None = None
    """Unknown here."""
    method: str = "catalogue"

    @classmethod
    def of(cls, info: ModelInfo) -> CatalogueEstimate | None:
        """From what an endpoint says of a model; None when it says neither a size nor parameters and quantization."""
        bits = _BITS.get(info.quantization.upper())
        weights = info.size_bytes
        if not weights and info.parameters and bits:
            weights = round(info.parameters * bits / 8)
        if not weights or weights < 0:
            return None
        parameters = info.active_parameters or info.parameters or weights * 8 / (bits or _BITS["Q4_K_M"])
        return cls(weights, max(1.0, parameters), info.context)

    def in_ram(self, setting: Setting, *, gpu_layers: int = 0) -> Need:
        """What it takes in RAM; what a GPU takes over is not known layer by layer."""
        del gpu_layers
        return self._need(setting, PROCESS_BYTES)

    def on_gpu(self, setting: Setting, *, gpu_layers: int | None = None, multiprocessors: int | None = None) -> Need:
        """What it takes on one GPU, as a whole."""
        del gpu_layers
        return self._need(setting, gpu_overhead(multiprocessors))

    def _need(self, setting: Setting, overhead: int) -> Need:
        numbers = _CACHED_NUMBERS * math.sqrt(self.active_parameters / _CACHED_AT)
        parts = FitParts(
            weights=self.weights,
            kv=setting.kv_bytes(round(numbers * setting.cells * setting.slots)),
            compute=COMPUTE_BYTES,
            overhead=overhead,
        )
        return Need(parts, round(math.hypot(SIGMA_SHARE * parts.total, _SIGMA_OVERHEAD)))
