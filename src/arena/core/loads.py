"""Loads: what a model took of a device when it was really loaded, beside what had been predicted for it."""

from __future__ import annotations

from dataclasses import dataclass

from arena.core.models import ModelRef

ALL_LAYERS = -1
"""Instead of a number of layers on GPUs."""
RAM = "ram"
"""The device of a load that no GPU took part in."""
GPU = "gpu:"
"""Begins the device of the others; the uuid of the GPU follows, and `+gpu:UUID` for each further one."""
EMBEDDED = "embedded"
"""The runtime of models that run in a process of this program."""


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """What a backend knows of a load that has just ended."""

    pid: int
    """The process that holds the model, and nothing else."""
    gpu_layers: int
    """Layers that went to GPUs; ALL_LAYERS or a number, 0 being none."""
    build: str
    """What computes, with its version: `CPU build 0.3.36`, `CUDA 0.3.36`."""
    runtime: str = EMBEDDED


@dataclass(frozen=True, slots=True)
class Load:
    """One real load."""

    at: str
    """UTC, ISO 8601; only the day where the time of day is kept back, see `open_loads` of the store."""
    device: str
    """`ram`, `gpu:UUID`, `gpu:UUID+gpu:UUID` for a model that was cut over several."""
    device_name: str
    """As its driver calls it; '' for RAM."""
    runtime: str
    build: str
    ref: ModelRef
    """Address and digest."""
    context: int
    """Tokens."""
    kv_type: str
    gpu_layers: int
    """As in LoadFacts."""
    predicted_bytes: int
    """What would have been said before the load, with all that was learnt until then."""
    predicted_sigma_bytes: int
    """One standard deviation of it."""
    method: str
    """How it was known: measured, exact, header, catalogue."""
    measured_bytes: int
    """Of a GPU: what its driver says the process holds. Of RAM: resident memory, without pages never touched."""
    buffers_bytes: int
    """Weights, KV cache, state and compute buffers by the estimate alone: what remains of the measured is overhead."""

    @property
    def difference_bytes(self) -> int:
        """Measured less predicted."""
        return self.measured_bytes - self.predicted_bytes

    @property
    def difference_percent(self) -> float | None:
        """The same in percent of the measured; None when nothing was measured."""
        return 100 * self.difference_bytes / self.measured_bytes if self.measured_bytes else None
