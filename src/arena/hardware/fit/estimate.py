"""What an estimate is asked and what it answers: a setting goes in, bytes and how sure they are come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from arena.core.errors import UsageError
from arena.core.gguf import BLOCKS
from arena.core.machine import MIB, FitParts
from arena.core.variants import KV_TYPES

CELL_STEP = 256
"""llama.cpp rounds every cache up to a multiple of that many tokens."""

PROCESS_BYTES = 60 * MIB
"""What a process takes besides its buffers: the interpreter, the libraries, the tokenizer."""
OVERHEAD_BYTES = 300 * MIB
"""CUDA context, kernels and pools of a process on a GPU of unknown size: 107 to 555 MiB have been published."""
OVERHEAD_PER_MULTIPROCESSOR = 3 * MIB
"""The same where the number of multiprocessors is known: 107 MiB with 34 of them, 555 MiB with 188."""
OVERHEAD_SIGMA_BYTES = {True: 50 * MIB, False: 100 * MIB}
"""One standard deviation of either: with the number of multiprocessors known, and without."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a model is run, as far as that changes what it needs."""

    batch: int = 2048
    ubatch: int = 512
    """Tokens of a prompt that are computed at once."""
    flash_attention: bool = True
    full_window: bool = False
    """Layers with a sliding window keep the whole context all the same."""
    all_logits: bool = False
    """Room is reserved for the logits of every token of a batch, not only of the last one."""


SERVER = Runtime()
"""llama-server, and Ollama since 0.30, which starts it."""
EMBEDDED = Runtime(batch=512)
"""`llama_cpp.Llama(path, n_ctx=..., flash_attn=True, swa_full=False)`, as the worker of arena calls it: 0.3.36, told to
reserve the logits of one token."""
EMBEDDED_AS_IT_COMES = Runtime(batch=512, all_logits=True)
"""The same without being told: hundreds of MiB more."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is asked of the model."""

    context: int
    """Tokens per slot."""
    kv_type: str = "f16"
    slots: int = 1
    """Conversations at once."""
    runtime: Runtime = SERVER

    def __post_init__(self) -> None:
        """Refuse a KV type that there is not."""
        if self.kv_type not in KV_TYPES:
            raise UsageError(f"'{self.kv_type}' is no type of KV cache.", f"Types: {', '.join(KV_TYPES)}.")

    @property
    def quantized(self) -> bool:
        """The cache takes less than 16 bits per number; that works with flash attention only."""
        return self.kv_type not in ("f32", "f16", "bf16")

    @property
    def flash_attention(self) -> bool:
        """Whether it is used."""
        return self.runtime.flash_attention or self.quantized

    @property
    def cells(self) -> int:
        """Tokens that a slot's cache has room for."""
        return _padded(max(1, self.context))

    @property
    def ubatch(self) -> int:
        """Tokens computed at once, in this context."""
        return min(self.runtime.ubatch, self.runtime.batch, self.cells)

    def window_cells(self, window: int) -> int:
        """The same as `cells` for a layer with a sliding window."""
        return self.cells if self.runtime.full_window else min(self.cells, _padded(window + self.ubatch))

    def kv_bytes(self, numbers: int) -> int:
        """Bytes of that many numbers in the cache."""
        block, size = BLOCKS[self.kv_type.upper()]
        return numbers * size // block


def _padded(tokens: int) -> int:
    return -(-tokens // CELL_STEP) * CELL_STEP


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes on one device, and how sure that is."""

    parts: FitParts
    sigma_bytes: int
    """One standard deviation of the total."""

    @property
    def sure_bytes(self) -> int:
        """What suffices in 39 of 40 cases: two standard deviations more."""
        return self.parts.total + 2 * self.sigma_bytes


class Estimate(Protocol):
    """What is known of the needs of one model."""

    @property
    def method(self) -> str:
        """How it is known: `exact`, `header`, `catalogue`."""
        ...

    @property
    def trained(self) -> int | None:
        """The longest context that the model was trained for, in tokens."""
        ...

    @property
    def layers(self) -> int | None:
        """Layers that can be placed one by one; None: unknown."""
        ...

    def in_ram(self, setting: Setting, *, gpu_layers: int = 0) -> Need:
        """What it takes in RAM when a GPU has the last `gpu_layers` layers."""
        ...

    def on_gpu(self, setting: Setting, *, gpu_layers: int | None = None, multiprocessors: int | None = None) -> Need:
        """What it takes on one GPU that gets the last `gpu_layers` layers; None: everything."""
        ...


def gpu_overhead(multiprocessors: int | None) -> int:
    """Bytes that a process takes on a GPU besides its buffers."""
    return OVERHEAD_BYTES if multiprocessors is None else OVERHEAD_PER_MULTIPROCESSOR * multiprocessors
