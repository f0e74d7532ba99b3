"""Measuring a load: what the driver, or the operating system, says of the process that holds the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from arena.core.loads import ALL_LAYERS, GPU, RAM, Load, LoadFacts
from arena.core.machine import Gpu, Machine, ProcessKind
from arena.core.models import ModelRef
from arena.core.text import clean_line
from arena.hardware.fit.estimate import Estimate, Need, Setting
from arena.hardware.fit.measured import CalibratedEstimate
from arena.hardware.fit.split import PIPELINE_SIGMA_BYTES, pipeline_bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A load that is to be measured, and what it is held against."""

    ref: ModelRef
    facts: LoadFacts
    setting: Setting
    estimate: Estimate
    """As it is without past loads: what overhead is learnt from."""
    told: Estimate
    """As it was told before this load."""
    multiprocessors: Mapping[str, int]
    """How many each GPU has, by uuid, where that is known."""

    @property
    def layers(self) -> int | None:
        """Layers on the GPU, as estimates ask for them."""
        return None if self.facts.gpu_layers == ALL_LAYERS else self.facts.gpu_layers

    def on(self, gpu: Gpu, estimate: Estimate) -> Need:
        """What the estimate says of that GPU, with the layers that were asked for."""
        units = self.multiprocessors.get(gpu.uuid)
        return estimate.on_gpu(self.setting, gpu_layers=self.layers, multiprocessors=units)


def held_on(machine: Machine, pid: int) -> list[tuple[Gpu, int]]:
    """The GPUs that hold something of that process, a child of this program, and how many bytes."""
    return [
        (gpu, process.used_bytes)
        for gpu in machine.gpus
        for process in gpu.processes
        if process.pid == pid and process.kind is ProcessKind.OWN and process.used_bytes and gpu.uuid
    ]


def measure(question: Question, machine: Machine, ram_bytes: int | None) -> Load | None:
    """The load beside its prediction; None where nobody says what it took.

    `machine` was read after the load; `ram_bytes`: resident memory of the process.
    """
    if not question.facts.gpu_layers:
        return _in_ram(question, ram_bytes) if ram_bytes else None
    held = held_on(machine, question.facts.pid)
    if not held:
        return None
    return _on_one(question, *held[0]) if len(held) == 1 else _on_several(question, held)


def _in_ram(question: Question, measured: int) -> Load:
    need, alone = question.told.in_ram(question.setting), question.estimate.in_ram(question.setting).parts
    return _load(question, (RAM, ""), (need.parts.total, need.sigma_bytes), measured, alone.total - alone.overhead)


def _on_one(question: Question, gpu: Gpu, measured: int) -> Load:
    need, alone = question.on(gpu, question.told), question.on(gpu, question.estimate).parts
    predicted, device = (need.parts.total, need.sigma_bytes), (f"{GPU}{gpu.uuid}", gpu.name)
    found = _load(question, device, predicted, measured, alone.total - alone.overhead)
    if isinstance(question.told, CalibratedEstimate) and question.layers is None:
        return replace(found, method=question.told.method_on(gpu, question.setting))
    return found


def _on_several(question: Question, held: Sequence[tuple[Gpu, int]]) -> Load:
    """Cut over several GPUs: all have a compute buffer and an overhead, the rest is there once. See `fit.split`."""
    setting, gpus = question.setting, [gpu for gpu, _ in held]

    def buffers(estimate: Estimate) -> int:
        parts = [question.on(gpu, estimate).parts for gpu in gpus]
        each = sum(part.compute + pipeline_bytes(estimate, setting) for part in parts)
        return parts[0].weights + parts[0].kv + parts[0].recurrent + each

    told = [question.on(gpu, question.told) for gpu in gpus]
    doubts = [math.hypot(PIPELINE_SIGMA_BYTES, need.sigma_bytes / len(gpus)) for need in told]
    predicted = buffers(question.told) + sum(need.parts.overhead for need in told)
    device = ("+".join(f"{GPU}{gpu.uuid}" for gpu in gpus), " + ".join(gpu.name for gpu in gpus))
    measured = sum(bytes_ for _, bytes_ in held)
    return _load(question, device, (predicted, round(sum(doubts))), measured, buffers(question.estimate))


def _load(question: Question, device: tuple[str, str], predicted: tuple[int, int], measured: int, buffers: int) -> Load:
    facts, setting = question.facts, question.setting
    return Load(
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        device=device[0],
        device_name=clean_line(device[1]),
        runtime=facts.runtime,
        build=clean_line(facts.build),
        ref=question.ref,
        context=setting.context,
        kv_type=setting.kv_type,
        gpu_layers=facts.gpu_layers,
        predicted_bytes=predicted[0],
        predicted_sigma_bytes=predicted[1],
        method=question.told.method,
        measured_bytes=measured,
        buffers_bytes=buffers,
    )
