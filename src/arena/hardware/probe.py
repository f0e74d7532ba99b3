"""The probe: the machine as it stands now, and what fits on it."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from arena.core.errors import ArenaError
from arena.core.gguf import read_header
from arena.core.machine import FitVerdict, Gpu, Machine
from arena.core.models import ModelInfo
from arena.hardware.fit.catalogue import CatalogueEstimate
from arena.hardware.fit.estimate import EMBEDDED, SERVER, Estimate, Runtime, Setting
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.together import Together, together
from arena.hardware.fit.verdict import judge, unknown
from arena.hardware.host import SHARES_RAM, Host, HostReader
from arena.hardware.nvidia import NvidiaReader

SAMPLES = 3
"""Free memory goes up and down; a verdict goes by the least of that many readings."""
_EMBEDDED_ENDPOINTS = ("gguf", "demo")


class MachineProbe:
    """Reads the machine, and says what fits. May be asked from several threads."""

    def __init__(self, nvidia: NvidiaReader | None = None, host: HostReader | None = None) -> None:
        """Readers other than the usual ones are for machines that are not there."""
        self._nvidia = nvidia or NvidiaReader()
        self._host = host or HostReader()
        self._reading = threading.Lock()
        # apart from the other, so that no verdict waits for a slow driver
        self._lock = threading.Lock()
        self._free: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=SAMPLES))
        self._headers: dict[Path, tuple[tuple[int, int], Estimate | ArenaError]] = {}

    def read(self) -> Machine:
        """The machine as it stands now. Never raises: what can't be read is a note.

        The first reading imports psutil and pynvml and starts the driver, which takes longer than the later ones.
        """
        with self._reading:
            found, notes = self._gpus()
            host = self._read_host()
        gpus = tuple(_with_ram(gpu, host) for gpu in found)
        with self._lock:
            for gpu in gpus:
                if gpu.uuid and gpu.free_bytes is not None:
                    self._free[gpu.uuid].append(gpu.free_bytes)
        return Machine(
            gpus=gpus,
            ram_total_bytes=host.ram_total_bytes,
            ram_free_bytes=host.ram_free_bytes,
            cpu_name=host.cpu_name,
            cpu_cores=host.cpu_cores,
            cpu_percent=host.cpu_percent,
            notes=(*notes, *host.notes),
        )

    def fit(
        self, info: ModelInfo, machine: Machine, *, context: int, kv_type: str = "f16", slots: int = 1
    ) -> FitVerdict:
        """Whether a model fits on that machine. `context` is in tokens per slot.

        The first question about a file reads its header, which takes up to 150 ms; later ones take about 1 ms. A model
        whose header can't be read is UNKNOWN; `note` says why. Raises UsageError on a `kv_type` that there is not.
        """
        setting = _setting(info, context, kv_type, slots)
        estimate = self._estimate(info)
        if estimate is None or isinstance(estimate, ArenaError):
            return unknown(str(info.ref), context)
        return judge(str(info.ref), estimate, self._settled(machine), setting, self._nvidia.multiprocessors)

    def together(
        self, infos: Sequence[ModelInfo], machine: Machine, *, context: int, kv_type: str = "f16", slots: int = 1
    ) -> Together:
        """Whether several models can be loaded at once, each with that context. Raises UsageError as `fit` does."""
        wanted: list[tuple[Estimate | None, Setting]] = []
        for info in infos:
            estimate = self._estimate(info)
            setting = _setting(info, context, kv_type, slots)
            wanted.append((None if isinstance(estimate, ArenaError) else estimate, setting))
        return together(wanted, self._settled(machine), self._nvidia.multiprocessors)

    def note(self, info: ModelInfo) -> str:
        """Why nothing, or only something rough, can be said of what a model needs; '' when all is well."""
        estimate = self._estimate(info)
        if isinstance(estimate, ArenaError):
            return estimate.sentence
        if not info.local:
            return "It takes the memory of another machine."
        if estimate is None:
            return "Its endpoint tells neither a file nor a size."
        return "" if estimate.method == "header" else "Estimated from its size: its header is not at hand."

    def close(self) -> None:
        """Let go of the drivers."""
        with self._reading:
            self._nvidia.close()

    def _gpus(self) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
        try:
            return self._nvidia.read()
        except Exception as error:  # noqa: BLE001 - drivers fail in ways of their own; the panel shows the rest
            return (), (f"The NVIDIA driver could not be read: {error or type(error).__name__}.",)

    def _read_host(self) -> Host:
        try:
            return self._host.read()
        except Exception as error:  # noqa: BLE001 - likewise
            return Host(notes=(f"Memory and processor could not be read: {error or type(error).__name__}.",))

    def _settled(self, machine: Machine) -> Machine:
        """The machine with the least free memory that its GPUs had in the last readings."""
        with self._lock:
            least = {uuid: min(samples) for uuid, samples in self._free.items()}
        gpus = tuple(
            replace(gpu, free_bytes=min(gpu.free_bytes, least[gpu.uuid]))
            if gpu.free_bytes is not None and gpu.uuid in least
            else gpu
            for gpu in machine.gpus
        )
        return replace(machine, gpus=gpus)

    def _estimate(self, info: ModelInfo) -> Estimate | ArenaError | None:
        """From the model's header if it is a file here, else from its size; the fault if the header can't be read."""
        if not info.local:
            return None
        if not info.location or "://" in info.location:
            return CatalogueEstimate.of(info)
        path = Path(info.location)
        try:
            status = path.stat()
            stamp = (status.st_size, status.st_mtime_ns)
        except (OSError, ValueError):
            stamp = (-1, -1)
        with self._lock:
            known = self._headers.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        found: Estimate | ArenaError
        try:
            found = HeaderEstimate.of(read_header(path))
        except ArenaError as error:
            found = error
        with self._lock:
            self._headers[path] = (stamp, found)
        return found


def _setting(info: ModelInfo, context: int, kv_type: str, slots: int) -> Setting:
    """How it would be loaded; what was asked to be different for this contestant goes first."""
    runtime: Runtime = EMBEDDED if info.ref.endpoint in _EMBEDDED_ENDPOINTS else SERVER
    return Setting(info.variant.context or context, info.variant.kv_type or kv_type, slots, runtime)


def _with_ram(gpu: Gpu, host: Host) -> Gpu:
    """A GPU without memory of its own has the computer's."""
    if SHARES_RAM not in gpu.note or not host.ram_total_bytes:
        return gpu
    return replace(gpu, total_bytes=host.ram_total_bytes, free_bytes=host.ram_free_bytes)
