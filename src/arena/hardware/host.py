"""The computer around the GPUs: memory, processor, and whose a process is, read through psutil."""

from __future__ import annotations

import importlib
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arena.core.machine import GpuProcess, ProcessKind, human_bytes
from arena.core.text import clean_line

SHARES_RAM = "shares the RAM"
"""In the note of a GPU without memory of its own."""

MAX_ANCESTORS = 16
MAX_REMEMBERED = 1024

# The server, its window, and the runners of releases before 0.4 (`ollama_llama_server`).
_OLLAMA = re.compile(r"ollama( app|_\w+)?(\.exe)?", re.ASCII | re.IGNORECASE)
_SEPARATORS = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class Host:
    """Memory and processor as they stand now."""

    ram_total_bytes: int = 0
    ram_free_bytes: int = 0
    """Available memory: what a new process can get without swapping. File caches count as free."""
    cpu_name: str = ""
    cpu_cores: int = 0
    """Cores, not threads, where they can be told apart."""
    cpu_percent: float | None = None
    """Since the reading before; None at the first."""
    notes: tuple[str, ...] = ()
    cpu_throttles: int | None = None
    """How often the CPU has held its clocks down for heat since it was started; Linux counts it for Intel's."""


class HostReader:
    """Reads the computer."""

    def __init__(self, psutil: Any = None, *, root: Path = Path("/")) -> None:  # noqa: ANN401 - a module
        """`psutil` is imported at the first reading unless something like it is given; `root` holds /proc and /sys."""
        self._psutil = psutil
        self._root = root
        self._cpu: tuple[str, int] | None = None
        self._throttle_counts: list[Path] | None = None
        self._measured = False

    def read(self) -> Host:
        """The computer as it stands now. Never waits: the load is the one since the reading before."""
        psutil = self._psutil = self._psutil or importlib.import_module("psutil")
        notes: list[str] = []

        def ask(what: str, query: Callable[[], Any]) -> Any:  # noqa: ANN401 - as many types as there are queries
            try:
                return query()
            except (psutil.Error, OSError, NotImplementedError, RuntimeError) as error:
                notes.append(f"No {what}: {error or type(error).__name__}.")
                return None

        memory = ask("memory", psutil.virtual_memory)
        total, free = (int(memory.total), int(memory.available)) if memory else (0, 0)
        if (limit := self._container_limit()) and limit[0] < total:
            total, free = limit[0], min(free, limit[0] - limit[1])
            notes.append(f"This container may use {human_bytes(total)} of memory.")
        if self._cpu is None:
            cores = ask("cores", lambda: psutil.cpu_count(logical=False) or psutil.cpu_count())
            self._cpu = (self._cpu_name(), int(cores or 0))
        percent = ask("load", lambda: float(psutil.cpu_percent(interval=None)))
        # psutil's first answer is 0.0 and means nothing
        measured, self._measured = self._measured, True
        known = percent if measured else None
        return Host(total, max(0, free), *self._cpu, known, tuple(notes), self._throttles())

    def resident_bytes(self, pid: int) -> int | None:
        """Memory that a process has touched and still holds; None where it is gone or the system does not tell."""
        psutil = self._psutil = self._psutil or importlib.import_module("psutil")
        try:
            return int(psutil.Process(pid).memory_info().rss)
        except (psutil.Error, OSError, NotImplementedError, RuntimeError, ValueError, AttributeError):
            return None

    def _throttles(self) -> int | None:
        """Of all cores and packages together: only whether it grows says something."""
        if self._throttle_counts is None:
            folder = self._root / "sys/devices/system/cpu"
            self._throttle_counts = sorted(folder.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
        try:
            counts = [int(each.read_text(encoding="ascii")) for each in self._throttle_counts]
        except (OSError, ValueError):
            return None
        return sum(counts) if counts else None

    def _cpu_name(self) -> str:
        """The processor's name as its maker writes it; the architecture where the system does not tell."""
        try:
            lines = (self._root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        facts = dict(part for line in lines if len(part := [half.strip() for half in line.split(":", 1)]) == 2)
        return facts.get("model name") or facts.get("Model") or platform.processor() or platform.machine()

    def _container_limit(self) -> tuple[int, int] | None:
        """(limit, used) in bytes of the control group that this process is confined to, None without one."""
        group = self._root / "sys/fs/cgroup"
        try:
            limit = (group / "memory.max").read_text(encoding="ascii").strip()
            if limit == "max":
                return None
            facts = dict(
                line.split(" ", 1) for line in (group / "memory.stat").read_text(encoding="ascii").splitlines()
            )
            # the cache of files is given back when memory runs short
            used = int((group / "memory.current").read_text(encoding="ascii")) - int(facts.get("inactive_file", 0))
            return int(limit), max(0, used)
        except (OSError, ValueError):
            return None


class ProcessTable:
    """Tells a process's name and whose it is. Remembers both as long as the process lives."""

    def __init__(self, psutil: Any = None, *, own_pid: int | None = None) -> None:  # noqa: ANN401 - a module
        """`psutil` as above; `own_pid` is this program's own process unless told otherwise."""
        self._psutil = psutil
        self._own_pid = os.getpid() if own_pid is None else own_pid
        self._known: dict[int, tuple[float, str, ProcessKind]] = {}

    def identify(self, pid: int, used_bytes: int | None) -> GpuProcess:
        """That process. One that is gone, of another container, or not to be asked has no name and is of kind OTHER."""
        psutil = self._psutil = self._psutil or importlib.import_module("psutil")
        faults = (psutil.Error, OSError, NotImplementedError, RuntimeError, ValueError, OverflowError)
        try:
            process = psutil.Process(pid)
            # a number may be given to another process later, a number and a time may not
            born = float(process.create_time())
        except faults:
            return GpuProcess(pid, "", used_bytes)
        known = self._known.get(pid)
        if known is None or known[0] != born:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            known = self._known[pid] = (born, _program(process, faults), self._kind(process, faults))
        return GpuProcess(pid, known[1], used_bytes, known[2])

    def _kind(self, process: Any, faults: tuple[type[Exception], ...]) -> ProcessKind:  # noqa: ANN401 - psutil's
        """Whose it is, by the nearest of its ancestors that tells."""
        for _ in range(MAX_ANCESTORS):
            if process.pid == self._own_pid:
                return ProcessKind.OWN
            if _OLLAMA.fullmatch(_program(process, faults)):
                return ProcessKind.OLLAMA
            try:
                process = process.parent()
            except faults:
                break
            if process is None:
                break
        return ProcessKind.OTHER


def _program(process: Any, faults: tuple[type[Exception], ...]) -> str:  # noqa: ANN401 - psutil's
    """Base name of a process's program, safe to show; '' where the system does not tell."""
    for query in (process.name, lambda: (process.cmdline() or [""])[0]):
        try:
            name = clean_line(_SEPARATORS.split(str(query()))[-1], 40)
        except faults:
            continue
        if name:
            return name
    return ""
