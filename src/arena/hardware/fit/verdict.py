"""Does it fit? An estimate is held against the memory that is free now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from arena.core.machine import GIB, MIB, FitParts, Fits, FitVerdict, Gpu, Machine
from arena.hardware.fit.estimate import CELL_STEP, Estimate, Need, Setting
from arena.hardware.host import SHARES_RAM

HEADROOM_BYTES, HEADROOM_SHARE = 256 * MIB, 0.02
"""Left free on every device: the larger of the two."""
SHARED_HEADROOM_BYTES, SHARED_HEADROOM_SHARE = 4 * GIB, 0.08
"""Left free where the GPU has no memory of its own: the system lives in the same memory."""
UNTRAINED_LIMIT = 131_072
"""How far a longest context is looked for where a model does not say what it was trained for, in tokens."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model could go."""

    name: str
    """`gpu 0`, `ram`."""
    free_bytes: int
    usable_bytes: int
    """Free, less what is left for others. May be negative."""
    gpu: Gpu | None = None
    multiprocessors: int | None = None

    @property
    def shared(self) -> bool:
        """A GPU without memory of its own."""
        return self.gpu is not None and SHARES_RAM in self.gpu.note

    def need(self, estimate: Estimate, setting: Setting) -> Need:
        """What the whole model takes here."""
        if self.gpu is None:
            return estimate.in_ram(setting)
        on_gpu = estimate.on_gpu(setting, multiprocessors=self.multiprocessors)
        if not self.shared:
            return on_gpu
        # the token table and the process itself lie in the same memory
        in_ram = estimate.in_ram(setting)
        parts = replace(in_ram.parts, overhead=in_ram.parts.overhead + on_gpu.parts.overhead)
        return Need(parts, max(in_ram.sigma_bytes, on_gpu.sigma_bytes))


def usable(gpu: Gpu) -> int | None:
    """Bytes that a model may take on that GPU; None where the driver does not say what is free."""
    if gpu.free_bytes is None:
        return None
    shared = SHARES_RAM in gpu.note
    least, share = (SHARED_HEADROOM_BYTES, SHARED_HEADROOM_SHARE) if shared else (HEADROOM_BYTES, HEADROOM_SHARE)
    return gpu.free_bytes - max(least, int(share * (gpu.total_bytes or 0)))


def roomiest_gpu(machine: Machine, multiprocessors: Mapping[str, int] | None = None) -> Device | None:
    """The GPU with most usable memory. `multiprocessors`: how many each has, by uuid, where that is known."""
    best: Device | None = None
    for gpu in machine.gpus:
        room = usable(gpu)
        if room is not None and gpu.free_bytes is not None and (best is None or room > best.usable_bytes):
            known = (multiprocessors or {}).get(gpu.uuid)
            best = Device(f"gpu {gpu.index}", gpu.free_bytes, room, gpu, known)
    return best


def ram(machine: Machine) -> Device:
    """The RAM of that machine."""
    headroom = max(HEADROOM_BYTES, int(HEADROOM_SHARE * machine.ram_total_bytes))
    return Device("ram", machine.ram_free_bytes, machine.ram_free_bytes - headroom)


def grade(need: Need, usable_bytes: int) -> Fits:
    """FITS when it fits with two standard deviations to spare, TIGHT within two of them, else NO."""
    if need.sure_bytes <= usable_bytes:
        return Fits.FITS
    return Fits.TIGHT if need.parts.total - 2 * need.sigma_bytes < usable_bytes else Fits.NO


def longest(limit: int, fits: Callable[[int], bool]) -> int:
    """The longest context up to `limit` that fits, in steps of 256 tokens; 0 when none does.

    `fits` must not become true again for longer contexts.
    """
    if fits(limit):
        return limit
    low, high = 0, -(-limit // CELL_STEP)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * CELL_STEP) else (low, middle)
    return low * CELL_STEP


def judge(
    model: str, estimate: Estimate, machine: Machine, setting: Setting, multiprocessors: Mapping[str, int] | None = None
) -> FitVerdict:
    """The verdict for one model alone on that machine: on its roomiest GPU, else in parts, else in RAM."""
    setting = replace(setting, context=min(setting.context, estimate.trained or setting.context))
    gpu, memory = roomiest_gpu(machine, multiprocessors), ram(machine)
    layers = 0
    if gpu is not None:
        verdict = grade(gpu.need(estimate, setting), gpu.usable_bytes)
        if verdict is not Fits.NO:
            return _verdict(model, estimate, setting, gpu, verdict, estimate.layers)
        if not gpu.shared:
            layers = _layers_that_fit(estimate, setting, gpu)
            if layers and grade(estimate.in_ram(setting, gpu_layers=layers), memory.usable_bytes) is not Fits.NO:
                return _verdict(model, estimate, setting, gpu, Fits.PARTIAL, layers if estimate.layers else None)
    verdict = grade(memory.need(estimate, setting), memory.usable_bytes)
    verdict = Fits.CPU if verdict is Fits.FITS else verdict
    # what fits nowhere is held against the larger of the two
    held = gpu if gpu is not None and verdict is Fits.NO and gpu.usable_bytes > memory.usable_bytes else memory
    return _verdict(model, estimate, setting, held, verdict, None if gpu is None else 0)


def unknown(model: str, context: int) -> FitVerdict:
    """The verdict for a model of which nothing is known."""
    return FitVerdict(model, Fits.UNKNOWN, None, None, None, FitParts(), "", context, None, None)


def _verdict(
    model: str, estimate: Estimate, setting: Setting, device: Device, verdict: Fits, gpu_layers: int | None
) -> FitVerdict:
    need = device.need(estimate, setting)
    limit = estimate.trained or max(setting.context, UNTRAINED_LIMIT)

    def fits(context: int) -> bool:
        return device.need(estimate, replace(setting, context=context)).sure_bytes <= device.usable_bytes

    return FitVerdict(
        model=model,
        verdict=verdict,
        need_bytes=need.parts.total,
        free_bytes=device.free_bytes,
        sigma_bytes=need.sigma_bytes,
        parts=need.parts,
        method=estimate.method,
        context=setting.context,
        max_context=longest(limit, fits),
        gpu_layers=gpu_layers,
        device=device.name,
    )


def _layers_that_fit(estimate: Estimate, setting: Setting, gpu: Device) -> int:
    """Layers that the GPU can take, the output counting as one: the most that fit with one standard deviation to spare.

    Where layers are unknown: 1 when the GPU is worth using at all, which is half of the model.
    """
    if estimate.layers is None:
        need = gpu.need(estimate, setting)
        return int(need.parts.total / 2 + need.sigma_bytes <= gpu.usable_bytes)
    low, high = 0, estimate.layers
    while high - low > 1:
        middle = (low + high) // 2
        need = estimate.on_gpu(setting, gpu_layers=middle, multiprocessors=gpu.multiprocessors)
        low, high = (middle, high) if need.parts.total + need.sigma_bytes <= gpu.usable_bytes else (low, middle)
    return low
