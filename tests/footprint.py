"""What a program holds of the machine: memory, file handles, threads, children. For tests and benchmarks."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of this process and its children, at one moment."""

    rss_mib: float
    workers_mib: float
    """Resident memory of all children together."""
    files: int
    """Open file descriptors (on Windows: handles), sockets and pipes included."""
    threads: int
    children: int
    zombies: int
    """Children that have ended and that nobody has asked for."""

    @classmethod
    def now(cls) -> Footprint:
        """What is held once the garbage is collected."""
        gc.collect()
        me = psutil.Process()
        workers, zombies = 0.0, 0
        children = me.children(recursive=True)
        for child in children:
            try:
                zombies += child.status() == psutil.STATUS_ZOMBIE
                workers += child.memory_info().rss / 2**20
            except psutil.NoSuchProcess:  # it went while it was looked at
                continue
        files = me.num_handles() if os.name == "nt" else me.num_fds()
        return cls(me.memory_info().rss / 2**20, workers, files, me.num_threads(), len(children), zombies)
