"""What would make a model fit that does not: each lever with the bytes that it saves, found by asking again.

No lever is a rule of thumb: the model is estimated once more with the lever pulled, and judged on the same machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from arena.core.fit import Lever, LeverKind
from arena.core.gguf import BLOCKS
from arena.core.machine import Fits, FitVerdict, Gpu, Machine, human_bytes
from arena.core.text import clean_line
from arena.hardware.fit.devices import Device, gpus_of, ram, roomiest
from arena.hardware.fit.estimate import CELL_STEP, Estimate, Setting
from arena.hardware.fit.verdict import judge, layers_on, longest_context

_KV_TYPES = ("q8_0", "q4_0")
_COST = {kind: cost for cost, kind in enumerate(LeverKind)}


def levers(
    model: str,
    estimate: Estimate,
    machine: Machine,
    setting: Setting,
    *,
    smaller: Sequence[tuple[str, Estimate]] = (),
    reclaimable: Sequence[tuple[str, int]] = (),
    multiprocessors: Mapping[str, int] | None = None,
) -> tuple[Lever, ...]:
    """What would make the model fit, the cheapest first; then what only helps; () for a model that fits.

    `smaller`: names and estimates of smaller quantizations. `reclaimable`: names of loaded models and the bytes that
    unloading each gives back. `multiprocessors`: how many each GPU has, by uuid.
    """
    setting = replace(setting, context=min(setting.context, estimate.trained or setting.context))
    bench = _Bench(model, machine, estimate, setting, dict(multiprocessors or {}))
    if bench.is_good(bench.judged(setting)):
        return ()
    found = [
        *(bench.unloaded(name, size) for name, size in reclaimable if size > 0),
        *bench.fewer_slots(),
        *bench.other_cache(),
        *bench.shorter(),
        *(bench.quantized(name, other) for name, other in smaller),
    ]
    if not any(lever.makes_it_fit for lever in found):
        found += bench.combined()
    found += bench.in_layers()
    return tuple(sorted((lever for lever in found if lever.saves_bytes > 0), key=_order))


def _order(lever: Lever) -> tuple[int, int, int]:
    """What makes it fit first, by its cost, then by how little is saved; of the others what saves most.

    Combinations stay in their order: each shortens the context as little as it can.
    """
    if lever.makes_it_fit:
        return (0, _COST[lever.kind], 0 if lever.kind is LeverKind.COMBINATION else lever.saves_bytes)
    return (1, 0, -lever.saves_bytes)


@dataclass(frozen=True, slots=True)
class _Bench:
    """The model as it was asked for, where levers are tried."""

    model: str
    machine: Machine
    estimate: Estimate
    setting: Setting
    multiprocessors: Mapping[str, int]

    @property
    def devices(self) -> tuple[Device, ...]:
        """The GPUs, else the RAM: where the model is wanted."""
        return gpus_of(self.machine, self.multiprocessors) or (ram(self.machine),)

    def judged(self, setting: Setting, estimate: Estimate | None = None, machine: Machine | None = None) -> FitVerdict:
        return judge(self.model, estimate or self.estimate, machine or self.machine, setting, self.multiprocessors)

    def is_good(self, verdict: FitVerdict) -> bool:
        """It fits where it is wanted; RAM does for a machine without a GPU only."""
        return verdict.verdict is (Fits.CPU if self.devices[0].gpu is None else Fits.FITS)

    def saved(self, setting: Setting, estimate: Estimate | None = None) -> int:
        """Bytes less than asked for, on the roomiest of the devices."""
        device = roomiest(self.devices) or self.devices[0]
        before = device.need(self.estimate, self.setting).parts.total
        return before - device.need(estimate or self.estimate, setting).parts.total

    def lever(self, kind: LeverKind, what: str, setting: Setting, estimate: Estimate | None = None) -> Lever:
        verdict = self.judged(setting, estimate)
        return Lever(kind, what, self.saved(setting, estimate), self.is_good(verdict), verdict.verdict)

    def fewer_slots(self) -> list[Lever]:
        if self.setting.slots < 2:
            return []
        one = replace(self.setting, slots=1)
        return [self.lever(LeverKind.SLOTS, f"1 slot instead of {self.setting.slots}", one)]

    def other_cache(self) -> list[Lever]:
        return [
            self.lever(LeverKind.KV, f"KV cache {each} instead of {self.setting.kv_type}", self._cached(each))
            for each in self._narrower()
        ]

    def shorter(self) -> list[Lever]:
        """The longest context that fits; where none does, half of it, to say what that saves."""
        asked = self.setting.context
        context = self._longest(self.setting) or asked // 2 // CELL_STEP * CELL_STEP
        if not 0 < context < asked:
            return []
        what = f"context {context} instead of {asked}"
        return [self.lever(LeverKind.CONTEXT, what, replace(self.setting, context=context))]

    def quantized(self, name: str, other: Estimate) -> Lever:
        setting = replace(self.setting, context=min(self.setting.context, other.trained or self.setting.context))
        return self.lever(LeverKind.QUANTIZATION, f"{clean_line(name, 60)} instead", setting, other)

    def unloaded(self, name: str, size: int) -> Lever:
        """Which GPU it is on is not told: it has to help wherever it may be."""
        verdicts = [self.judged(self.setting, machine=each) for each in _without(self.machine, size)]
        worst = next((each for each in verdicts if not self.is_good(each)), verdicts[0])
        return Lever(LeverKind.UNLOAD, f"unload {clean_line(name, 60)}", size, self.is_good(worst), worst.verdict)

    def combined(self) -> list[Lever]:
        """A shorter context with a narrower cache, and with one slot where that is still not enough."""
        for slots in sorted({self.setting.slots, 1}, reverse=True):
            found = [lever for kv in self._narrower() for lever in self._both(kv, slots)]
            if found:
                return found
        return []

    def _both(self, kv_type: str, slots: int) -> list[Lever]:
        setting = replace(self._cached(kv_type), slots=slots)
        context = self._longest(setting)
        if not context:
            return []
        words = [f"context {context}"] if context < self.setting.context else []
        words += [f"KV cache {kv_type}"] + (["1 slot"] if slots < self.setting.slots else [])
        return [self.lever(LeverKind.COMBINATION, " and ".join(words), replace(setting, context=context))]

    def in_layers(self) -> list[Lever]:
        """As many layers on the roomiest GPU as surely have room there, the others in RAM if they have room there."""
        gpu, memory, count = roomiest(gpus_of(self.machine, self.multiprocessors)), ram(self.machine), 0
        if gpu is not None and not gpu.shared and self.estimate.layers is not None:
            count = layers_on(self.estimate, self.setting, gpu, sigmas=2)
        if gpu is None or not count:
            return []
        measure = partial(self.estimate.on_gpu, self.setting, multiprocessors=gpu.multiprocessors)
        in_ram = partial(self.estimate.in_ram, self.setting)
        rest = in_ram(gpu_layers=count)
        moved = rest.parts.total - in_ram(gpu_layers=self.estimate.layers or 0).parts.total
        fits = rest.sure_bytes <= memory.usable_bytes
        what = f"{count} of {self.estimate.layers} layers on the GPU, {human_bytes(moved)} more in RAM"
        saves = measure().parts.total - measure(gpu_layers=count).parts.total
        return [Lever(LeverKind.LAYERS, what, saves, fits, Fits.PARTIAL if fits else Fits.NO)]

    def _narrower(self) -> list[str]:
        """KV types that take less than the one asked for."""

        def bits(kv_type: str) -> float:
            block, size = BLOCKS[kv_type.upper()]
            return size / block

        return [each for each in _KV_TYPES if bits(each) < bits(self.setting.kv_type)]

    def _cached(self, kv_type: str) -> Setting:
        return replace(self.setting, kv_type=kv_type)

    def _longest(self, setting: Setting) -> int:
        return longest_context(self.estimate, setting, self.devices, self.setting.context)


def _without(machine: Machine, size: int) -> list[Machine]:
    """The machine with so many bytes given back, once for each GPU that may have held them.

    What no GPU alone can have held was on all of them, in shares of what they hold. Without GPUs it was in RAM.
    """
    if not any(gpu.free_bytes is not None for gpu in machine.gpus):
        return [replace(machine, ram_free_bytes=min(machine.ram_free_bytes + size, machine.ram_total_bytes))]
    held = [_held(gpu) for gpu in machine.gpus]
    alone = [index for index, each in enumerate(held) if each >= size]
    if alone:
        return [_given_back(machine, [size * (gpu == index) for gpu in range(len(held))]) for index in alone]
    all_held = max(1, sum(held))
    return [_given_back(machine, [min(each, size * each // all_held) for each in held])]


def _held(gpu: Gpu) -> int:
    """Bytes of that GPU that are in use; 0 where the driver does not say."""
    if gpu.free_bytes is None or gpu.total_bytes is None:
        return 0
    return max(0, gpu.total_bytes - gpu.reserved_bytes - gpu.free_bytes)


def _given_back(machine: Machine, sizes: Sequence[int]) -> Machine:
    gpus = tuple(
        gpu if gpu.free_bytes is None else replace(gpu, free_bytes=gpu.free_bytes + size)
        for gpu, size in zip(machine.gpus, sizes, strict=True)
    )
    return replace(machine, gpus=gpus)
