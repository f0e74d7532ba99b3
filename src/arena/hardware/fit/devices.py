"""Where a model could go: the GPUs and the RAM of a machine, and how many bytes it may take there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from arena.core.machine import GIB, MIB, Fits, Gpu, Machine, ProcessKind
from arena.hardware.fit.estimate import CELL_STEP, Estimate, Need, Setting

HEADROOM_BYTES, HEADROOM_SHARE = 256 * MIB, 0.02
"""Left free on every device: the larger of the two."""
DISPLAY_HEADROOM_BYTES = 256 * MIB
"""Left free on top where a screen is driven: windows come and go."""
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
    own_bytes: int = 0
    """Held by arena's own models, which it unloads at will: free for a model that arena runs itself, for no other."""

    @property
    def shared(self) -> bool:
        """A GPU without memory of its own."""
        return self.gpu is not None and self.gpu.shares_ram

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
    if gpu.shares_ram:
        return gpu.free_bytes - _shared_headroom(gpu)
    headroom = max(HEADROOM_BYTES, int(HEADROOM_SHARE * (gpu.total_bytes or 0)))
    return gpu.free_bytes - headroom - (DISPLAY_HEADROOM_BYTES if gpu.drives_display else 0)


def _shared_headroom(gpu: Gpu) -> int:
    return max(SHARED_HEADROOM_BYTES, int(SHARED_HEADROOM_SHARE * (gpu.total_bytes or 0)))


def gpus_of(machine: Machine, multiprocessors: Mapping[str, int] | None = None) -> tuple[Device, ...]:
    """The GPUs that say what is free, in the order of the machine.

    `multiprocessors`: how many each has, by uuid, where that is known. GPUs that share the RAM share it with each
    other, too: only the roomiest of them is listed, lest the same bytes be given away twice.
    """
    found = []
    for gpu in machine.gpus:
        room = usable(gpu)
        if room is not None and gpu.free_bytes is not None:
            known = (multiprocessors or {}).get(gpu.uuid)
            found.append(Device(f"gpu {gpu.index}", gpu.free_bytes, room, gpu, known, own_bytes(gpu)))
    shared = roomiest(tuple(device for device in found if device.shared))
    return tuple(device for device in found if not device.shared or device is shared)


def roomiest(devices: tuple[Device, ...]) -> Device | None:
    """The device with most usable memory, the first of equals; None where there is none."""
    return max(devices, key=lambda device: device.usable_bytes, default=None)


def ram(machine: Machine) -> Device:
    """The RAM of that machine. Where a GPU shares it, as much stays free as that GPU leaves: it is the same memory."""
    shared = (_shared_headroom(gpu) for gpu in machine.gpus if gpu.shares_ram)
    headroom = max(HEADROOM_BYTES, int(HEADROOM_SHARE * machine.ram_total_bytes), *shared)
    return Device("ram", machine.ram_free_bytes, machine.ram_free_bytes - headroom)


def joined(devices: tuple[Device, ...]) -> str:
    """Their names as one: `gpu 0`, `gpu 0+1`, `ram`; '' for none."""
    if len(devices) < 2:
        return devices[0].name if devices else ""
    return "gpu " + "+".join(device.name.removeprefix("gpu ") for device in devices)


def grade(need: Need, usable_bytes: int) -> Fits:
    """FITS when it fits with two standard deviations to spare, TIGHT within two of them, else NO."""
    if need.sure_bytes <= usable_bytes:
        return Fits.FITS
    return Fits.TIGHT if need.parts.total - 2 * need.sigma_bytes < usable_bytes else Fits.NO


def longest(limit: int, fits: Callable[[int], bool]) -> int:
    """The longest context up to `limit` that fits, in steps of 256 tokens; 0 when none does.

    `fits` must not become true again for longer contexts. What is returned was asked, and did fit.
    """
    if fits(limit):
        return limit
    low, high = 0, -(-limit // CELL_STEP)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * CELL_STEP) else (low, middle)
    return low * CELL_STEP


def own_bytes(gpu: Gpu) -> int:
    """Bytes of that GPU that arena's own models hold; with what is free never more than what others leave."""
    own = sum(each.used_bytes or 0 for each in gpu.processes if each.kind is ProcessKind.OWN)
    return min(own, _in_use(gpu, ProcessKind.OWN))


def without_own(machine: Machine) -> Machine:
    """The machine as a model that arena runs itself finds it: arena unloads the others of its own for it."""
    return _given_back(machine, [own_bytes(gpu) for gpu in machine.gpus])


def given_back(machine: Machine, size: int) -> list[Machine]:
    """The machine with so many bytes of Ollama's given back, once for each GPU that may have held them.

    What no GPU alone can have held was on all of them, in shares of what they hold. Without GPUs it was in RAM.
    """
    if not any(gpu.free_bytes is not None for gpu in machine.gpus):
        return [replace(machine, ram_free_bytes=min(machine.ram_free_bytes + size, machine.ram_total_bytes))]
    theirs = [any(each.kind is ProcessKind.OLLAMA for each in gpu.processes) for gpu in machine.gpus]
    held = [
        _in_use(gpu, ProcessKind.OLLAMA) if found or not any(theirs) else 0
        for gpu, found in zip(machine.gpus, theirs, strict=True)
    ]
    alone = [index for index, each in enumerate(held) if each >= size]
    if alone:
        return [_given_back(machine, [size * (gpu == index) for gpu in range(len(held))]) for index in alone]
    all_held = max(1, sum(held))
    return [_given_back(machine, [min(each, size * each // all_held) for each in held])]


def freed(machine: Machine, sizes: Sequence[int]) -> Machine:
    """The machine with so many bytes given back on each GPU, as far as they can have been in use."""
    most = [_in_use(gpu, None) for gpu in machine.gpus]
    return _given_back(machine, [min(size, each) for size, each in zip(sizes, most, strict=True)])


def _in_use(gpu: Gpu, kind: ProcessKind | None) -> int:
    """Bytes in use there that no process of another kind is known to hold, None: at all; 0 where nobody says."""
    if gpu.free_bytes is None or gpu.total_bytes is None:
        return 0
    others = sum(each.used_bytes or 0 for each in gpu.processes if kind is not None and each.kind is not kind)
    return max(0, gpu.total_bytes - gpu.reserved_bytes - gpu.free_bytes - others)


def _given_back(machine: Machine, sizes: Sequence[int]) -> Machine:
    gpus = tuple(
        gpu if gpu.free_bytes is None else replace(gpu, free_bytes=gpu.free_bytes + size)
        for gpu, size in zip(machine.gpus, sizes, strict=True)
    )
    return replace(machine, gpus=gpus)
