"""Does it fit? An estimate is held against the memory that is free now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from arena.core.machine import FitParts, Fits, FitVerdict, Machine
from arena.hardware.fit.devices import (
    UNTRAINED_LIMIT,
    Device,
    given_back,
    gpus_of,
    grade,
    joined,
    longest,
    ram,
    roomiest,
)
from arena.hardware.fit.estimate import CELL_STEP, Estimate, Need, Setting
from arena.hardware.fit.split import offload, split


@dataclass(frozen=True, slots=True)
class Place:
    """A model on a device, or cut over several."""

    device: str
    """`gpu 0`, `gpu 0+1`, `ram`."""
    need: Need
    """On all of them together."""
    free_bytes: int
    """Of all of them together."""


def judge(
    model: str,
    estimate: Estimate,
    machine: Machine,
    setting: Setting,
    multiprocessors: Mapping[str, int] | None = None,
    *,
    held: int = 0,
) -> FitVerdict:
    """The verdict for one model alone on that machine: on one GPU, else cut over several, else in parts, else in RAM.

    `multiprocessors`: how many each GPU has, by uuid, where that is known. `held`: bytes that the model holds already,
    as its server tells them; they are missing from what is free. On whichever GPU they may be, it has to fit.
    """
    setting = replace(setting, context=min(setting.context, estimate.trained or setting.context))
    if held <= 0:
        return _judged(model, estimate, machine, setting, multiprocessors)
    places = given_back(machine, held)
    found = [_judged(model, estimate, each, setting, multiprocessors) for each in places]
    worst = min(range(len(found)), key=lambda index: -_GOOD.index(found[index].verdict))
    where = _loaded_on(estimate, setting, gpus_of(machine, multiprocessors), gpus_of(places[worst], multiprocessors))
    if not where or found[worst].verdict is Fits.FITS:
        return found[worst]
    # it is loaded as it is asked for, so it fits, however little is left beside it
    place = Place(joined(where), where[0].need(estimate, setting), sum(device.free_bytes for device in where))
    loaded = _verdict(model, estimate, setting, place, Fits.FITS, estimate.layers, where)
    return replace(loaded, max_context=max(setting.context, loaded.max_context or 0))


def lands_in_ram(
    estimate: Estimate, machine: Machine, setting: Setting, multiprocessors: Mapping[str, int] | None = None
) -> bool:
    """No GPU takes any of it, but the RAM does."""
    setting = replace(setting, context=min(setting.context, estimate.trained or setting.context))
    return _placed(estimate, machine, setting, multiprocessors)[1] is Fits.CPU


_GOOD = (Fits.FITS, Fits.TIGHT, Fits.PARTIAL, Fits.CPU, Fits.NO, Fits.UNKNOWN)


def _loaded_on(
    estimate: Estimate, setting: Setting, now: tuple[Device, ...], before: tuple[Device, ...]
) -> tuple[Device, ...]:
    """The GPUs that hold all that the model needs; () where they hold less.

    What a server tells is without the driver's overhead, and needs are in doubt.
    """
    pairs = [(old, old.free_bytes - new.free_bytes) for new, old in zip(now, before, strict=False)]
    where = tuple(device for device, credit in pairs if credit > 0)
    if not where:
        return ()
    need = where[0].need(estimate, setting)
    rest = need.parts.total - need.parts.overhead - 2 * need.sigma_bytes
    return where if rest <= sum(credit for _, credit in pairs) else ()


def _judged(
    model: str, estimate: Estimate, machine: Machine, setting: Setting, multiprocessors: Mapping[str, int] | None
) -> FitVerdict:
    place, verdict, layers, devices = _placed(estimate, machine, setting, multiprocessors)
    return _verdict(model, estimate, setting, place, verdict, layers, devices)


_Placed = tuple[Place, Fits, int | None, tuple[Device, ...]]
"""Where the model goes, how well, with how many layers on GPUs, and where a longer context is looked for."""


def _placed(
    estimate: Estimate, machine: Machine, setting: Setting, multiprocessors: Mapping[str, int] | None
) -> _Placed:
    gpus, memory = gpus_of(machine, multiprocessors), ram(machine)
    gpu = roomiest(gpus)
    if gpu is not None:
        verdict, place = _on_gpus(estimate, setting, gpus)
        if place is not None:
            return place, verdict, estimate.layers, gpus
        if (partly := _in_parts(estimate, setting, gpus, memory)) is not None:
            return partly
    verdict = grade(memory.need(estimate, setting), memory.usable_bytes)
    verdict = Fits.CPU if verdict is Fits.FITS else verdict
    none = None if gpu is None else 0
    # what fits nowhere is held against the larger of the two
    if gpu is not None and verdict is Fits.NO and gpu.usable_bytes > memory.usable_bytes:
        return _whole(estimate, setting, gpu), verdict, none, gpus
    return _whole(estimate, setting, memory), verdict, none, (memory,)


def _in_parts(estimate: Estimate, setting: Setting, gpus: tuple[Device, ...], memory: Device) -> _Placed | None:
    """Some layers on GPUs, the others in RAM; None where either has no room for its part."""
    gpu = roomiest(tuple(device for device in gpus if not device.shared))
    if gpu is None:
        return None
    used: tuple[Device, ...]
    if estimate.layers is None:
        # worth it when half of the model fits
        need = gpu.need(estimate, setting)
        used, layers = (gpu,), int(need.parts.total / 2 + need.sigma_bytes <= gpu.usable_bytes)
    else:
        used, layers = offload(estimate, setting, gpus, sigmas=1)
    if not layers or grade(estimate.in_ram(setting, gpu_layers=layers), memory.usable_bytes) is Fits.NO:
        return None
    whole = used[0].need(estimate, setting)
    # each of several GPUs has buffers and a driver's overhead of its own
    parts = replace(whole.parts, compute=whole.parts.compute * len(used), overhead=whole.parts.overhead * len(used))
    place = Place(joined(used), Need(parts, whole.sigma_bytes), sum(device.free_bytes for device in used))
    return place, Fits.PARTIAL, layers if estimate.layers else None, gpus


def unknown(model: str, context: int) -> FitVerdict:
    """The verdict for a model of which nothing is known."""
    return FitVerdict(model, Fits.UNKNOWN, None, None, None, FitParts(), "", context, None, None)


def surely_fits(estimate: Estimate, setting: Setting, devices: tuple[Device, ...]) -> bool:
    """Whether the whole model fits on one of the devices or cut over the GPUs among them, with two deviations."""
    if any(device.need(estimate, setting).sure_bytes <= device.usable_bytes for device in devices):
        return True
    return split(estimate, setting, [(device, device.usable_bytes) for device in devices]) is not None


def longest_context(estimate: Estimate, setting: Setting, devices: tuple[Device, ...], limit: int) -> int:
    """The longest context up to `limit` with which it surely fits there, in tokens; 0 when none does."""
    if not surely_fits(estimate, replace(setting, context=min(limit, CELL_STEP)), devices):
        return 0  # most that do not fit don't for any, and a search asks ten times
    return longest(limit, lambda context: surely_fits(estimate, replace(setting, context=context), devices))


def _on_gpus(estimate: Estimate, setting: Setting, gpus: tuple[Device, ...]) -> tuple[Fits, Place | None]:
    """The best place for the whole model: what surely fits goes before what is tight, one GPU before several."""
    needs = [(device, device.need(estimate, setting)) for device in gpus]
    best, need = max(needs, key=lambda each: each[0].usable_bytes - each[1].sure_bytes)
    on_one = grade(need, best.usable_bytes)
    place = Place(best.name, need, best.free_bytes)
    if on_one is Fits.FITS:
        return on_one, place
    rooms = [(device, device.usable_bytes) for device in gpus]
    for verdict, sigmas in ((Fits.FITS, 2.0), (Fits.TIGHT, -2.0)):
        if on_one is verdict:
            return on_one, place
        cut = split(estimate, setting, rooms, sigmas=sigmas)
        if cut is not None:
            return verdict, Place(cut.name, cut.need, sum(device.free_bytes for device in cut.devices))
    return Fits.NO, None


def _whole(estimate: Estimate, setting: Setting, device: Device) -> Place:
    return Place(device.name, device.need(estimate, setting), device.free_bytes)


def _verdict(
    model: str,
    estimate: Estimate,
    setting: Setting,
    place: Place,
    verdict: Fits,
    gpu_layers: int | None,
    devices: tuple[Device, ...],
) -> FitVerdict:
    """`devices`: those that a longer context is looked for on."""
    limit = estimate.trained or max(setting.context, UNTRAINED_LIMIT)
    return FitVerdict(
        model=model,
        verdict=verdict,
        need_bytes=place.need.parts.total,
        free_bytes=place.free_bytes,
        sigma_bytes=place.need.sigma_bytes,
        parts=place.need.parts,
        method=estimate.method,
        context=setting.context,
        max_context=longest_context(estimate, setting, devices, limit),
        gpu_layers=gpu_layers,
        device=place.device,
    )
