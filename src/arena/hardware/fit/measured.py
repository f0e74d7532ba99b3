"""What past loads teach: a model that was measured needs what it took, and a driver takes what it took before.

Two things are learnt, for each GPU, runtime and build. A model that was loaded whole with the same context and cache
needs what the driver then said. For every other model the overhead of the process, which no file tells, is the median
of what was measured beyond the buffers. A card of the same name stands in for one that was never used. Loads in RAM
teach nothing: pages that were not touched yet are missing from what a process holds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from arena.core.loads import ALL_LAYERS, GPU, Load
from arena.core.machine import GIB, MIB, FitParts, Fits, FitVerdict, Gpu
from arena.hardware.fit.estimate import OVERHEAD_SIGMA_BYTES, Estimate, Need, Runtime, Setting

MEASURED_SIGMA_BYTES = 16 * MIB
"""Two loads of the same model differ by that: pools grow as they are used."""
LEARNT_SIGMA_BYTES = 10 * MIB
"""Overheads that were learnt on one model held for others within it: FIT.md 1.0."""
MOST_OVERHEAD_BYTES = 2 * GIB
"""More than any driver takes: such a row measured something else."""
NEWEST = 5
"""So many loads of one model in one setting count; the largest of them is what has to fit."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a process takes on a GPU besides its buffers, as learnt."""

    typical_bytes: int
    sigma_bytes: int


class Calibration:
    """Past loads, sorted by what they can be asked for."""

    def __init__(self, loads: Iterable[Load] = ()) -> None:
        """`loads` newest first. Of each GPU and runtime only those of its newest build count; odd ones never do."""
        builds: dict[tuple[str, str], str] = {}
        self._overheads: dict[tuple[str, str], list[int]] = {}
        self._measured: dict[tuple[object, ...], list[int]] = {}
        for load in filter(_teaches, loads):
            for card in {load.device, load.device_name} - {""}:
                if builds.setdefault((card, load.runtime), load.build) == load.build:
                    self._add(card, load)

    def __bool__(self) -> bool:
        """Whether anything was learnt."""
        return bool(self._overheads or self._measured)

    def _add(self, card: str, load: Load) -> None:
        overhead = load.measured_bytes - load.buffers_bytes
        if overhead > 0:
            self._overheads.setdefault((card, load.runtime), []).append(overhead)
        if load.ref.digest:
            key = (card, load.runtime, load.ref.digest, load.context, load.kv_type)
            self._measured.setdefault(key, []).append(load.measured_bytes)

    def overhead(self, gpu: Gpu, runtime: str) -> Overhead | None:
        """What that runtime takes there besides the buffers; None where it was never measured."""
        for card in _cards(gpu):
            if found := self._overheads.get((card, runtime)):
                spread = statistics.pstdev(found)
                return Overhead(round(statistics.median(found)), max(LEARNT_SIGMA_BYTES, round(spread)))
        return None

    def measured(self, gpu: Gpu, runtime: str, digest: str, setting: Setting) -> int | None:
        """Bytes that the model took there in that setting; None where it was never loaded so."""
        for card in _cards(gpu):
            if found := self._measured.get((card, runtime, digest, setting.context, setting.kv_type)):
                return max(found[:NEWEST])
        return None


def _teaches(load: Load) -> bool:
    """A whole model on one GPU, and a figure that can be true."""
    whole = load.device.startswith(GPU) and "+" not in load.device and load.gpu_layers == ALL_LAYERS
    most = load.buffers_bytes + MOST_OVERHEAD_BYTES
    return whole and load.buffers_bytes > 0 and 0 < load.measured_bytes <= most


def _cards(gpu: Gpu) -> tuple[str, ...]:
    """Under what its loads are found: itself, else its name. A GPU that is only imagined has no uuid, and no loads."""
    return (f"{GPU}{gpu.uuid}", *filter(None, [gpu.name])) if gpu.uuid else ()


@dataclass(frozen=True, slots=True)
class CalibratedEstimate:
    """An estimate, corrected on the GPUs of one machine by what was measured there."""

    estimate: Estimate
    calibration: Calibration
    gpus: tuple[Gpu, ...]
    """Those with memory of their own."""
    multiprocessors: Mapping[str, int]
    """How many each has, by uuid, where that is known."""
    runtime: str
    usual: Runtime
    """How that runtime loads models: what was measured was measured so."""
    digest: str

    @property
    def method(self) -> str:
        """How the estimate is known; `verdict` says where it was measured instead."""
        return self.estimate.method

    @property
    def trained(self) -> int | None:
        """The longest context that the model was trained for, in tokens."""
        return self.estimate.trained

    @property
    def layers(self) -> int | None:
        """Layers that can be placed one by one; None: unknown."""
        return self.estimate.layers

    @property
    def formula(self) -> object:
        """The estimate that knows the shape of the model, for those who ask for more than bytes."""
        return getattr(self.estimate, "formula", self.estimate)

    def in_ram(self, setting: Setting, *, gpu_layers: int = 0) -> Need:
        """What it takes in RAM, as estimated."""
        return self.estimate.in_ram(setting, gpu_layers=gpu_layers)

    def on_gpu(self, setting: Setting, *, gpu_layers: int | None = None, multiprocessors: int | None = None) -> Need:
        """What it takes on one GPU; where several have that many multiprocessors, on the one where it takes most."""
        need = self.estimate.on_gpu(setting, gpu_layers=gpu_layers, multiprocessors=multiprocessors)
        same = [gpu for gpu in self.gpus if self.multiprocessors.get(gpu.uuid) == multiprocessors]
        whole = gpu_layers is None or gpu_layers == self.layers
        found = [self._on(gpu, need, setting, whole=whole, known=multiprocessors is not None) for gpu in same]
        return max(found, key=lambda each: each.sure_bytes, default=need)

    def method_on(self, gpu: Gpu, setting: Setting) -> str:
        """How it is known what the whole model takes on that GPU: `measured`, or as the estimate says."""
        parts = self.estimate.on_gpu(setting, multiprocessors=self.multiprocessors.get(gpu.uuid)).parts
        return self.method if self._measured_parts(gpu, parts, setting) is None else "measured"

    def verdict(self, judged: FitVerdict, setting: Setting) -> FitVerdict:
        """The verdict, with the method `measured` where it rests on that. `setting` is what was asked for."""
        setting = replace(setting, context=judged.context)
        on = [gpu for gpu in self.gpus if judged.device == f"gpu {gpu.index}"]
        if judged.verdict not in (Fits.FITS, Fits.TIGHT) or not on:
            return judged
        method, longest = self.method_on(on[0], setting), judged.max_context
        if method == "measured" and judged.verdict is Fits.FITS:
            # what is estimated for a little less may be more than what was measured
            longest = max(longest or 0, judged.context)
        return replace(judged, method=method, max_context=longest)

    def _on(self, gpu: Gpu, need: Need, setting: Setting, *, whole: bool, known: bool) -> Need:
        parts = self._measured_parts(gpu, need.parts, setting) if whole else None
        if parts is not None:
            return Need(parts, MEASURED_SIGMA_BYTES)
        learnt = self.calibration.overhead(gpu, self.runtime)
        if learnt is None:
            return need
        parts = replace(need.parts, overhead=learnt.typical_bytes)
        if not whole:
            return Need(parts, need.sigma_bytes)
        rest = math.sqrt(max(0, need.sigma_bytes**2 - OVERHEAD_SIGMA_BYTES[known] ** 2))
        return Need(parts, round(math.hypot(rest, learnt.sigma_bytes)))

    def _measured_parts(self, gpu: Gpu, parts: FitParts, setting: Setting) -> FitParts | None:
        """What was measured, cut as the estimate cuts it; None where nothing was, or less than the weights take."""
        if setting.slots != 1 or setting.runtime != self.usual:
            return None
        found = self.calibration.measured(gpu, self.runtime, self.digest, setting) if self.digest else None
        rest = (found or 0) - parts.weights - parts.kv - parts.recurrent
        if found is None or rest < 0:
            return None
        compute = min(parts.compute, rest)
        return replace(parts, compute=compute, overhead=rest - compute)


def calibrated(
    estimate: Estimate,
    calibration: Calibration,
    gpus: Sequence[Gpu],
    multiprocessors: Mapping[str, int],
    *,
    runtime: str,
    usual: Runtime,
    digest: str = "",
) -> CalibratedEstimate:
    """That estimate, corrected by past loads of `runtime` on these GPUs. `digest` is that of the model, if known."""
    own = tuple(gpu for gpu in gpus if gpu.uuid and not gpu.shares_ram)
    return CalibratedEstimate(estimate, calibration, own, multiprocessors, runtime, usual, digest)
