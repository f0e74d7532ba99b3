"""The probe: readings, what becomes of faults, and verdicts on models as endpoints describe them."""

import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import gguf_files as files
from arena.core.errors import UsageError
from arena.core.fit import TogetherVerdict
from arena.core.machine import GIB, MIB, Fits, Gpu, Machine
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.amd import SysfsReader
from arena.hardware.apple import AppleReader
from arena.hardware.host import SHARES_RAM, HostReader
from arena.hardware.nvidia import NvidiaReader
from arena.hardware.probe import MachineProbe
from arena.hardware.whatif import parse_gpus
from nvml_cards import Nvml


class Nvidia:
    """Shows the GPUs that it is given, one list per reading, the last one for ever."""

    def __init__(self, *readings):
        self.readings = list(readings)
        self.multiprocessors = {}
        self.closed = False

    def read(self):
        gpus = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        if isinstance(gpus, Exception):
            raise gpus
        return tuple(gpus), ()

    def close(self):
        self.closed = True


class Psutil:
    """psutil on a computer with 16 GiB, of which 12 are available."""

    Error = psutil.Error

    def virtual_memory(self):
        return SimpleNamespace(total=16 * GIB, available=12 * GIB, free=1 * GIB)

    def cpu_count(self, *, logical=True):
        return 16 if logical else 8

    def cpu_percent(self, interval):
        assert interval is None
        return 25.0


def card(free_mib, uuid="GPU-0", **facts):
    return Gpu(0, "Card", uuid, 8192 * MIB, free_mib * MIB, **facts)


def host(tmp_path, tools=None):
    return HostReader(tools or Psutil(), root=tmp_path)


def only(nvidia, reader=None, *, others=(), **options):
    """A probe that sees nothing of the graphics cards of this computer."""
    return MachineProbe(nvidia, reader, others=others, **options)


def proc(tmp_path, text):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(text)


def group(tmp_path, limit, current, inactive):
    folder = tmp_path / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


def test_the_computer(tmp_path):
    proc(tmp_path, "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz: fast\nflags\t\t: fpu\n")
    reader = host(tmp_path)
    first, second = reader.read(), reader.read()
    assert (first.ram_total_bytes, first.ram_free_bytes) == (16 * GIB, 12 * GIB)  # available, not free
    assert (first.cpu_name, first.cpu_cores, first.notes) == ("Some CPU @ 3 GHz: fast", 8, ())
    assert (first.cpu_percent, second.cpu_percent) == (None, 25.0)


def test_a_processor_without_a_name_has_its_architecture(tmp_path):
    assert host(tmp_path).read().cpu_name


def test_a_container_has_the_memory_that_it_may_use(tmp_path):
    group(tmp_path, 4 * GIB, 3 * GIB, 1 * GIB)
    found = host(tmp_path).read()
    assert (found.ram_total_bytes, found.ram_free_bytes) == (4 * GIB, 2 * GIB)
    assert found.notes == ("This container may use 4.0 GiB of memory.",)


@pytest.mark.parametrize("limit", ["max", str(64 * GIB), "nonsense"])
def test_no_container_or_a_larger_one_changes_nothing(tmp_path, limit):
    group(tmp_path, limit, 3 * GIB, 0)
    assert host(tmp_path).read().ram_total_bytes == 16 * GIB


def test_values_that_fail_are_notes(tmp_path):
    class Broken(Psutil):
        def virtual_memory(self):
            raise OSError("no /proc")

        def cpu_percent(self, interval):  # noqa: ARG002
            raise psutil.AccessDenied

    found = host(tmp_path, Broken()).read()
    assert (found.ram_total_bytes, found.cpu_percent, found.cpu_cores) == (0, None, 8)
    assert found.notes[0] == "No memory: no /proc."
    assert len(found.notes) == 2


def test_this_machine():
    probe = MachineProbe()
    probe.read()
    machine = probe.read()
    assert 0 < machine.ram_free_bytes <= machine.ram_total_bytes
    assert machine.cpu_cores > 0
    assert machine.cpu_name
    assert machine.cpu_percent is not None
    probe.close()


def test_reading_never_raises(tmp_path):
    class Broken(HostReader):
        def read(self):
            raise KeyError("surprise")

    machine = only(Nvidia(RuntimeError("the driver crashed")), Broken(root=tmp_path)).read()
    assert machine.gpus == ()
    assert machine.notes == (
        "The NVIDIA driver could not be read: the driver crashed.",
        "Memory and processor could not be read: 'surprise'.",
    )


def test_a_gpu_without_memory_of_its_own_has_the_computers(tmp_path):
    gpu = Gpu(0, "Unified", "GPU-0", note=f"{SHARES_RAM}; no power: Not Supported")
    machine = only(Nvidia([gpu]), host(tmp_path)).read()
    assert (machine.gpus[0].total_bytes, machine.gpus[0].free_bytes) == (16 * GIB, 12 * GIB)
    assert machine.gpus[0].note == gpu.note


def test_a_gpu_that_may_take_a_part_of_ram_has_no_more_than_that(tmp_path):
    most = [Gpu(0, "M", "apple", total * GIB, note=SHARES_RAM, shares_ram=True) for total in (10, 14)]
    machine = only(Nvidia([]), host(tmp_path), others=[("Apple GPU", Nvidia(most))]).read()
    assert [(gpu.total_bytes, gpu.free_bytes) for gpu in machine.gpus] == [(10 * GIB, 10 * GIB), (14 * GIB, 12 * GIB)]


def test_readers_tell_whose_a_gpu_is(tmp_path):
    for name, vendor in (("card0", "0x1002"), ("card1", "0x8086")):
        folder = tmp_path / f"sys/class/drm/{name}/device"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "uevent").write_text(f"PCI_SLOT_NAME=0000:0{name[-1]}:00.0\n")
    found = SysfsReader(root=tmp_path).read()[0]
    found += AppleReader(lambda _name: "", system=("Darwin", "arm64")).read()[0]
    found += NvidiaReader(Nvml()).read()[0]
    assert [(gpu.vendor, gpu.part_of) for gpu in found] == [("amd", ""), ("intel", ""), ("apple", ""), ("nvidia", "")]
    parts = NvidiaReader(Nvml(instances=[["a", "b"]])).read()[0]
    assert {(gpu.vendor, gpu.part_of) for gpu in parts} == {("nvidia", "GPU-0")}


def test_gpus_of_all_makers_are_numbered_through(tmp_path):
    broken = ("kernel's graphics driver", Nvidia(OSError("no files")))
    others = [broken, ("Apple GPU", Nvidia([card(7, "c")]))]
    machine = only(Nvidia([card(1, "a"), card(2, "b")]), host(tmp_path), others=others).read()
    assert [(gpu.index, gpu.uuid) for gpu in machine.gpus] == [(0, "a"), (1, "b"), (2, "c")]
    assert machine.notes == ("The kernel's graphics driver could not be read: no files.",)


class Hanging(Nvidia):
    """Answers when it is let go."""

    def __init__(self, *readings):
        super().__init__(*readings)
        self.let_go = threading.Event()
        self.asked = 0

    def read(self):
        self.asked += 1
        self.let_go.wait(60)
        return super().read()


def reading_that(probe, holds):
    """The first reading of which something holds; threads need a while."""
    for _ in range(2000):
        machine = probe.read()
        if holds(machine):
            return machine
        threading.Event().wait(0.005)
    raise AssertionError(machine)


LATE = "The NVIDIA driver does not answer"


def is_late(machine):
    return any(note.startswith(LATE) for note in machine.notes)


def test_a_driver_that_hangs_keeps_its_last_figures_and_is_asked_once(tmp_path):
    driver = Hanging([card(7000)], [card(1000)], [card(1000)])
    probe = only(driver, host(tmp_path), patience_s=(60.0, 0.05), clock=lambda: 0.0)
    driver.let_go.set()
    assert not is_late(probe.read())
    driver.let_go.clear()
    for _ in range(3):
        machine = reading_that(probe, lambda machine: machine.ram_total_bytes)
        assert machine.gpus[0].free_bytes == 7000 * MIB
        assert any(re.fullmatch(rf"{LATE}; figures of \d\d:\d\d:\d\d\.", note) for note in machine.notes)
    assert driver.asked == 2
    assert len(probe._free["GPU-0"]) == 1
    probe.close()
    assert not driver.closed
    driver.let_go.set()
    assert reading_that(probe, lambda machine: not is_late(machine)).gpus[0].free_bytes == 1000 * MIB


def test_a_driver_that_never_answered_has_no_figures(tmp_path):
    driver = Hanging([card(7000)])
    probe = only(driver, host(tmp_path), patience_s=(0.05, 0.05))
    machine = reading_that(probe, lambda machine: machine.ram_total_bytes)
    assert (machine.gpus, machine.ram_total_bytes) == ((), 16 * GIB)
    assert f"{LATE}." in machine.notes
    driver.let_go.set()
    reading_that(probe, lambda machine: machine.gpus)


def test_a_verdict_goes_by_the_least_free_memory_of_three_readings(tmp_path):
    readings = [[card(free)] for free in (7000, 1000, 6000, 6500, 7500)]
    probe = only(Nvidia(*readings), host(tmp_path))
    info = ModelInfo(ModelRef("ollama", "x"), size_bytes=100 * MIB)
    held, shown = [], []
    for _ in range(5):
        machine = probe.read()
        shown.append(machine.gpus[0].free_bytes // MIB)
        held.append(probe.fit(info, machine, context=256).free_bytes // MIB)
    assert shown == [7000, 1000, 6000, 6500, 7500]
    assert held == [7000, 1000, 1000, 1000, 6000]


def test_imaginary_cards_have_no_past(tmp_path):
    probe = only(Nvidia([card(1000)]), host(tmp_path))
    machine = replace(probe.read(), gpus=parse_gpus("8GB"))
    info = ModelInfo(ModelRef("ollama", "x"), size_bytes=100 * MIB)
    assert probe.fit(info, machine, context=256).free_bytes == machine.gpus[0].free_bytes


MACHINE = Machine(gpus=(card(7745),), ram_total_bytes=16 * GIB, ram_free_bytes=12 * GIB)


@pytest.fixture
def llama(tmp_path):
    path = files.write_gguf(tmp_path / "llama.gguf", *files.llama_like())
    return ModelInfo(ModelRef("gguf", "llama"), location=str(path), size_bytes=path.stat().st_size)


def test_a_file_is_judged_by_its_header(tmp_path, llama):
    probe = only(Nvidia([]), host(tmp_path))
    verdict = probe.fit(llama, MACHINE, context=4096)
    assert (verdict.model, verdict.method, verdict.verdict) == ("gguf/llama", "header", Fits.FITS)
    assert verdict.parts.kv == 512 * MIB
    assert probe.fit(llama, MACHINE, context=4096, slots=2).parts.kv == 1024 * MIB
    assert probe.fit(llama, MACHINE, context=4096, kv_type="q8_0").parts.kv == 272 * MIB
    assert probe.estimates.note(llama) == ""


def test_a_model_runs_as_its_endpoint_runs_it(tmp_path, llama):
    probe = only(Nvidia([]), host(tmp_path))
    server = replace(llama, ref=ModelRef("ollama", "llama"))
    embedded, served = (probe.fit(info, MACHINE, context=32768).parts.compute for info in (llama, server))
    assert embedded < 150 * MIB  # one token's logits are reserved, not a batch's
    assert served < 150 * MIB


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path, llama):
    probe = only(Nvidia([]), host(tmp_path))
    whole = Path(llama.location).stat()
    assert probe.fit(llama, MACHINE, context=4096).verdict is Fits.FITS
    os.truncate(llama.location, 1000)
    os.truncate(llama.location, whole.st_size)
    os.utime(llama.location, ns=(whole.st_atime_ns, whole.st_mtime_ns))
    assert probe.fit(llama, MACHINE, context=4096).verdict is Fits.FITS
    os.truncate(llama.location, 1000)
    assert probe.fit(llama, MACHINE, context=4096).verdict is Fits.UNKNOWN
    assert "breaks off" in probe.estimates.note(llama)


def test_without_a_file_its_size_is_judged(tmp_path):
    probe = only(Nvidia([]), host(tmp_path))
    remote = ModelInfo(ModelRef("ollama", "x"), size_bytes=4920 * MIB, location="http://localhost:11434")
    verdict = probe.fit(remote, MACHINE, context=4096)
    assert (verdict.method, verdict.verdict, verdict.gpu_layers) == ("catalogue", Fits.FITS, None)
    assert "Estimated" in probe.estimates.note(remote)
    nothing = ModelInfo(ModelRef("server", "x"))
    verdict = probe.fit(nothing, MACHINE, context=4096)
    assert (verdict.verdict, verdict.method, verdict.max_context) == (Fits.UNKNOWN, "", None)
    assert probe.estimates.note(nothing)


def test_a_kv_type_there_is_not_is_the_callers_fault(tmp_path, llama):
    with pytest.raises(UsageError):
        only(Nvidia([]), host(tmp_path)).fit(llama, MACHINE, context=4096, kv_type="q9")


def test_together(tmp_path, llama):
    probe = only(Nvidia([]), host(tmp_path))
    large = replace(MACHINE, gpus=parse_gpus("24GB"))
    assert probe.together([llama, llama], large, context=4096).verdict is TogetherVerdict.FITS
    alone, both = (probe.together([llama] * count, large, context=4096).max_context for count in (1, 2))
    assert 0 < both < alone
    found = probe.together([llama, llama], replace(MACHINE, ram_free_bytes=GIB), context=4096)
    assert found.verdict in (TogetherVerdict.NO, TogetherVerdict.CONTEXT)
    broken = replace(llama, location=str(tmp_path))
    assert probe.together([llama, broken], large, context=4096).verdict is TogetherVerdict.UNKNOWN


def test_several_threads_may_ask(tmp_path, llama):
    probe = only(Nvidia([card(7000)]), host(tmp_path))
    found = []

    def ask():
        found.extend(probe.fit(llama, probe.read(), context=4096).verdict for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Fits.FITS] * 80


def test_closing_lets_go_of_the_driver():
    nvidia = Nvidia([])
    only(nvidia).close()
    assert nvidia.closed


def test_the_import_is_cheap():
    heavy = {"psutil", "pynvml", "numpy", "llama_cpp"}
    code = f"import sys, arena.hardware.probe; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_cpu_says_how_often_it_was_too_hot(tmp_path):
    assert host(tmp_path).read().cpu_throttles is None, "nobody counts"
    for core, (own, shared) in enumerate([(3, 5), (0, 5)]):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(f"{own}\n")
        (folder / "package_throttle_count").write_text(f"{shared}\n")
    reader = host(tmp_path)
    assert MachineProbe(Nvidia([]), reader, others=()).read().cpu_throttles == 13
    (tmp_path / "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count").write_text("2\n")
    assert reader.read().cpu_throttles == 15
    for count in (tmp_path / "sys/devices/system/cpu").glob("*/thermal_throttle/*"):
        count.write_text("0\n")
    assert reader.read().cpu_throttles == 0, "counted, and never too hot"
    (tmp_path / "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count").write_text("hot")
    assert reader.read().cpu_throttles is None
