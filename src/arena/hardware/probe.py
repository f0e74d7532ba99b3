"""The probe: the machine as it stands now, and what fits on it.

Drivers hang: each reader works in a thread of its own, and one that does not come back in time is not waited for and
not asked again until it does. What it said last is shown meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from arena.core.errors import ArenaError
from arena.core.fit import Lever, Together
from arena.core.gguf_shelf import HeaderShelf
from arena.core.loads import EMBEDDED as EMBEDDED_RUNTIME
from arena.core.loads import Load, LoadFacts
from arena.core.machine import MIB, FitVerdict, Gpu, Machine
from arena.core.models import ModelInfo
from arena.hardware.amd import SysfsReader
from arena.hardware.apple import AppleReader
from arena.hardware.estimates import Estimator
from arena.hardware.fit.devices import without_own
from arena.hardware.fit.estimate import EMBEDDED, SERVER, Estimate, Runtime, Setting
from arena.hardware.fit.levers import holders, levers
from arena.hardware.fit.measured import CalibratedEstimate, Calibration, calibrated
from arena.hardware.fit.together import together
from arena.hardware.fit.verdict import judge, unknown
from arena.hardware.host import SHARES_RAM, Host, HostReader
from arena.hardware.loads import Question, measure
from arena.hardware.nvidia import NvidiaReader

SAMPLES = 3
"""Free memory goes up and down; a verdict goes by the least of that many readings."""
PATIENCE_S = 2.0
"""How long a reader is waited for."""
FIRST_PATIENCE_S = 6.0
"""The same at the first reading, which starts the driver: that takes seconds where no other program keeps it up."""
ANSWERS = 256
"""So many answers on several models at once are kept: the panel and the picker ask for the same ones all the time."""
ALIKE_BYTES = 64 * MIB
"""Free memory that differs by less gets the same answer: a quarter of what is left free on every device."""
_EMBEDDED_ENDPOINTS = ("gguf", "demo")

_T = TypeVar("_T")
_Gpus: TypeAlias = tuple[tuple[Gpu, ...], tuple[str, ...]]
"""GPUs, and what is to be said of their driver."""
_NOTHING: _Gpus = ((), ())


class GpuReader(Protocol):
    """Reads the GPUs of one maker."""

    def read(self) -> _Gpus:
        """All of them as they stand now, with indices of its own, and what is to be said."""
        ...


class MachineProbe:
    """Reads the machine, and says what fits. May be asked from several threads."""

    def __init__(
        self,
        nvidia: NvidiaReader | None = None,
        host: HostReader | None = None,
        *,
        others: Sequence[tuple[str, GpuReader]] | None = None,
        patience_s: tuple[float, float] = (FIRST_PATIENCE_S, PATIENCE_S),
        clock: Callable[[], float] = time.time,
        headers: HeaderShelf | None = None,
        offloads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Readers other than the usual ones are for machines that are not there.

        `others` read GPUs after NVIDIA's, each with the words that name it; `patience_s` is for the first reading and
        for the later ones; `clock` tells the time of day in s, `offloads` whether the embedded engine can use a GPU.
        """
        self._nvidia = nvidia or NvidiaReader()
        self._host = host or HostReader()
        if others is None:
            others = (("kernel's graphics driver", SysfsReader()), ("Apple GPU", AppleReader()))
        makers: tuple[tuple[str, GpuReader], ...] = (("NVIDIA driver", self._nvidia), *others)
        self._gpu_readers = [_Patient(what, _guarded(what, reader), _NOTHING, clock) for what, reader in makers]
        self._host_reader = _Patient("operating system", self._read_host, Host(), clock)
        self._patience_s, self._later_patience_s = patience_s
        self._reading = threading.Lock()
        # apart from the other, so that no verdict waits for a slow driver
        self._lock = threading.Lock()
        self._free: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=SAMPLES))
        self.estimates = Estimator(headers)
        self._offloads = offloads
        self._calibration = Calibration()
        self._answers: OrderedDict[object, tuple[object, Together]] = OrderedDict()

    def read(self) -> Machine:
        """The machine as it stands now. Never raises: what can't be read is a note.

        The first reading imports psutil and pynvml and starts the driver, which takes longer than the later ones. None
        takes longer than the limits of this module.
        """
        with self._reading:
            readers: tuple[_Patient[Any], ...] = (*self._gpu_readers, self._host_reader)
            for reader in readers:
                reader.start()
            until = time.monotonic() + self._patience_s
            self._patience_s = self._later_patience_s
            for reader in readers:
                reader.wait(until - time.monotonic())
            host, notes = self._host_reader.last, [reader.note for reader in readers if reader.note]
            found = [(gpu, reader.is_late) for reader in self._gpu_readers for gpu in reader.last[0]]
            notes += [note for reader in self._gpu_readers for note in reader.last[1]]
        gpus = tuple(_with_ram(replace(gpu, index=index), host) for index, (gpu, _) in enumerate(found))
        with self._lock:
            for gpu, (_, is_late) in zip(gpus, found, strict=True):
                # what is only repeated says nothing of how free memory goes up and down
                if gpu.uuid and gpu.free_bytes is not None and not is_late:
                    self._free[gpu.uuid].append(gpu.free_bytes)
        return Machine(
            gpus=gpus,
            ram_total_bytes=host.ram_total_bytes,
            ram_free_bytes=host.ram_free_bytes,
            cpu_name=host.cpu_name,
            cpu_cores=host.cpu_cores,
            cpu_percent=host.cpu_percent,
            cpu_throttles=host.cpu_throttles,
            notes=(*notes, *host.notes),
        )

    def learn(self, loads: Sequence[Load]) -> None:
        """Judge from now on by these past loads, newest first, and by no others."""
        self._calibration = Calibration(loads)
        with self._lock:
            self._answers.clear()

    def measure(self, info: ModelInfo, facts: LoadFacts, *, context: int, kv_type: str = "f16") -> Load | None:
        """What a model took that was loaded just now, beside what is predicted; None where nobody says.

        Reads the machine. Raises UsageError on a `kv_type` that there is not.
        """
        estimate = self._known(info)
        if estimate is None:
            return None
        machine = self.read()
        if any(reader.is_late for reader in self._gpu_readers):
            return None  # its figures may be older than the load
        setting, units = _setting(info, context, kv_type, 1), self._nvidia.multiprocessors
        told = self._calibrated(info, estimate, machine)
        ram_bytes = None if facts.gpu_layers else self._host.resident_bytes(facts.pid)
        return measure(Question(info.ref, facts, setting, estimate, told, units), machine, ram_bytes)

    def fit(
        self, info: ModelInfo, machine: Machine, *, context: int, kv_type: str = "f16", slots: int = 1
    ) -> FitVerdict:
        """Whether a model fits on that machine. `context` is in tokens per slot.

        The first question about a file reads its header, which takes up to 150 ms; later ones take about 1 ms. A model
        whose header can't be read is UNKNOWN; `note` says why. Raises UsageError on a `kv_type` that there is not.

        On the machine that was read here a model is not counted twice: what it holds already, as its server tells, is
        as good as free for it. Arena's own models can be unloaded at will, so what they hold is free for a model that
        arena runs itself; what Ollama and others hold never is.
        """
        setting = _setting(info, context, kv_type, slots)
        estimate = self._known(info)
        if estimate is None:
            return unknown(str(info), context)
        known = self._calibrated(info, estimate, machine)
        where, held = self._found_by(info, machine)
        judged = judge(str(info), known, where, setting, self._nvidia.multiprocessors, held=held)
        return known.verdict(judged, setting) if isinstance(known, CalibratedEstimate) else judged

    def together(
        self, infos: Sequence[ModelInfo], machine: Machine, *, context: int, kv_type: str = "f16", slots: int = 1
    ) -> Together:
        """Whether several models can be loaded at once, each with that context. Raises UsageError as `fit` does.

        What is loaded counts as in `fit`. An answer is kept while free memory stays about the same.
        """
        known = [self._known(info) for info in infos]
        settings = [_setting(info, context, kv_type, slots) for info in infos]
        here, settled = self._is_here(machine), self._settled(machine)
        if here and not self._offloads() and all(map(_is_embedded, infos)):
            settled = replace(settled, gpus=())
        question = (tuple(infos), tuple(settings), here, _outline(settled))
        with self._lock:
            kept = self._answers.get(question)
            if kept is not None and kept[0] == known:
                self._answers.move_to_end(question)
                return kept[1]
        found = together(
            [
                (estimate and self._calibrated(info, estimate, machine), setting)
                for info, estimate, setting in zip(infos, known, settings, strict=True)
            ],
            settled,
            self._nvidia.multiprocessors,
            resident={index: info.resident_bytes for index, info in enumerate(infos) if here and info.resident_bytes},
            ollama=[self.estimates.ollama_facts(info) if info.runtime == "ollama" else None for info in infos],
            own={index for index, info in enumerate(infos) if here and _is_embedded(info)},
        )
        with self._lock:
            self._answers[question] = known, found
            if len(self._answers) > ANSWERS:
                self._answers.popitem(last=False)
        return found

    def levers(self, info: ModelInfo, machine: Machine, *, context: int, kv_type: str, slots: int) -> tuple[Lever, ...]:
        """What would make the model fit there, each with its bytes; () for one that fits, or is not known."""
        estimate = self._known(info)
        if estimate is None:
            return ()
        where, held = self._found_by(info, machine)
        return levers(
            str(info),
            self._calibrated(info, estimate, machine),
            where,
            _setting(info, context, kv_type, slots),
            smaller=self.estimates.smaller(info),
            reclaimable=holders(machine, held, own=_is_embedded(info)),
            multiprocessors=self._nvidia.multiprocessors,
            held=held,
        )

    def close(self) -> None:
        """Let go of the drivers. One that hangs is left as it is: it would not let go either."""
        with self._reading:
            if not self._gpu_readers[0].is_late:
                self._nvidia.close()
        self.estimates.close()

    def _known(self, info: ModelInfo) -> Estimate | None:
        """What is known of its needs; None too when its header can't be read: `estimates.note` says why."""
        try:
            return self.estimates.of(info)
        except ArenaError:
            return None

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

    def _is_here(self, machine: Machine) -> bool:
        """Whether its GPUs are those of this computer: what is loaded here helps on no other machine."""
        with self._lock:
            known = set(self._free)
        mine = {gpu.uuid for gpu in machine.gpus if gpu.free_bytes is not None}
        if not machine.gpus:
            return not known
        return "" not in mine and (not known or mine <= known)

    def _found_by(self, info: ModelInfo, machine: Machine) -> tuple[Machine, int]:
        """The machine as that model finds it, and the bytes that the model holds already."""
        settled = self._settled(machine)
        if not self._is_here(machine):
            return settled, 0
        if _is_embedded(info):
            return without_own(settled) if self._offloads() else replace(settled, gpus=()), 0
        return settled, info.resident_bytes or 0

    def _calibrated(self, info: ModelInfo, estimate: Estimate, machine: Machine) -> Estimate:
        """The estimate, corrected on the GPUs of that machine by past loads of the same runtime."""
        if not self._calibration or not machine.gpus:
            return estimate
        runtime, usual = _runtime(info)
        units, digest = self._nvidia.multiprocessors, info.ref.digest
        return calibrated(estimate, self._calibration, machine.gpus, units, runtime=runtime, usual=usual, digest=digest)


def _setting(info: ModelInfo, context: int, kv_type: str, slots: int) -> Setting:
    """How it would be loaded; what was asked to be different for this contestant goes first."""
    return Setting(info.variant.context or context, info.variant.kv_type or kv_type, slots, _runtime(info)[1])


def _runtime(info: ModelInfo) -> tuple[str, Runtime]:
    """What runs it, by the name that its loads are kept under, and how."""
    if _is_embedded(info):
        return EMBEDDED_RUNTIME, EMBEDDED
    return info.ref.endpoint, SERVER


def _is_embedded(info: ModelInfo) -> bool:
    """Whether a worker of arena's runs it."""
    return info.ref.endpoint in _EMBEDDED_ENDPOINTS


def _outline(machine: Machine) -> object:
    """What answers depend on: machines that differ by little have the same one."""
    gpus = tuple(
        (
            replace(gpu, free_bytes=None, processes=(), note="", throttled="",
                    utilization=None, temperature_c=None, power_w=None),
            gpu.free_bytes and gpu.free_bytes // ALIKE_BYTES,
            tuple((each.kind, (each.used_bytes or 0) // ALIKE_BYTES) for each in gpu.processes),
        )
        for gpu in machine.gpus
    )  # fmt: skip
    return gpus, machine.ram_total_bytes, machine.ram_free_bytes // ALIKE_BYTES


def _with_ram(gpu: Gpu, host: Host) -> Gpu:
    """A GPU without memory of its own has the computer's, or as much of that as it may take."""
    if not (gpu.shares_ram or SHARES_RAM in gpu.note) or not host.ram_total_bytes or gpu.free_bytes is not None:
        return gpu
    total = gpu.total_bytes or host.ram_total_bytes
    return replace(gpu, total_bytes=total, free_bytes=min(total, host.ram_free_bytes), shares_ram=True)


def _guarded(what: str, reader: GpuReader) -> Callable[[], _Gpus]:
    """That reader, with a note instead of its faults."""

    def read() -> _Gpus:
        try:
            return reader.read()
        except Exception as error:  # noqa: BLE001 - drivers fail in ways of their own; the panel shows the rest
            return (), (f"The {what} could not be read: {error or type(error).__name__}.",)

    return read


@dataclass(slots=True)
class _Answer(Generic[_T]):
    """What a reader says, once it has said it."""

    value: _T | None = None
    at: float = 0.0


class _Patient(Generic[_T]):
    """A reader that may hang, asked in threads of its own, one at a time."""

    def __init__(self, what: str, read: Callable[[], _T], nothing: _T, clock: Callable[[], float]) -> None:
        """`what` it is, in words; `nothing` is what it has said before its first answer. `read` must not raise."""
        self.last = nothing
        self._what = what
        self._read = read
        self._clock = clock
        self._at: float | None = None
        self._asked: tuple[threading.Thread, _Answer[_T]] | None = None
        self._given_up = False

    def start(self) -> None:
        """Ask, unless the last question is still open."""
        self.wait(0)
        if self._asked is None:
            answer: _Answer[_T] = _Answer()
            # no pool: those wait for their threads when the program ends
            thread = threading.Thread(target=self._answer, args=(answer,), name=self._what, daemon=True)
            self._asked, self._given_up = (thread, answer), False
            thread.start()

    def wait(self, seconds: float) -> None:
        """Give it that long to answer, but only once for a question: the rest of the machine is not to wait for it."""
        if self._asked is None:
            return
        thread, answer = self._asked
        thread.join(0.0 if self._given_up else max(0.0, seconds))
        self._given_up = seconds > 0 or self._given_up
        if not thread.is_alive():
            self._asked = None
            if answer.value is not None:
                self.last, self._at = answer.value, answer.at

    @property
    def is_late(self) -> bool:
        """Whether it has not answered the last question, so that `last` is older."""
        return self._asked is not None

    @property
    def note(self) -> str:
        """What is to be said of a reader that is late; '' of others."""
        if not self.is_late:
            return ""
        begin = f"The {self._what} does not answer"
        if self._at is None:
            return f"{begin}."
        return f"{begin}; figures of {time.strftime('%H:%M:%S', time.localtime(self._at))}."

    def _answer(self, answer: _Answer[_T]) -> None:
        answer.value, answer.at = self._read(), self._clock()
