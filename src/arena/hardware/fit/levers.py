"""What would make a model fit that does not: each lever with the bytes that it saves, found by asking again.

No lever is a rule of thumb: the model is estimated once more with the lever pulled, and judged on the same machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from arena.core.fit import Lever, LeverKind
from arena.core.gguf import BLOCKS
from arena.core.machine import Fits, FitVerdict, GpuProcess, Machine, ProcessKind, human_bytes
from arena.core.text import clean_line
from arena.hardware.fit.devices import Device, freed, given_back, gpus_of, joined, ram, roomiest
from arena.hardware.fit.estimate import CELL_STEP, Estimate, Setting
from arena.hardware.fit.split import offload
from arena.hardware.fit.verdict import judge, longest_context

_KV_TYPES = ("q8_0", "q4_0")
_HOLDERS = {ProcessKind.OWN: "arena's own models", ProcessKind.OLLAMA: "Ollama's models"}
_COST = {kind: cost for cost, kind in enumerate(LeverKind)}


def levers(
    model: str,
    estimate: Estimate,
    machine: Machine,
    setting: Setting,
    *,
    smaller: Sequence[tuple[str, Estimate]] = (),
    reclaimable: Sequence[tuple[str, int | Sequence[int]]] = (),
    multiprocessors: Mapping[str, int] | None = None,
    held: int = 0,
) -> tuple[Lever, ...]:
    """What would make the model fit, the cheapest first; then what only helps; () for a model that fits.

    `smaller`: names and estimates of smaller quantizations. `reclaimable`: names of loaded models and the bytes that
    unloading each gives back, somewhere or on each of the GPUs. `multiprocessors`: how many each GPU has, by uuid.
    `held`: bytes that the model itself holds already.
    """
    setting = replace(setting, context=min(setting.context, estimate.trained or setting.context))
    if judge(model, estimate, machine, setting, multiprocessors, held=held).verdict is _good(machine):
        return ()
    if held > 0:
        # with any lever it is loaded anew, wherever it is now
        machine = min(given_back(machine, held), key=_most_free)
    bench = _Bench(model, machine, estimate, setting, dict(multiprocessors or {}))
    found = [
        *(bench.unloaded(name, size) for name, size in reclaimable),
        *bench.fewer_slots(),
        *bench.other_cache(),
        *bench.shorter(),
        *(bench.quantized(name, other) for name, other in smaller),
    ]
    if not any(lever.makes_it_fit for lever in found):
        found += bench.combined()
    found += bench.in_layers()
    return tuple(sorted((lever for lever in found if lever.saves_bytes > 0), key=_order))


def _good(machine: Machine) -> Fits:
    """What is wanted: a place on GPUs; RAM does for a machine without a GPU only."""
    return Fits.FITS if gpus_of(machine) else Fits.CPU


def _most_free(machine: Machine) -> int:
    best = roomiest(gpus_of(machine)) or ram(machine)
    return best.usable_bytes


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
        """It fits where it is wanted."""
        return verdict.verdict is _good(self.machine)

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

    def unloaded(self, name: str, size: int | Sequence[int]) -> Lever:
        """Where it is not told which GPU it is on, it has to help wherever it may be."""
        where = given_back(self.machine, size) if isinstance(size, int) else [freed(self.machine, size)]
        verdicts = [self.judged(self.setting, machine=each) for each in where]
        worst = next((each for each in verdicts if not self.is_good(each)), verdicts[0])
        saves = size if isinstance(size, int) else sum(size)
        return Lever(LeverKind.UNLOAD, f"unload {clean_line(name, 60)}", saves, self.is_good(worst), worst.verdict)

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
        """As many layers on GPUs as surely have room there, the others in RAM; nothing where RAM has no room."""
        gpus, memory = gpus_of(self.machine, self.multiprocessors), ram(self.machine)
        used, count = offload(self.estimate, self.setting, gpus, sigmas=2)
        in_ram = partial(self.estimate.in_ram, self.setting)
        if not count or in_ram(gpu_layers=count).sure_bytes > memory.usable_bytes:
            return []
        measure = partial(self.estimate.on_gpu, self.setting, multiprocessors=used[0].multiprocessors)
        moved = in_ram(gpu_layers=count).parts.total - in_ram(gpu_layers=self.estimate.layers or 0).parts.total
        where = "the GPU" if len(used) == 1 else joined(used).replace("gpu", "GPUs", 1)
        what = f"{count} of {self.estimate.layers} layers on {where}, {human_bytes(moved)} more in RAM"
        saves = measure().parts.total - measure(gpu_layers=count).parts.total
        return [Lever(LeverKind.LAYERS, what, saves, makes_it_fit=True, verdict=Fits.PARTIAL)]

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


def holders(machine: Machine, held: int, *, own: bool) -> list[tuple[str, list[int]]]:
    """Whose models hold memory that can be given back, and how much of each GPU, without the model that is asked about.

    `held`: what a server says that the model holds. `own`: arena runs the model itself, so what its other models hold
    is free already.
    """
    found = []
    for kind, name in _HOLDERS.items():
        if kind is ProcessKind.OWN and own:
            continue
        groups = [[each for each in gpu.processes if each.kind is kind] for gpu in machine.gpus]
        mine = held if kind is ProcessKind.OLLAMA and not own else 0
        itself = _process_of(mine, [each for group in groups for each in group])
        sizes = [sum(each.used_bytes or 0 for each in group if each is not itself) for group in groups]
        if mine and itself is None:
            # it lies on several of them: what is left of each is anybody's guess
            rest, whole = max(0, sum(sizes) - mine), max(1, sum(sizes))
            sizes = [size * rest // whole for size in sizes]
        if any(sizes):
            found.append((name, sizes))
    return found


def _process_of(held: int, processes: Sequence[GpuProcess]) -> GpuProcess | None:
    """The process that a model with so many bytes is in: the least that can hold it; None if none can."""
    able = [each for each in processes if held and (each.used_bytes or 0) >= held]
    return min(able, key=lambda each: each.used_bytes or 0, default=None)
