"""NVIDIA GPUs, read through the driver's NVML library.

No driver, no GPU, a GPU that vanishes, a value that a card does not have: all of it is normal and ends as a note. Each
value is asked for on its own, so that one that fails leaves the others standing. The library is started once, and again
after it has failed; everything else is asked anew at each reading.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from arena.core.machine import Gpu
from arena.hardware.host import SHARES_RAM

RETRY_S = 10.0
"""How long a driver that failed is left alone."""

GONE = "gone"
"""Begins the note of a GPU that no longer answers."""

Nvml = Any
"""The module `pynvml`, or something that looks like it."""

# CUDA programming guide, compute capabilities: cores of a multiprocessor by (major, minor) or by major alone.
_CORES: Mapping[tuple[int, int], int] = {(6, 0): 64, (8, 0): 64}
_CORES_BY_MAJOR: Mapping[int, int] = {5: 128, 6: 128, 7: 64, 8: 128, 9: 128, 10: 128, 11: 128, 12: 128}


class NvidiaReader:
    """Reads all GPUs that the driver shows."""

    def __init__(self, nvml: Nvml | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`nvml` is the module `pynvml` unless something else is given; it is imported at the first reading."""
        self._nvml: Any = nvml
        self._clock = clock
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
        gpus = tuple(self._gpu(index) for index in range(count))
        if any(gpu.note.startswith(GONE) for gpu in gpus) and self._clock() >= self._restart_at:
            # a lost GPU comes back only for a library that is started anew, and starting takes long
            self._restart_at = self._clock() + RETRY_S
            self.close()
        return gpus, ()

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
        try:
            self._nvml = self._nvml or importlib.import_module("pynvml")
        except ImportError:
            self._note, self._resting_until = "NVIDIA GPUs can't be read: nvidia-ml-py is missing.", float("inf")
            return False
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            known = {
                self._nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "No NVIDIA driver is installed.",
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

    def _gpu(self, index: int) -> Gpu:
        """One GPU; what can't be read of it is None and in its note."""
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError as error:
            return Gpu(index, self._names.get(index, f"GPU {index}"), note=f"{GONE}: {_why(error)}")
        missing: dict[str, list[str]] = {}
        lost = False

        def ask(what: str, query: Callable[[], Any]) -> Any:  # noqa: ANN401 - as many types as there are queries
            nonlocal lost
            try:
                return query()
            except nvml.NVMLError as error:
                missing.setdefault(_why(error), []).append(what)
                lost = lost or error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_UNINITIALIZED)
                return None

        name = ask("name", lambda: _text(nvml.nvmlDeviceGetName(handle)))
        self._names[index] = name or self._names.get(index, f"GPU {index}")
        uuid = ask("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(handle))) or ""
        memory = ask("memory", lambda: self._memory(handle))
        used = ask("utilization", lambda: float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
        heat = ask("temperature", lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)))
        power = ask("power", lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        if uuid and uuid not in self._multiprocessors and (found := self._count_multiprocessors(handle)):
            self._multiprocessors[uuid] = found
        notes = [f"no {', '.join(what)}: {why}" for why, what in missing.items()]
        total, free, reserved = memory or (None, None, 0)
        if total == 0:
            notes.insert(0, SHARES_RAM)
        if lost:
            notes.insert(0, GONE)
        return Gpu(
            index=index,
            name=self._names[index],
            uuid=uuid,
            total_bytes=total or None,
            free_bytes=free if total else None,
            reserved_bytes=reserved,
            utilization=used,
            temperature_c=heat,
            power_w=power,
            note="; ".join(notes),
        )

    def _memory(self, handle: object) -> tuple[int, int, int]:
        """Total, free and reserved bytes; zeros for a GPU without memory of its own.

        Version 2 tells apart what the driver holds for itself; version 1 counts that as used.
        """
        nvml = self._nvml
        try:
            found = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
            return int(found.total), int(found.free), int(found.reserved)
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_UNINITIALIZED):
                raise
        try:
            found = nvml.nvmlDeviceGetMemoryInfo(handle)
        except nvml.NVMLError as error:
            if error.value == nvml.NVML_ERROR_NOT_SUPPORTED:
                return 0, 0, 0
            raise
        return int(found.total), int(found.free), 0

    def _count_multiprocessors(self, handle: object) -> int | None:
        """Multiprocessors of a GPU: NVML tells cores, and the compute capability tells how many make one."""
        nvml = self._nvml
        try:
            cores = int(nvml.nvmlDeviceGetNumGpuCores(handle))
            major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        except nvml.NVMLError:
            return None
        per_unit = _CORES.get((major, minor)) or _CORES_BY_MAJOR.get(major)
        return cores // per_unit if per_unit and cores else None


def _text(raw: str | bytes) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


def _why(error: Exception) -> str:
    """NVML's own words, of which some end with a full stop."""
    return str(error).rstrip(".")
