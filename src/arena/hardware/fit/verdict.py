"""Does it fit? An estimate is held against the memory that is free now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from arena.core.machine import FitParts, Fits, FitVerdict, Machine
from arena.hardware.fit.devices import UNTRAINED_LIMIT, Device, gpus_of, grade, longest, ram, roomiest
from arena.hardware.fit.estimate import Estimate, Need, Setting
from arena.hardware.fit.split import split


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
    model: str, estimate: Estimate, machine: Machine, setting: Setting, multiprocessors: Mapping[str, int] | None = None
) -> FitVerdict:
    """The verdict for one model alone on that machine: on one GPU, else cut over several, else in parts, else in RAM.

    `multiprocessors`: how many each GPU has, by uuid, where that is known.
    """
    setting = replace(setting, context=min(setting.context, estimate.trained or setting.context))
    gpus, memory = gpus_of(machine, multiprocessors), ram(machine)
    gpu, layers = roomiest(gpus), 0
    if gpu is not None:
        verdict, place = _on_gpus(estimate, setting, gpus)
        if place is not None:
            return _verdict(model, estimate, setting, place, verdict, estimate.layers, gpus)
        if not gpu.shared:
            layers = _layers_that_fit(estimate, setting, gpu)
            if layers and grade(estimate.in_ram(setting, gpu_layers=layers), memory.usable_bytes) is not Fits.NO:
                known = layers if estimate.layers else None
                return _verdict(model, estimate, setting, _whole(estimate, setting, gpu), Fits.PARTIAL, known, gpus)
    verdict = grade(memory.need(estimate, setting), memory.usable_bytes)
    verdict = Fits.CPU if verdict is Fits.FITS else verdict
    none = None if gpu is None else 0
    # what fits nowhere is held against the larger of the two
    if gpu is not None and verdict is Fits.NO and gpu.usable_bytes > memory.usable_bytes:
        return _verdict(model, estimate, setting, _whole(estimate, setting, gpu), verdict, none, gpus)
    return _verdict(model, estimate, setting, _whole(estimate, setting, memory), verdict, none, (memory,))


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


def _layers_that_fit(estimate: Estimate, setting: Setting, gpu: Device) -> int:
    """Layers that the GPU can take, the output counting as one: the most that fit with one standard deviation to spare.

    Where layers are unknown: 1 when the GPU is worth using at all, which is half of the model.
    """
    if estimate.layers is None:
        need = gpu.need(estimate, setting)
        return int(need.parts.total / 2 + need.sigma_bytes <= gpu.usable_bytes)
    return layers_on(estimate, setting, gpu, sigmas=1)


def layers_on(estimate: Estimate, setting: Setting, gpu: Device, *, sigmas: int) -> int:
    """The most layers short of all that the GPU can take with so many deviations to spare; 0 where they are unknown."""
    low, high = 0, estimate.layers or 1
    while high - low > 1:
        middle = (low + high) // 2
        need = estimate.on_gpu(setting, gpu_layers=middle, multiprocessors=gpu.multiprocessors)
        fits = need.parts.total + sigmas * need.sigma_bytes <= gpu.usable_bytes
        low, high = (middle, high) if fits else (low, middle)
    return low
