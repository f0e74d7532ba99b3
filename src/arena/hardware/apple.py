"""The GPU of Apple's own processors, which has the computer's memory, read through `sysctl` (macOS).

How much of RAM the GPU may take is known to Metal alone (`recommendedMaxWorkingSetSize`) unless the user has set it
(`iogpu.wired_limit_mb`, 0 when not set). What Metal says by default was published in logs of llama.cpp: 21845 MB of 32
GiB (2/3), 28991 MB of 36 GiB (3/4), about 3/4 and more above that (107.5 GiB of 128). Not checked on such a machine.
"""

from __future__ import annotations

import platform
import re
import subprocess
import time
from collections.abc import Callable

from arena.core.machine import GIB, MIB, Gpu
from arena.core.text import clean_line
from arena.hardware.host import SHARES_RAM

ASK_EVERY_S = 30.0
"""How long an answer is used: starting a program costs more than all else in a reading, and the limit stays."""
SYSCTL_S = 1.0
"""How long sysctl may take."""
MAX_RAM = 1 << 46
_SMALL_RAM = 36 * GIB

_WHOLE_NUMBER = re.compile(r"\d{1,16}", re.ASCII)


def sysctl(name: str) -> str:
    """What the system says to one name; '' when it does not know it, or does not answer in time."""
    command = ["/usr/sbin/sysctl", "-n", name]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SYSCTL_S, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:400].decode("utf-8", "replace").strip()


class AppleReader:
    """Reads the GPU of an Apple processor."""

    def __init__(
        self,
        ask: Callable[[str], str] = sysctl,
        *,
        system: tuple[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` answers names of sysctl; `system` is that of `platform`, (system, machine), unless told otherwise."""
        self._ask = ask
        self._here = (system or (platform.system(), platform.machine())) == ("Darwin", "arm64")
        self._clock = clock
        self._asked_at = float("-inf")
        self._gpu: Gpu | None = None

    def read(self) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
        """The GPU with what it may take of RAM, without what is free: that is the computer's. Nothing elsewhere."""
        if not self._here:
            return (), ()
        if self._gpu is None or self._clock() - self._asked_at >= ASK_EVERY_S:
            self._gpu = self._look()
            self._asked_at = self._clock()
        return (self._gpu,), ()

    def _look(self) -> Gpu:
        name = clean_line(self._ask("machdep.cpu.brand_string"), 80) or "Apple GPU"
        ram = _whole_number(self._ask("hw.memsize"))
        limit = _whole_number(self._ask("iogpu.wired_limit_mb")) * MIB
        if ram < MIB:  # no computer has so little
            return Gpu(0, name, "apple", note=SHARES_RAM, shares_ram=True, vendor="apple")
        if 0 < limit <= ram:
            note = f"{SHARES_RAM}: as much as iogpu.wired_limit_mb says"
        else:
            limit, share = (ram * 2 // 3, "2/3") if ram < _SMALL_RAM else (ram * 3 // 4, "3/4")
            note = f"{SHARES_RAM}: {share} of it, as usual at this size"
        return Gpu(0, name, "apple", total_bytes=limit, note=note, shares_ram=True, vendor="apple")


def _whole_number(text: str) -> int:
    """A whole number; 0 for anything else, and for more than any memory."""
    return found if _WHOLE_NUMBER.fullmatch(text) and (found := int(text)) <= MAX_RAM else 0
