"""NVIDIA GPUs, as the driver's library tells them."""

import sys
from types import SimpleNamespace

import pynvml
import pytest

from arena.core.machine import MIB, GpuProcess, ProcessKind
from arena.hardware import nvidia
from arena.hardware.host import SHARES_RAM
from arena.hardware.nvidia import NvidiaReader
from nvml_cards import LOST, NOT_SUPPORTED, Nvml


class Table:
    """Knows every process: those below 100 are our own, those below 200 Ollama's."""

    def identify(self, pid, used_bytes):
        kind = ProcessKind.OWN if pid < 100 else ProcessKind.OLLAMA if pid < 200 else ProcessKind.OTHER
        return GpuProcess(pid, f"p{pid}", used_bytes, kind)


def several(nvml):
    gpus, notes = NvidiaReader(nvml, processes=Table()).read()
    assert notes == ()
    return gpus


def one(nvml):
    (gpu,) = several(nvml)
    return gpu


def test_everything_that_a_card_tells():
    gpu = one(Nvml())
    assert (gpu.index, gpu.name, gpu.uuid, gpu.note) == (0, "Card 0", "GPU-0", "")
    assert (gpu.total_bytes, gpu.free_bytes, gpu.reserved_bytes) == (8151 * MIB, 7745 * MIB, 406 * MIB)
    assert (gpu.utilization, gpu.temperature_c, gpu.power_w) == (37.0, 61.0, 123.456)


@pytest.mark.parametrize(
    "code",
    [
        NOT_SUPPORTED,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
    ],
)
def test_an_old_driver_is_asked_the_old_way(code):
    gpu = one(Nvml(memory2=code))
    assert (gpu.total_bytes, gpu.free_bytes, gpu.reserved_bytes, gpu.note) == (8151 * MIB, 7745 * MIB, 0, "")


FIELDS = {
    "name": ("name", "GPU 0"),
    "uuid": ("uuid", ""),
    "utilization": ("utilization", None),
    "temperature": ("temperature_c", None),
    "power": ("power_w", None),
}
NO_PROCESSES = [f"{what}{version}" for what in ("Compute", "Graphics") for version in ("_v3", "_v2", "")]


@pytest.mark.parametrize("broken", FIELDS)
def test_a_value_that_fails_leaves_the_others_standing(broken):
    gpu, whole = one(Nvml(**{broken: pynvml.NVML_ERROR_UNKNOWN})), one(Nvml())
    field, missing = FIELDS[broken]
    assert getattr(gpu, field) == missing
    assert gpu.note == f"no {broken}: Unknown Error"
    others = ("total_bytes", "free_bytes", *(each for each, _ in FIELDS.values()))
    assert all(getattr(gpu, each) == getattr(whole, each) for each in others if each != field)


def test_memory_that_fails_leaves_the_others_standing():
    gpu = one(Nvml(memory2=pynvml.NVML_ERROR_UNKNOWN, memory1=pynvml.NVML_ERROR_NO_PERMISSION))
    assert (gpu.total_bytes, gpu.free_bytes, gpu.temperature_c) == (None, None, 61.0)
    assert gpu.note == "no memory: Insufficient Permissions"


def test_what_fails_alike_is_said_once():
    gpu = one(Nvml(power=NOT_SUPPORTED, temperature=NOT_SUPPORTED))
    assert gpu.note == "no temperature, power: Not Supported"


def test_a_gpu_without_memory_of_its_own():
    gpu = one(Nvml(memory2=NOT_SUPPORTED, memory1=NOT_SUPPORTED))
    assert (gpu.total_bytes, gpu.free_bytes, gpu.note) == (None, None, SHARES_RAM)

    class Empty(Nvml):
        def nvmlDeviceGetMemoryInfo(self, card, version=None):  # noqa: ARG002, N802 - NVML's name
            return SimpleNamespace(total=0, reserved=0, used=0, free=0)

    assert (one(Empty()).total_bytes, one(Empty()).note) == (None, SHARES_RAM)


def test_one_gpu_vanishes_and_the_others_stay():
    nvml = Nvml(cards=3)
    reader = NvidiaReader(nvml)
    reader.read()
    nvml.faults["handle_1"] = LOST
    gpus, notes = reader.read()
    assert notes == ()
    assert [gpu.name for gpu in gpus] == ["Card 0", "Card 1", "Card 2"]
    assert gpus[1].note == "gone: GPU is lost"
    assert gpus[1].free_bytes is None
    assert gpus[2].free_bytes == 7745 * MIB


def test_a_gpu_vanishes_while_it_is_read():
    nvml = Nvml(memory2=LOST, utilization=LOST, temperature=LOST, power=LOST)
    gpu = one(nvml)
    assert gpu.note == "gone; no memory, utilization, temperature, power: GPU is lost"
    assert nvml.stopped == 1


def test_a_lost_gpu_restarts_the_library_but_not_at_every_reading():
    now = [0.0]
    nvml = Nvml(cards=2, handle_1=LOST)
    reader = NvidiaReader(nvml, clock=lambda: now[0])
    for _ in range(5):
        assert len(reader.read()[0]) == 2
    assert (nvml.started, nvml.stopped) == (2, 1)
    now[0] = 11.0
    reader.read()
    nvml.faults.clear()
    assert reader.read()[0][1].note == ""
    assert (nvml.started, nvml.stopped) == (3, 2)


@pytest.mark.parametrize(
    ("code", "note"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "No NVIDIA driver is installed."),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "The NVIDIA driver is not loaded."),
        (pynvml.NVML_ERROR_NO_PERMISSION, "The NVIDIA driver may not be asked by this user."),
        (
            pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
            "The NVIDIA driver does not start: RM has detected an NVML/RM version mismatch.",
        ),
    ],
)
def test_no_driver_is_a_note(code, note):
    gpus, notes = NvidiaReader(Nvml(init=code)).read()
    assert (gpus, notes) == ((), (note,))


@pytest.mark.skipif(sys.platform == "win32", reason="there the library is looked for by pynvml")
def test_without_a_driver_nothing_of_its_library_is_imported(monkeypatch):
    monkeypatch.setattr(nvidia, "_LIBRARY", "libno-such-driver.so.1")
    monkeypatch.setattr(nvidia.importlib, "import_module", pytest.fail)
    assert NvidiaReader().read() == ((), ("No NVIDIA driver is installed.",))


def test_no_gpu_is_a_note():
    assert NvidiaReader(Nvml(cards=0)).read() == ((), ("The NVIDIA driver shows no GPU.",))


def test_a_driver_that_failed_is_left_alone_for_a_while_and_then_started_again():
    now = [0.0]
    nvml = Nvml(count=pynvml.NVML_ERROR_UNINITIALIZED)
    reader = NvidiaReader(nvml, clock=lambda: now[0])
    assert reader.read()[1] == ("The NVIDIA driver does not answer: Uninitialized.",)
    nvml.faults.clear()
    assert reader.read()[1] == ("The NVIDIA driver does not answer: Uninitialized.",)
    assert nvml.started == 1
    now[0] = 10.0
    assert len(reader.read()[0]) == 1
    assert nvml.started == 2


def test_the_library_is_started_once_and_closed_once():
    nvml = Nvml()
    reader = NvidiaReader(nvml)
    reader.close()
    for _ in range(3):
        reader.read()
    reader.close()
    reader.close()
    assert (nvml.started, nvml.stopped) == (1, 1)
    reader.read()
    assert nvml.started == 2


def test_closing_a_driver_that_is_gone_is_no_fault():
    nvml = Nvml(shutdown=pynvml.NVML_ERROR_UNINITIALIZED)
    reader = NvidiaReader(nvml)
    reader.read()
    reader.close()


@pytest.mark.parametrize(
    ("cores", "capability", "expected"),
    [(4352, (8, 9), 34), (6912, (8, 0), 108), (16896, (9, 0), 132), (4608, (7, 5), 72), (9, (99, 0), None)],
)
def test_multiprocessors_are_counted(cores, capability, expected):
    nvml = Nvml()
    nvml.nvmlDeviceGetNumGpuCores = lambda _card: cores
    nvml.nvmlDeviceGetCudaComputeCapability = lambda _card: capability
    reader = NvidiaReader(nvml)
    reader.read()
    assert reader.multiprocessors.get("GPU-0") == expected


def test_multiprocessors_that_cannot_be_counted_are_unknown():
    reader = NvidiaReader(Nvml(cores=NOT_SUPPORTED))
    reader.read()
    assert reader.multiprocessors == {}


def test_names_may_come_as_bytes():
    nvml = Nvml()
    nvml.nvmlDeviceGetName = lambda _card: b"Card \xff"
    assert one(nvml).name == "Card \ufffd"


def test_processes_of_both_sorts_are_told_once():
    gpu = one(Nvml(running={"Compute": [(7, 300 * MIB), (300, 900 * MIB)], "Graphics": [(7, 300 * MIB), (150, MIB)]}))
    assert [(each.pid, each.used_bytes) for each in gpu.processes] == [(300, 900 * MIB), (7, 300 * MIB), (150, MIB)]
    assert gpu.processes[1] == GpuProcess(7, "p7", 300 * MIB, ProcessKind.OWN)
    assert gpu.reclaimable_bytes == 301 * MIB
    assert gpu.note == ""


@pytest.mark.parametrize(
    "nvml",
    [
        Nvml(running={"Compute": [(7, MIB)]}, Compute_v3=pynvml.NVML_ERROR_FUNCTION_NOT_FOUND),
        Nvml(running={"Compute": [(7, MIB)]}, Compute_v3=NOT_SUPPORTED, Compute_v2=NOT_SUPPORTED),
        Nvml(running={"Compute": [(7, MIB)]}, absent=[f"nvmlDeviceGetComputeRunningProcesses{v}" for v in ("_v3", "")]),
        Nvml(running={"Compute": [(7, MIB)]}, **dict.fromkeys(NO_PROCESSES[3:], NOT_SUPPORTED)),
    ],
    ids=["second version", "first version", "old module", "no graphics"],
)
def test_processes_are_asked_as_the_driver_understands(nvml):
    gpu = one(nvml)
    assert [(each.pid, each.used_bytes) for each in gpu.processes] == [(7, MIB)]
    assert gpu.note == ""


def test_processes_that_cannot_be_asked_leave_the_others_standing():
    gpu = one(Nvml(**dict.fromkeys(NO_PROCESSES, pynvml.NVML_ERROR_NO_PERMISSION)))
    assert (gpu.processes, gpu.temperature_c, gpu.reclaimable_bytes) == ((), 61.0, 0)
    assert gpu.note == "no processes: Insufficient Permissions"


def test_windows_does_not_tell_what_a_process_holds():
    gpu = one(Nvml(running={"Compute": [(7, None)], "Graphics": [(7, None), (8, None), (9, 5)]}))
    assert {each.pid: each.used_bytes for each in gpu.processes} == {7: None, 8: None, 9: 5}
    assert gpu.reclaimable_bytes == 5


def test_more_than_the_whole_memory_is_not_believed():
    gpu = one(Nvml(running={"Compute": [(7, 1 << 60), (8, -1)]}))
    assert [each.used_bytes for each in gpu.processes] == [None, None]
    shared = Nvml(memory2=NOT_SUPPORTED, memory1=NOT_SUPPORTED, running={"Compute": [(7, 1 << 40)]})
    assert one(shared).processes[0].used_bytes == 1 << 40


def test_a_gpu_that_draws_the_screen():
    assert [one(Nvml(display=shown)).drives_display for shown in (0, 1)] == [False, True]
    gpu = one(Nvml(display=1, display_0=NOT_SUPPORTED))
    assert (gpu.drives_display, gpu.note) == (False, "")


@pytest.mark.parametrize(
    ("reasons", "words"),
    [(0, ""), (1, ""), (0x20, "thermal"), (0x40 | 0x08, "thermal"), (0x84, "power"), (0x44, "thermal, power")],
)
def test_why_clocks_are_held_down(reasons, words):
    assert one(Nvml(reasons=reasons)).throttled == words
    assert one(Nvml(reasons=reasons, reasons_0=pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)).throttled == words


def test_clocks_that_the_hardware_holds_down_for_a_reason_of_its_own():
    assert one(Nvml(reasons=0x08)).throttled == "hardware"
    assert one(Nvml(reasons=0x08, reasons_0=NOT_SUPPORTED, old_reasons=NOT_SUPPORTED)).throttled == ""


def test_a_divided_card_is_its_instances():
    nvml = Nvml(3, instances=[None, [None, "a", None, "b"], None], running={"Compute": [(7, MIB)]})
    reader = NvidiaReader(nvml, processes=Table())
    gpus, notes = reader.read()
    assert notes == ()
    assert [gpu.index for gpu in gpus] == [0, 1, 2, 3]
    assert [gpu.name for gpu in gpus] == ["Card 0", "Card a", "Card b", "Card 2"]
    assert [gpu.uuid for gpu in gpus] == ["GPU-0", "GPU-a", "GPU-b", "GPU-2"]
    first = gpus[1]
    assert (first.free_bytes, first.utilization, first.temperature_c, first.note) == (7745 * MIB, None, 61.0, "")
    assert first.processes[0].pid == 7
    assert (reader.multiprocessors["GPU-a"], reader.multiprocessors["GPU-0"]) == (14, 34)


def test_an_instance_is_never_held_against_the_memory_of_its_card():
    nvml = Nvml(instances=[["a", "b"]], memory2_a=LOST, memory2_b=NOT_SUPPORTED, memory1_b=NOT_SUPPORTED, name_b=LOST)
    lost, silent = several(nvml)
    assert (lost.total_bytes, lost.free_bytes, lost.note) == (None, None, "gone; no memory: GPU is lost")
    assert (silent.total_bytes, silent.shares_ram, silent.name) == (None, False, "Card 0 (MIG)")


@pytest.mark.parametrize("fault", [{}, {"instances": NOT_SUPPORTED}])
def test_a_divided_card_without_instances_has_no_memory(fault):
    nvml = Nvml(instances=[[None, None]])
    nvml.faults = fault
    gpu = one(nvml)
    assert (gpu.name, gpu.total_bytes) == ("Card 0", None)
    assert gpu.note.startswith("divided (MIG), but has no instances")


def test_a_gpu_in_ram_says_so():
    gpu = one(Nvml(memory2=NOT_SUPPORTED, memory1=NOT_SUPPORTED, running={"Compute": [(7, MIB)]}))
    assert (gpu.shares_ram, len(gpu.processes)) == (True, 1)
    assert not one(Nvml()).shares_ram
