"""NVIDIA GPUs through a hand-written stand-in for NVML, which raises the errors of the real one."""

# NVML's names are spelled NVML's way.
# ruff: noqa: N802, N815

from types import SimpleNamespace

import pynvml
import pytest

from arena.core.machine import MIB
from arena.hardware.host import SHARES_RAM
from arena.hardware.nvidia import NvidiaReader


class Nvml:
    """NVML with as many cards as wanted. `faults` maps a function, or a function and a card, to an error code."""

    NVMLError = pynvml.NVMLError
    nvmlMemory_v2 = pynvml.nvmlMemory_v2
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, cards=1, **faults):
        self.cards = cards
        self.faults = faults
        self.started = self.stopped = 0

    def __getattr__(self, name):
        if name.startswith("NVML_ERROR"):
            return getattr(pynvml, name)
        raise AttributeError(name)

    def check(self, name, card=None):
        code = self.faults.get(name, self.faults.get(f"{name}_{card}"))
        if code is not None:
            raise pynvml.NVMLError(code)

    def nvmlInit(self):
        self.check("init")
        self.started += 1

    def nvmlShutdown(self):
        self.check("shutdown")
        self.stopped += 1

    def nvmlDeviceGetCount(self):
        self.check("count")
        return self.cards

    def nvmlDeviceGetHandleByIndex(self, index):
        self.check("handle", index)
        return index

    def nvmlDeviceGetName(self, card):
        self.check("name", card)
        return f"Card {card}"

    def nvmlDeviceGetUUID(self, card):
        self.check("uuid", card)
        return f"GPU-{card}"

    def nvmlDeviceGetMemoryInfo(self, card, version=None):
        self.check("memory2" if version else "memory1", card)
        if version:
            return SimpleNamespace(total=8151 * MIB, reserved=406 * MIB, used=0, free=7745 * MIB)
        return SimpleNamespace(total=8151 * MIB, used=406 * MIB, free=7745 * MIB)

    def nvmlDeviceGetUtilizationRates(self, card):
        self.check("utilization", card)
        return SimpleNamespace(gpu=37, memory=5)

    def nvmlDeviceGetTemperature(self, card, sensor):
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        self.check("temperature", card)
        return 61

    def nvmlDeviceGetPowerUsage(self, card):
        self.check("power", card)
        return 123_456

    def nvmlDeviceGetNumGpuCores(self, card):
        self.check("cores", card)
        return 4352

    def nvmlDeviceGetCudaComputeCapability(self, card):
        self.check("capability", card)
        return (8, 9)


NOT_SUPPORTED, LOST = pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_GPU_IS_LOST


def one(nvml):
    (gpu,), notes = NvidiaReader(nvml).read()
    assert notes == ()
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
        def nvmlDeviceGetMemoryInfo(self, card, version=None):  # noqa: ARG002
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
