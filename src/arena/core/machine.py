"""The machine: GPUs, memory, and whether a model fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MIB = 1 << 20
GIB = 1 << 30


class ProcessKind(StrEnum):
    """Whose a process on a GPU is."""

    OWN = "own"
    """This program, or a process that it started."""
    OLLAMA = "ollama"
    """Ollama, or a process that Ollama started."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory of a GPU."""

    pid: int
    name: str
    """Base name of its program, safe to show; '' where the system does not tell."""
    used_bytes: int | None
    """None where the driver does not tell, as on Windows."""
    kind: ProcessKind = ProcessKind.OTHER


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as it stands now. None: the driver does not say."""

    index: int
    name: str
    uuid: str = ""
    total_bytes: int | None = None
    free_bytes: int | None = None
    reserved_bytes: int = 0
    """Held by the driver, in no process; 0 where the driver does not tell it apart."""
    utilization: float | None = None
    """Percent of time a kernel ran."""
    temperature_c: float | None = None
    power_w: float | None = None
    note: str = ""
    """What could not be read, in words."""
    processes: tuple[GpuProcess, ...] = ()
    """Those that the system shows to this user, the largest first."""
    shares_ram: bool = False
    """It has no memory of its own, or little: what it takes is taken from RAM."""
    drives_display: bool = False
    throttled: str = ""
    """Why its clocks are held down now: `thermal`, `power`, `hardware`, several with commas; '' when they are not."""
    vendor: str = ""
    """`nvidia`, `amd`, `intel`, `apple`; '' for GPUs that are not there. A process uses GPUs of one vendor only."""
    part_of: str = ""
    """Of an instance of a divided card (MIG): the uuid of that card. A process uses one instance only."""

    @property
    def reclaimable_bytes(self) -> int:
        """Bytes that would be free without this program's models and Ollama's, as far as the driver tells them.

        A lower bound where it does not tell each process's share. An Ollama model that answers somebody is counted too.
        """
        ours = (each for each in self.processes if each.kind is not ProcessKind.OTHER)
        return sum(each.used_bytes or 0 for each in ours)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the hardware panel shows."""

    gpus: tuple[Gpu, ...] = ()
    ram_total_bytes: int = 0
    ram_free_bytes: int = 0
    """Available memory: what a new process can get without swapping."""
    cpu_name: str = ""
    cpu_cores: int = 0
    cpu_percent: float | None = None
    notes: tuple[str, ...] = field(default=())
    cpu_throttles: int | None = None
    """How often the CPU has held its clocks down for heat since it was started; None where nobody counts."""


class Fits(StrEnum):
    """The answer to 'does it fit?'."""

    FITS = "fits"
    TIGHT = "tight"
    PARTIAL = "partial"
    """A part of its layers fits on the GPU."""
    CPU = "cpu"
    """It fits in RAM; there is no GPU, or not enough of one."""
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FitParts:
    """Where the bytes go."""

    weights: int = 0
    kv: int = 0
    recurrent: int = 0
    compute: int = 0
    overhead: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.kv + self.recurrent + self.compute + self.overhead


@dataclass(frozen=True, slots=True)
class FitVerdict:
    """Whether a model fits now, and how that is known."""

    model: str
    verdict: Fits
    need_bytes: int | None
    free_bytes: int | None
    """Of the device it was held against: the roomiest GPU, or RAM."""
    sigma_bytes: int | None
    """One standard deviation of need_bytes."""
    parts: FitParts
    method: str
    """measured, exact, header, catalogue, or '' when nothing is known."""
    context: int
    max_context: int | None
    """The longest context that fits, in tokens."""
    gpu_layers: int | None
    """Layers that fit on the GPU; None without a GPU."""
    device: str = ""
    """`gpu 0`, `ram`."""


def human_bytes(count: int | None) -> str:
    """`7.4 GiB`, `512 MiB`, `-` for None."""
    if count is None:
        return "-"
    if abs(count) >= GIB:
        return f"{count / GIB:.1f} GiB"
    if abs(count) >= MIB:
        return f"{count / MIB:.0f} MiB"
    return f"{count / 1024:.0f} KiB"
