"""The computer around the GPUs: memory and processor, read through psutil."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arena.core.machine import human_bytes

SHARES_RAM = "shares the RAM"
"""In the note of a GPU without memory of its own."""


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


class HostReader:
    """Reads the computer."""

    def __init__(self, psutil: Any = None, *, root: Path = Path("/")) -> None:  # noqa: ANN401 - a module
        """`psutil` is imported at the first reading unless something like it is given; `root` holds /proc and /sys."""
        self._psutil = psutil
        self._root = root
        self._cpu: tuple[str, int] | None = None
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
        return Host(total, max(0, free), *self._cpu, percent if measured else None, tuple(notes))

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
