"""AMD GPUs and Intel's cards, read from the files that the kernel's graphics drivers keep (Linux).

What the files mean: Documentation/gpu/amdgpu and Documentation/gpu/drm-usage-stats of the kernel. Every file may be
missing, unreadable or nonsense; each is read on its own, and what fails leaves the others standing. Written after the
drivers' documents and sources; not checked on such a machine.

A processor's own GPU (APU) has a part of RAM set aside as its memory, and takes more of RAM through a table (GTT): both
are counted, and it is said to share RAM. Intel's drivers tell how much memory a card has at best, never what is free,
and their integrated GPUs are left out.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from arena.core.machine import GIB, Gpu, GpuProcess
from arena.core.text import clean_line
from arena.hardware.host import SHARES_RAM, ProcessTable

AMD, INTEL = "0x1002", "0x8086"
"""Vendors, as the kernel writes them."""

MAX_CARDS = 32
MAX_BYTES = 1 << 50
"""No machine has more memory; a file that says so is not believed."""
SMALL_CARVE_OUT = 4 * GIB
"""Up to that much memory is taken for a part of RAM where the driver does not tell an APU from a card."""

SCAN_EVERY_S = 10.0
"""Looking through all processes is dear, so that it is done at every fifth reading of the panel."""
SCAN_S = 0.05
"""How long one look may take; what it has not come to by then is left out."""
MAX_PROCESSES, MAX_FILES = 4096, 1024
_READ_BYTES = 4096

_CARD = re.compile(r"card\d{1,4}", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_PCI_ID = re.compile(r"0x[0-9a-f]{4}", re.ASCII)
_SLOT = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", re.ASCII)
_INTEGRATED_SLOT = "0000:00:02.0"
"""Where Intel's integrated GPUs have been since there are any."""
_SIZE = re.compile(r"(\d{1,18})(?: (KiB|MiB))?", re.ASCII)
_UNITS = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20}

_Held = dict[str, dict[int, int]]
"""Bytes by PCI address and process."""


class SysfsReader:
    """Reads all AMD GPUs and Intel cards that the kernel shows."""

    def __init__(
        self,
        *,
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
        processes: ProcessTable | None = None,
    ) -> None:
        """`root` holds /sys and /proc."""
        self._root = root
        self._clock = clock
        self._processes = processes or ProcessTable()
        self._held: _Held = {}
        self._scanned_at = float("-inf")

    def read(self) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
        """All of them as they stand now; nothing where the system has no such files."""
        cards = [_Card(folder) for folder in _cards(self._root / "sys/class/drm")]
        cards = [card for card in cards if card.vendor == AMD or card.is_discrete_intel]
        if any(card.vendor == AMD for card in cards) and self._clock() - self._scanned_at >= SCAN_EVERY_S:
            self._held = _held_memory(self._root / "proc", self._clock)
            self._scanned_at = self._clock()
        return tuple(self._gpu(index, card) for index, card in enumerate(cards)), ()

    def _gpu(self, index: int, card: _Card) -> Gpu:
        if card.vendor == INTEL:
            return _intel(index, card)
        notes: list[str] = []
        total, used = card.number("mem_info_vram_total"), card.number("mem_info_vram_used")
        free = None if total is None or used is None else max(0, total - used)
        shares_ram = card.shares_ram
        if shares_ram:
            notes.append(SHARES_RAM)
            total, free = self._with_table(card, total, free)
        if total is None or free is None:
            notes.append("its memory can't be read")
        asleep = card.text("power/runtime_status") == "suspended"
        if asleep:
            notes.append("asleep")
        percent = None if asleep else card.number("gpu_busy_percent")
        # asking for heat and power would wake it
        heat, power = (None, None) if asleep else card.strain()
        return Gpu(
            index=index,
            name=card.name,
            uuid=card.uuid,
            total_bytes=total,
            free_bytes=free,
            utilization=float(percent) if percent is not None and percent <= 100 else None,
            temperature_c=heat,
            power_w=power,
            note="; ".join(notes),
            processes=self._processes_on(card),
            shares_ram=shares_ram,
            vendor="amd",
        )

    def _with_table(self, card: _Card, total: int | None, free: int | None) -> tuple[int | None, int | None]:
        """Total and free bytes of an APU: what is set aside for it, and what it may take of RAM as RAM stands now."""
        table, taken = card.number("mem_info_gtt_total"), card.number("mem_info_gtt_used")
        if table is None or taken is None:
            return total, free
        room = max(0, table - taken)
        available = _available_ram(self._root / "proc/meminfo")
        room = room if available is None else min(room, available)
        return (total or 0) + table, None if free is None else free + room

    def _processes_on(self, card: _Card) -> tuple[GpuProcess, ...]:
        held = sorted(self._held.get(card.slot, {}).items(), key=lambda each: (-each[1], each[0]))
        return tuple(self._processes.identify(pid, used) for pid, used in held)


@dataclass(frozen=True, slots=True)
class _Card:
    """The folder of one card, such as /sys/class/drm/card0."""

    folder: Path

    def text(self, name: str) -> str:
        """What a file of the device says, without blanks around it; '' where it can't be read."""
        return _text(self.folder / "device" / name)

    def number(self, name: str) -> int | None:
        """A number that a file of the device says; None where it says none, or one beyond all memory."""
        return _number(self.text(name))

    @property
    def vendor(self) -> str:
        return self.text("vendor")

    @property
    def slot(self) -> str:
        """PCI address, `0000:03:00.0`; the card's own name where the kernel tells none."""
        facts = dict(line.split("=", 1) for line in self.text("uevent").splitlines() if "=" in line)
        slot = facts.get("PCI_SLOT_NAME", "").lower()
        return slot if _SLOT.fullmatch(slot) else self.folder.name

    @property
    def uuid(self) -> str:
        """The serial number of the chip where it has one, else where it is plugged in."""
        serial = clean_line(self.text("unique_id"), 40)
        return f"AMD-{serial}" if serial else f"PCI-{self.slot}"

    @property
    def name(self) -> str:
        """As its maker writes it, which only some server cards have; else the numbers that it is looked up by."""
        maker = "AMD" if self.vendor == AMD else "Intel"
        if name := clean_line(self.text("product_name"), 80):
            return name if name.upper().startswith(maker.upper()) else f"{maker} {name}"
        device = self.text("device")
        number = device[2:] if _PCI_ID.fullmatch(device) else "????"
        return f"{maker} GPU ({self.vendor[2:]}:{number})"

    @property
    def is_discrete_intel(self) -> bool:
        """A card of Intel's. Unlike integrated GPUs it is not at the one address that is theirs."""
        return self.vendor == INTEL and self.slot != _INTEGRATED_SLOT

    @property
    def shares_ram(self) -> bool:
        """Whether an AMD GPU is a part of the processor.

        Only those have a voltage `vddnb`, and only cards have makers of their memory; where neither is told, an APU is
        what has little memory and may take more than that of RAM.
        """
        if any(_text(each / "in1_label") == "vddnb" for each in self._monitors()):
            return True
        if self.text("mem_info_vram_vendor") not in ("", "0", "unknown"):
            return False
        if any(_text(each / "power1_cap") for each in self._monitors()):
            return False
        own, table = self.number("mem_info_vram_total") or 0, self.number("mem_info_gtt_total") or 0
        return own <= SMALL_CARVE_OUT and table > own

    def strain(self) -> tuple[float | None, float | None]:
        """Temperature in °C and power in W: files say thousandths and millionths. Newer chips have power1_input."""
        for each in self._monitors():
            heat = _number(_text(each / "temp1_input"))
            power = _number(_text(each / "power1_average"))
            power = _number(_text(each / "power1_input")) if power is None else power
            if heat is not None or power is not None:
                return (
                    heat / 1000 if heat is not None and heat < 200_000 else None,
                    power / 1e6 if power is not None and power < 10_000_000_000 else None,
                )
        return None, None

    def _monitors(self) -> list[Path]:
        return _folders(self.folder / "device/hwmon", "hwmon")


def _intel(index: int, card: _Card) -> Gpu:
    """A card of Intel's: its size where the driver tells it (i915 of Intel's own, or xe, which tells it by tile)."""
    total = _number(_text(card.folder / "lmem_total_bytes"))
    free = _number(_text(card.folder / "lmem_avail_bytes"))
    if total is None:
        tiles = [_number(_text(tile / "physical_vram_size_bytes")) for tile in _folders(card.folder / "device", "tile")]
        total = sum(each or 0 for each in tiles) or None
    heat, power = card.strain()
    unknown = "memory" if total is None else "free memory" if free is None else ""
    return Gpu(
        index=index,
        name=card.name,
        uuid=card.uuid,
        total_bytes=total,
        free_bytes=None if total is None or free is None else min(free, total),
        temperature_c=heat,
        power_w=power,
        note=unknown and f"its {unknown} can't be read",
        vendor="intel",
    )


def _cards(folder: Path) -> list[Path]:
    """Folders of the cards in the order of their numbers, without those of their connectors."""
    found = [each for each in _folders(folder, "card") if _CARD.fullmatch(each.name)]
    return sorted(found, key=lambda each: int(each.name[4:]))[:MAX_CARDS]


def _folders(folder: Path, begin: str) -> list[Path]:
    """What in a folder has a name that begins so, sorted; nothing where it can't be read."""
    return sorted(folder / name for name in _names(folder) if name.startswith(begin))


def _names(folder: Path) -> list[str]:
    """What is in a folder; nothing where it can't be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _text(path: Path) -> str:
    """The beginning of a file without blanks around it; '' where it can't be read."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(_READ_BYTES).decode("utf-8", "replace").strip("\0 \t\r\n")
    except (OSError, ValueError):
        return ""


def _number(text: str) -> int | None:
    """A whole number that is no more than any memory; None for anything else."""
    if not _NUMBER.fullmatch(text):
        return None
    return found if (found := int(text)) <= MAX_BYTES else None


def _available_ram(meminfo: Path) -> int | None:
    """Bytes that can be taken without swapping."""
    found = re.search(r"^MemAvailable:\s*(\d{1,15}) kB$", _text(meminfo), re.ASCII | re.MULTILINE)
    return int(found[1]) << 10 if found else None


def _held_memory(proc: Path, clock: Callable[[], float]) -> _Held:
    """What this user's processes hold of each GPU. Other users' processes are not shown to this one.

    Stops after SCAN_S: the newest processes come first, since a model that was loaded just now is one of them.
    """
    until, user = clock() + SCAN_S, os.getuid() if hasattr(os, "getuid") else -1
    held: defaultdict[str, dict[int, int]] = defaultdict(dict)
    pids = sorted((int(name) for name in _names(proc) if _NUMBER.fullmatch(name)), reverse=True)
    for pid in pids[:MAX_PROCESSES]:
        if clock() > until:
            break
        folder = proc / str(pid)
        try:
            if folder.stat().st_uid != user:
                continue
        except OSError:
            continue
        clients: dict[tuple[str, str], int] = {}
        for slot, client, used in _clients(folder):
            # two descriptors of one client tell the same memory
            clients[slot, client] = max(used, clients.get((slot, client), 0))
        for (slot, _), used in clients.items():
            held[slot][pid] = held[slot].get(pid, 0) + used
    return held


def _clients(process: Path) -> Iterator[tuple[str, str, int]]:
    """(PCI address, client, bytes) of each graphics device that a process has open."""
    for name in _names(process / "fd")[:MAX_FILES]:
        try:
            # the link is cheap, and most descriptors are of other things
            if not os.readlink(f"{process}/fd/{name}").startswith("/dev/dri/"):  # noqa: PTH115 - there are thousands
                continue
        except OSError:
            continue
        lines = _text(process / "fdinfo" / name).splitlines()
        facts = {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}
        slot = facts.get("drm-pdev", "").lower()
        if facts.get("drm-driver") == "amdgpu" and _SLOT.fullmatch(slot) and (used := _used(facts)):
            yield slot, facts.get("drm-client-id", name), used


def _used(facts: dict[str, str]) -> int:
    """Bytes of memory and of RAM through the table that a client holds. The name without `resident` is the older."""
    parts = 0
    for region in ("vram", "gtt"):
        text = facts.get(f"drm-memory-{region}") or facts.get(f"drm-resident-{region}", "")
        if match := _SIZE.fullmatch(text):
            parts += min(int(match[1]) * _UNITS[match[2]], MAX_BYTES)
    return parts
