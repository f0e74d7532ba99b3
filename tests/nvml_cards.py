"""A hand-written stand-in for NVML, which raises the errors of the real one."""

# NVML's names are spelled NVML's way.
# ruff: noqa: N802, N815

import re
from types import SimpleNamespace

import pynvml

from arena.core.machine import MIB

NOT_SUPPORTED, LOST = pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_GPU_IS_LOST


class Nvml:
    """NVML with as many cards as wanted. `faults` maps a function, or a function and a card, to an error code.

    `running` holds (pid, bytes) of processes by `Compute` or `Graphics`; `instances` the parts of each card, None being
    a number that is not used; `absent` names what the module lacks.
    """

    NVMLError = pynvml.NVMLError
    nvmlMemory_v2 = pynvml.nvmlMemory_v2
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, cards=1, *, running=None, instances=None, absent=(), display=0, reasons=0, **faults):
        self.cards = cards
        self.running = running or {}
        self.instances = instances
        self.absent = absent
        self.display, self.reasons = display, reasons
        self.faults = faults
        self.started = self.stopped = 0

    def __getattr__(self, name):
        if name.startswith("NVML_ERROR"):
            return getattr(pynvml, name)
        match = re.fullmatch(r"nvmlDeviceGet(Compute|Graphics)RunningProcesses(_v[23])?", name)
        if match is None or name in self.absent:
            raise AttributeError(name)
        return lambda card: self.processes(match[1], match[2] or "", card)

    def processes(self, what, version, card):
        self.check(f"{what}{version}", card)
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.running.get(what, ())]

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

    def nvmlDeviceGetDisplayActive(self, card):
        self.check("display", card)
        return self.display

    def nvmlDeviceGetCurrentClocksEventReasons(self, card):
        self.check("reasons", card)
        return self.reasons

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, card):
        self.check("old_reasons", card)
        return self.reasons

    def nvmlDeviceGetMigMode(self, card):
        if self.instances is None:
            raise pynvml.NVMLError(NOT_SUPPORTED)
        return [int(self.instances[card] is not None), 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, card):
        self.check("instances", card)
        return len(self.instances[card])

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card, index):
        if self.instances[card][index] is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return self.instances[card][index]

    def nvmlDeviceGetAttributes(self, card):
        self.check("attributes", card)
        return SimpleNamespace(multiprocessorCount=14)

    def nvmlDeviceGetNumGpuCores(self, card):
        self.check("cores", card)
        return 4352

    def nvmlDeviceGetCudaComputeCapability(self, card):
        self.check("capability", card)
        return (8, 9)
