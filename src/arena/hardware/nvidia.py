"""NVIDIA GPUs, read through the driver's NVML library.

No driver, no GPU, a GPU that vanishes, a value that a card does not have: all of it is normal and ends as a note. Each
value is asked for on its own, so that one that fails leaves the others standing. The library is started once, and again
after it has failed; everything else is asked anew at each reading. A card that is divided (MIG) is shown as its
instances, since the memory of the whole card says nothing about what one of them has.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from arena.core.machine import Gpu, GpuProcess
from arena.hardware.host import SHARES_RAM, ProcessTable

VENDOR = "nvidia"
RETRY_S = 10.0
"""How long a driver that failed is left alone."""

_NO_DRIVER = "No NVIDIA driver is installed."
_LIBRARY = "libnvidia-ml.so.1"
"""What `pynvml` loads, but on Windows."""

GONE = "gone"
"""Begins the note of a GPU that no longer answers."""

Nvml = Any
"""The module `pynvml`, or something that looks like it."""

MAX_INSTANCES = 64
"""More than any card can be divided into; a driver that claims more is not believed."""

# CUDA programming guide, compute capabilities: cores of a multiprocessor by (major, minor) or by major alone.
_CORES: Mapping[tuple[int, int], int] = {(6, 0): 64, (8, 0): 64}
_CORES_BY_MAJOR: Mapping[int, int] = {5: 128, 6: 128, 7: 64, 8: 128, 9: 128, 10: 128, 11: 128, 12: 128}

# NVML, nvmlClocksEventReasons: software and hardware each slow a card down for heat and for power. The plain hardware
# slowdown comes with one of the others on cards that can tell.
_THROTTLED: Mapping[str, int] = {"thermal": 0x20 | 0x40, "power": 0x04 | 0x80}
_SLOWED_BY_HARDWARE = 0x08


@dataclass(slots=True)
class _Questions:
    """Questions to one GPU. What it does not answer is kept, by the reason."""

    nvml: Nvml
    missing: dict[str, list[str]] = field(default_factory=dict)
    lost: bool = False

    def ask(self, what: str, query: Callable[[], Any]) -> Any:  # noqa: ANN401 - as many types as there are queries
        """The answer, or None and a line in the note."""
        try:
            return query()
        except self.nvml.NVMLError as error:
            self.missing.setdefault(_why(error), []).append(what)
            self.lost = self.lost or self.is_loss(error)
        except AttributeError:
            self.missing.setdefault("this nvidia-ml-py can't ask", []).append(what)
        return None

    def wonder(self, query: Callable[[], Any]) -> Any:  # noqa: ANN401 - likewise
        """The answer, or None without a word: many cards can't tell, and nobody misses it."""
        try:
            return query()
        except (self.nvml.NVMLError, AttributeError):
            return None

    def is_loss(self, error: Any) -> bool:  # noqa: ANN401 - an error of the module
        """Whether the whole GPU is gone, and not one value."""
        return error.value in (self.nvml.NVML_ERROR_GPU_IS_LOST, self.nvml.NVML_ERROR_UNINITIALIZED)

    def note(self, *first: str) -> str:
        """All that is to be said of this GPU."""
        said = [GONE] if self.lost else []
        said += [each for each in first if each]
        return "; ".join(said + [f"no {', '.join(what)}: {why}" for why, what in self.missing.items()])


class NvidiaReader:
    """Reads all GPUs that the driver shows."""

    def __init__(
        self,
        nvml: Nvml | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        processes: ProcessTable | None = None,
    ) -> None:
        """`nvml` is the module `pynvml` unless something else is given; it is imported at the first reading."""
        self._nvml: Any = nvml
        self._clock = clock
        self._processes = processes or ProcessTable()
        self._started = False
        self._resting_until = self._restart_at = float("-inf")
        self._note = ""
        self._names: dict[int, str] = {}
        self._multiprocessors: dict[str, int] = {}

    @property
    def multiprocessors(self) -> Mapping[str, int]:
        """How many multiprocessors each GPU has, by its uuid, where that is known."""
        return self._multiprocessors

    def read(self) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
        """All GPUs as they stand now, and what is to be said of the driver."""
        if not self._start():
            return (), (self._note,)
        nvml = self._nvml
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            self._rest(f"The NVIDIA driver does not answer: {_why(error)}.")
            return (), (self._note,)
        if count == 0:
            return (), ("The NVIDIA driver shows no GPU.",)
        gpus: list[Gpu] = []
        for card in range(count):
            gpus += self._card(card, len(gpus))
        if any(gpu.note.startswith(GONE) for gpu in gpus) and self._clock() >= self._restart_at:
            # a lost GPU comes back only for a library that is started anew, and starting takes long
            self._restart_at = self._clock() + RETRY_S
            self.close()
        return tuple(gpus), ()

    def close(self) -> None:
        """Let go of the driver. A later reading starts it again."""
        if self._started:
            self._started = False
            try:
                self._nvml.nvmlShutdown()
            except self._nvml.NVMLError as error:
                self._note = f"The NVIDIA driver did not let go: {_why(error)}."

    def _start(self) -> bool:
        if self._started:
            return True
        if self._clock() < self._resting_until:
            return False
        if self._nvml is None and not _has_library():
            self._rest(_NO_DRIVER)
            return False
        try:
            self._nvml = self._nvml or importlib.import_module("pynvml")
        except ImportError:
            self._note, self._resting_until = "NVIDIA GPUs can't be read: nvidia-ml-py is missing.", float("inf")
            return False
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            known = {
                self._nvml.NVML_ERROR_LIBRARY_NOT_FOUND: _NO_DRIVER,
                self._nvml.NVML_ERROR_DRIVER_NOT_LOADED: "The NVIDIA driver is not loaded.",
                self._nvml.NVML_ERROR_NO_PERMISSION: "The NVIDIA driver may not be asked by this user.",
            }
            self._rest(known.get(error.value, f"The NVIDIA driver does not start: {_why(error)}."))
            return False
        self._started = True
        return True

    def _rest(self, note: str) -> None:
        self.close()
        self._note = note
        self._resting_until = self._clock() + RETRY_S

    def _card(self, card: int, index: int) -> list[Gpu]:
        """One card: itself, or the instances that it is divided into. `index` is that of the first of them."""
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(card)
        except nvml.NVMLError as error:
            return [Gpu(index, self._names.get(card, f"GPU {card}"), note=f"{GONE}: {_why(error)}", vendor=VENDOR)]
        asked = _Questions(nvml)
        name = asked.ask("name", lambda: _text(nvml.nvmlDeviceGetName(handle)))
        self._names[card] = name or self._names.get(card, f"GPU {card}")
        mode = asked.wonder(lambda: nvml.nvmlDeviceGetMigMode(handle)[0])
        if mode != getattr(nvml, "NVML_DEVICE_MIG_ENABLE", 1):
            return [self._gpu(card, handle, index, asked)]
        instances = [
            self._instance(card, handle, part, index + position)
            for position, part in enumerate(self._instances(handle, asked))
        ]
        note = asked.note("divided (MIG), but has no instances")
        return instances or [Gpu(index, self._names[card], note=note, vendor=VENDOR)]

    def _instances(self, handle: object, asked: _Questions) -> Iterable[object]:
        """Handles of the instances of a divided card. Numbers in between may be unused."""
        nvml = self._nvml
        count = asked.ask("instances", lambda: int(nvml.nvmlDeviceGetMaxMigDeviceCount(handle))) or 0
        for number in range(min(count, MAX_INSTANCES)):
            part = asked.wonder(lambda at=number: nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, at))  # type: ignore[misc]
            if part is not None:
                yield part

    def _instance(self, card: int, whole: object, part: object, index: int) -> Gpu:
        """One instance: memory and processes are its own, heat and power those of the whole card."""
        nvml = self._nvml
        asked = _Questions(nvml)
        name = asked.wonder(lambda: _text(nvml.nvmlDeviceGetName(part)))
        uuid = asked.ask("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(part))) or ""
        memory = asked.ask("memory", lambda: self._memory(part, asked)) or (0, 0, 0)
        parent = asked.wonder(lambda: _text(nvml.nvmlDeviceGetUUID(whole)))
        heat, power, throttled = self._strain(whole, asked)
        units = asked.wonder(lambda: int(nvml.nvmlDeviceGetAttributes(part).multiprocessorCount))
        if uuid and units:
            self._multiprocessors[uuid] = units
        total, free, reserved = memory
        return Gpu(
            index=index,
            name=name if name and name != self._names[card] else f"{self._names[card]} (MIG)",
            uuid=uuid,
            total_bytes=total or None,
            free_bytes=free if total else None,
            reserved_bytes=reserved,
            temperature_c=heat,
            power_w=power,
            processes=self._processes_on(part, total, asked),
            throttled=throttled,
            note=asked.note(),
            vendor=VENDOR,
            part_of=parent or f"card {card}",
        )

    def _gpu(self, card: int, handle: object, index: int, asked: _Questions) -> Gpu:
        """One GPU; what can't be read of it is None and in its note."""
        nvml = self._nvml
        uuid = asked.ask("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(handle))) or ""
        memory = asked.ask("memory", lambda: self._memory(handle, asked))
        used = asked.ask("utilization", lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
        heat, power, throttled = self._strain(handle, asked)
        if uuid and uuid not in self._multiprocessors and (found := self._count_multiprocessors(handle, asked)):
            self._multiprocessors[uuid] = found
        total, free, reserved = memory or (None, None, 0)
        processes = self._processes_on(handle, total or 0, asked)
        return Gpu(
            index=index,
            name=self._names[card],
            uuid=uuid,
            total_bytes=total or None,
            free_bytes=free if total else None,
            reserved_bytes=reserved,
            utilization=used,
            temperature_c=heat,
            power_w=power,
            processes=processes,
            shares_ram=total == 0,
            drives_display=bool(asked.wonder(lambda: nvml.nvmlDeviceGetDisplayActive(handle))),
            throttled=throttled,
            note=asked.note(SHARES_RAM if total == 0 else ""),
            vendor=VENDOR,
        )

    def _strain(self, handle: object, asked: _Questions) -> tuple[float | None, float | None, str]:
        """Temperature in °C, power in W, and why the clocks are held down."""
        nvml = self._nvml
        heat = asked.ask("temperature", lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)))
        power = asked.ask("power", lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        # the older name is the one that older drivers have
        reasons = asked.wonder(lambda: int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)))
        if reasons is None:
            reasons = asked.wonder(lambda: int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))) or 0
        words = [word for word, bits in _THROTTLED.items() if reasons & bits]
        if not words and reasons & _SLOWED_BY_HARDWARE:
            words = ["hardware"]
        return heat, power, ", ".join(words)

    def _memory(self, handle: object, asked: _Questions) -> tuple[int, int, int]:
        """Total, free and reserved bytes; zeros for a GPU without memory of its own.

        Version 2 tells apart what the driver holds for itself; version 1 counts that as used.
        """
        nvml = self._nvml
        try:
            found = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
            return int(found.total), int(found.free), int(found.reserved)
        except nvml.NVMLError as error:
            if asked.is_loss(error):
                raise
        try:
            found = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError as error:
            if error.value == nvml.NVML_ERROR_NOT_SUPPORTED:
                return 0, 0, 0
            raise
        return int(found.total), int(found.free), 0

    def _processes_on(self, handle: object, total: int, asked: _Questions) -> tuple[GpuProcess, ...]:
        """Processes that compute or draw on a GPU with `total` bytes, the largest first."""
        if asked.lost:
            return ()
        used: dict[int, int | None] = {}
        answered = [
            asked.wonder(lambda what=what: self._running(what, handle))  # type: ignore[misc]
            for what in ("Compute", "Graphics")
        ]
        if answered == [None, None]:
            asked.ask("processes", lambda: self._running("Compute", handle))
        for process in (each for group in answered for each in group or ()):
            held = process.usedGpuMemory
            if held is not None and total and not 0 <= held <= total:
                held = None  # drivers that fill in a structure of another version
            # a process that does both is told twice, each time with all that it holds
            known = used.get(process.pid)
            used[process.pid] = held if known is None else max(known, held or 0)
        found = [self._processes.identify(int(pid), held) for pid, held in used.items()]
        return tuple(sorted(found, key=lambda each: (-(each.used_bytes or 0), each.pid)))

    def _running(self, what: str, handle: object) -> list[Any]:
        """Processes of one sort, asked in the newest way that both the module and the driver know."""
        nvml = self._nvml
        names = (f"nvmlDeviceGet{what}RunningProcesses{version}" for version in ("_v3", "_v2", ""))
        fault: Exception = AttributeError(what)
        for query in (found for name in names if (found := getattr(nvml, name, None))):
            try:
                return list(query(handle))
            except nvml.NVMLError as error:
                fault = error
        raise fault

    def _count_multiprocessors(self, handle: object, asked: _Questions) -> int | None:
        """Multiprocessors of a GPU: NVML tells cores, and the compute capability tells how many make one."""
        nvml = self._nvml
        cores = asked.wonder(lambda: int(nvml.nvmlDeviceGetNumGpuCores(handle)))
        capability = asked.wonder(lambda: tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle)))
        if not cores or not capability:
            return None
        per_unit = _CORES.get(capability) or _CORES_BY_MAJOR.get(capability[0])
        return cores // per_unit if per_unit else None


def _has_library() -> bool:
    """Whether there is a driver to speak to. Without one, 5,000 lines of `pynvml` need not be read to learn that."""
    if sys.platform == "win32":
        return True  # it may be in several places: `pynvml` knows them
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def _text(raw: str | bytes) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


def _why(error: Exception) -> str:
    """NVML's own words, of which some end with a full stop."""
    return str(error).rstrip(".")
