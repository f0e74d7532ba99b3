"""One model over several GPUs: whole layers on each, in their order, the output on the last of them.

That is llama.cpp's split mode `layer`. The cache and the state of a layer lie where its weights lie; the compute
buffer and the driver's overhead exist on every GPU that takes part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from arena.core.machine import MIB, FitParts
from arena.hardware.fit.devices import Device, joined
from arena.hardware.fit.estimate import Estimate, Need, Setting
from arena.hardware.fit.shape import Shape

PIPELINE_COPIES = 3
"""llama.cpp keeps four copies of a batch's inputs so that GPUs work on several at once: three more than alone."""
PIPELINE_SIGMA_BYTES = 150 * MIB
"""What the published compute buffers of several GPUs differ by."""
PIECES = 16
"""Into how many equal parts a model is cut whose layers are unknown: fewer than any real one has layers."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which GPU gets how much of the model."""

    devices: tuple[Device, ...]
    needs: tuple[Need, ...]
    """Bytes on each of the devices."""
    layers: tuple[int, ...]
    """Layers on each of them, the output counting as one; in PIECES of the model where its layers are unknown."""

    @property
    def name(self) -> str:
        """`gpu 0+1`."""
        return joined(self.devices)

    @property
    def need(self) -> Need:
        """On all devices together; doubts add up, since they have one cause."""
        return total(self.needs)


def total(needs: Sequence[Need]) -> Need:
    """The sum of several needs; doubts add up."""
    parts = [need.parts for need in needs]
    return Need(
        FitParts(
            weights=sum(part.weights for part in parts),
            kv=sum(part.kv for part in parts),
            recurrent=sum(part.recurrent for part in parts),
            compute=sum(part.compute for part in parts),
            overhead=sum(part.overhead for part in parts),
        ),
        sum(need.sigma_bytes for need in needs),
    )


def split(
    estimate: Estimate,
    setting: Setting,
    rooms: Sequence[tuple[Device, int]],
    *,
    sigmas: float = 2.0,
    cuts: Cuts | None = None,
) -> Split | None:
    """Cut the model so that every GPU has room for its part, over as few GPUs as possible; None when it can't be.

    `rooms`: GPUs in the order in which layers go to them, and the bytes that the model may take on each. `sigmas`: how
    many standard deviations each part has to spare. Only whole GPUs of one vendor with memory of their own go
    together. `cuts`: those of that model at that setting, if they are known from before.
    """
    cuts, best = cuts or Cuts(estimate, setting), None
    for crew in _crews(rooms):
        found = _fewest(cuts, crew, sigmas)
        if found is not None and (best is None or len(found.devices) < len(best.devices)):
            best = found
    return best


def offload(
    estimate: Estimate, setting: Setting, gpus: Sequence[Device], *, sigmas: float
) -> tuple[tuple[Device, ...], int]:
    """The GPUs that can take most layers short of all, and how many, each part with so many deviations to spare.

    Several GPUs only where they take more than the roomiest alone. ((), 0) where layers are unknown, or none fits.
    """
    able = [device for device in gpus if not device.shared]
    if not able or estimate.layers is None:
        return (), 0
    best = max(able, key=lambda device: device.usable_bytes)
    most = layers_on(estimate, setting, best, sigmas=sigmas)
    found: tuple[tuple[Device, ...], int] = ((best,), most) if most else ((), 0)
    # llama.cpp keeps no copies of batches while some layers are in RAM
    cuts = Cuts(estimate, setting, pipeline=False)
    for crew in _crews([(device, device.usable_bytes) for device in able]):
        parts = _taken(cuts, crew, sigmas, cuts.count - 1)
        layers = sum(count for _, _, count in parts)
        if len(parts) > 1 and layers > found[1]:
            found = tuple(device for device, _, _ in reversed(parts)), layers
    return found


def layers_on(estimate: Estimate, setting: Setting, gpu: Device, *, sigmas: float) -> int:
    """The most layers short of all that the GPU can take with so many deviations to spare; 0 where they are unknown."""
    low, high = 0, estimate.layers or 1
    while high - low > 1:
        middle = (low + high) // 2
        need = estimate.on_gpu(setting, gpu_layers=middle, multiprocessors=gpu.multiprocessors)
        fits = need.parts.total + sigmas * need.sigma_bytes <= gpu.usable_bytes
        low, high = (middle, high) if fits else (low, middle)
    return low


def _crews(rooms: Sequence[tuple[Device, int]]) -> list[list[tuple[Device, int]]]:
    """GPUs that one process can use together: whole ones of one vendor, with memory of their own."""
    crews: dict[str, list[tuple[Device, int]]] = {}
    for device, room in rooms:
        if device.gpu is not None and not device.shared and not device.gpu.part_of and room > 0:
            crews.setdefault(device.gpu.vendor, []).append((device, room))
    return [crew for crew in crews.values() if len(crew) > 1]


def _fewest(cuts: Cuts, crew: Sequence[tuple[Device, int]], sigmas: float) -> Split | None:
    if sigmas >= 0 and cuts.least_bytes > sum(room for _, room in crew):
        return None
    # what all of them can't take, fewer can't either
    on_all = _fill(cuts, crew, sigmas)
    if on_all is None:
        return None
    by_room = sorted(crew, key=lambda each: each[1], reverse=True)
    for count in range(2, len(on_all.devices)):
        chosen = {device.name for device, _ in by_room[:count]}
        found = _fill(cuts, [each for each in crew if each[0].name in chosen], sigmas)
        if found is not None:
            return found
    return on_all


def _fill(cuts: Cuts, rooms: Sequence[tuple[Device, int]], sigmas: float) -> Split | None:
    parts = _taken(cuts, rooms, sigmas, cuts.count)
    if len(parts) < 2 or sum(count for _, _, count in parts) < cuts.count:
        return None
    devices, needs, layers = zip(*reversed(parts), strict=True)
    return Split(devices, needs, layers)


def _taken(cuts: Cuts, rooms: Sequence[tuple[Device, int]], sigmas: float, most: int) -> list[tuple[Device, Need, int]]:
    """Fill one GPU after the other, from the output backwards: in a given order nothing can do with less room.

    A GPU that has no room for a single layer is left out.
    """
    done = 0
    parts: list[tuple[Device, Need, int]] = []
    for device, room in reversed(rooms):
        end = cuts.reach(device, done, room, sigmas, most)
        if end > done:
            parts.append((device, cuts.need(device, done, end), end - done))
            done = end
    return parts


class Cuts:
    """What runs of layers take. Layers count backwards: the first is the output, the last is the model's first."""

    def __init__(self, estimate: Estimate, setting: Setting, *, pipeline: bool = True) -> None:
        """`pipeline`: all layers are on GPUs, which then hold copies of batches; else the batches pull weights over."""
        self._estimate, self._setting = estimate, setting
        self.count = estimate.layers or PIECES
        self._pipeline = pipeline_bytes(estimate, setting) if pipeline else 0
        self._layers = None if pipeline else max(1, self.count - 1)
        self._whole: dict[int | None, Need] = {}
        self._up_to: dict[int, FitParts] = {0: FitParts()}

    @property
    def least_bytes(self) -> int:
        """Less than that it can't be on all GPUs together, however it is cut."""
        parts = self._parts(self.count)
        return parts.weights + parts.kv + parts.recurrent

    def need(self, device: Device, first: int, end: int) -> Need:
        """What the layers from `first` up to `end` take there."""
        whole = self._on(device)
        low, high = self._parts(first), self._parts(end)
        parts = FitParts(
            weights=high.weights - low.weights,
            kv=high.kv - low.kv,
            recurrent=high.recurrent - low.recurrent,
            compute=whole.parts.compute + self._pipeline,
            overhead=whole.parts.overhead,
        )
        share = min(1.0, parts.total / max(1, whole.parts.total))
        return Need(parts, round(math.hypot(PIPELINE_SIGMA_BYTES, share * whole.sigma_bytes)))

    def reach(self, device: Device, first: int, room: int, sigmas: float, most: int) -> int:
        """Up to which layer of `most`, from `first` on, the GPU has room; `first` when it has none for a single one."""
        low, high = first, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            need = self.need(device, first, middle)
            fits = need.parts.total + sigmas * need.sigma_bytes <= room
            low, high = (middle, high) if fits else (low, middle)
        return low

    def _on(self, device: Device) -> Need:
        key = device.multiprocessors
        if key not in self._whole:
            self._whole[key] = self._estimate.on_gpu(self._setting, gpu_layers=self._layers, multiprocessors=key)
        return self._whole[key]

    def _parts(self, count: int) -> FitParts:
        """Of the last `count` layers. Only their weights, cache and state mean anything here."""
        if count not in self._up_to:
            self._up_to[count] = self._measure(count)
        return self._up_to[count]

    def _measure(self, count: int) -> FitParts:
        if self._estimate.layers is not None:
            return self._estimate.on_gpu(self._setting, gpu_layers=count).parts
        parts = self._estimate.on_gpu(self._setting).parts
        return replace(
            parts,
            weights=parts.weights * count // PIECES,
            kv=parts.kv * count // PIECES,
            recurrent=parts.recurrent * count // PIECES,
        )


def pipeline_bytes(estimate: Estimate, setting: Setting) -> int:
    """What each of several GPUs holds for batches under way: the mask and the embeddings, three times more.

    The width of the embeddings and the window are in the shape; without one only the mask of the whole context counts.
    """
    # one that was told by llama.cpp itself still knows the formula that it is checked against
    shape = getattr(getattr(estimate, "formula", estimate), "shape", None)
    tokens, width = setting.ubatch, 2 if setting.flash_attention else 4
    if not isinstance(shape, Shape):
        return PIPELINE_COPIES * setting.cells * tokens * width
    windowed = setting.window_cells(shape.window) if shape.window else 0
    return PIPELINE_COPIES * tokens * ((setting.cells + windowed) * width + shape.embedding * 4)
