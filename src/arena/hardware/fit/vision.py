"""The part of a model that looks at images: a file of its own (mmproj), loaded with the model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from arena.core.machine import GIB
from arena.hardware.fit.estimate import Estimate, Need, Setting

SIGMA_BYTES = 3 * GIB // 10
"""One standard deviation: how large its scratch memory is depends on the image, and on who runs it."""


@dataclass(frozen=True, slots=True)
class WithVision:
    """A model with that part, which lies on the GPU as a whole where there is one."""

    text: Estimate
    """The model without it."""
    weights: int
    """Bytes of that part."""

    @property
    def method(self) -> str:
        """How the rest is known."""
        return self.text.method

    @property
    def trained(self) -> int | None:
        """The longest context that the model was trained for, in tokens."""
        return self.text.trained

    @property
    def layers(self) -> int | None:
        """Layers of the rest."""
        return self.text.layers

    @property
    def formula(self) -> object:
        """The estimate that knows the shape of the model, for those who ask for more than bytes."""
        return getattr(self.text, "formula", self.text)

    def in_ram(self, setting: Setting, *, gpu_layers: int = 0) -> Need:
        """What it takes in RAM when a GPU has the last `gpu_layers` layers."""
        need = self.text.in_ram(setting, gpu_layers=gpu_layers)
        return need if gpu_layers else self._with(need)

    def on_gpu(self, setting: Setting, *, gpu_layers: int | None = None, multiprocessors: int | None = None) -> Need:
        """What it takes on one GPU that gets the last `gpu_layers` layers; None: everything."""
        return self._with(self.text.on_gpu(setting, gpu_layers=gpu_layers, multiprocessors=multiprocessors))

    def _with(self, need: Need) -> Need:
        parts = replace(need.parts, weights=need.parts.weights + self.weights)
        return Need(parts, round(math.hypot(need.sigma_bytes, SIGMA_BYTES)))
