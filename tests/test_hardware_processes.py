"""Processes on GPUs: their names, and whose they are."""

import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from arena.core.machine import GpuProcess, ProcessKind
from arena.hardware.host import ProcessTable


class Process:
    """A process as psutil tells it: its program, who started it, and its command line."""

    def __init__(self, table, pid):
        if pid not in table:
            raise psutil.NoSuchProcess(pid)
        self.pid, self._table = pid, table
        self._name, self._parent, self._command = table[pid]

    def create_time(self):
        return 1.0

    def name(self):
        if isinstance(self._name, Exception):
            raise self._name
        return self._name

    def cmdline(self):
        return self._command

    def parent(self):
        return Process(self._table, self._parent) if self._parent else None


FAMILY = {
    1: ("init", 0, []),
    10: ("python3.11", 1, []),
    11: ("python3.11", 10, []),
    20: ("ollama", 1, ["/usr/bin/ollama", "serve"]),
    21: ("llama-server", 20, []),
    22: (r"C:\Ollama\ollama.exe", 0, []),
    23: (psutil.AccessDenied(), 1, ["/opt/ollama"]),
    30: ("llama-server", 1, ["/usr/bin/llama-server"]),
    31: ("ollamaish", 999, []),
    32: ("/opt/\x1b[31mred\u202e", 32, []),
    33: ("", 1, []),
}


@pytest.mark.parametrize(
    ("pid", "name", "kind"),
    [
        (10, "python3.11", ProcessKind.OWN),
        (11, "python3.11", ProcessKind.OWN),
        (20, "ollama", ProcessKind.OLLAMA),
        (21, "llama-server", ProcessKind.OLLAMA),
        (22, "ollama.exe", ProcessKind.OLLAMA),
        (23, "ollama", ProcessKind.OLLAMA),
        (30, "llama-server", ProcessKind.OTHER),
        (31, "ollamaish", ProcessKind.OTHER),
        (32, "␛[31mred\ufffd", ProcessKind.OTHER),
        (33, "", ProcessKind.OTHER),
        (999, "", ProcessKind.OTHER),
    ],
)
def test_whose_a_process_is(pid, name, kind):
    tools = SimpleNamespace(Error=psutil.Error, Process=lambda pid: Process(FAMILY, pid))
    assert ProcessTable(tools, own_pid=10).identify(pid, 5) == GpuProcess(pid, name, 5, kind)


def test_a_number_that_is_given_to_another_process_is_looked_up_again():
    family = {5: ("ollama", 0, [])}
    tools = SimpleNamespace(Error=psutil.Error, Process=lambda pid: Process(family, pid))
    table = ProcessTable(tools, own_pid=10)
    assert table.identify(5, None).name == "ollama"
    family[5] = ("later", 0, [])
    assert table.identify(5, None).name == "ollama"  # what is known is not asked again
    tools.Process = lambda pid: SimpleNamespace(
        pid=pid, create_time=lambda: 2.0, name=lambda: "later", parent=lambda: None
    )
    assert table.identify(5, None) == GpuProcess(5, "later", None, ProcessKind.OTHER)


@pytest.mark.parametrize("pid", [-1, 0, 1 << 40, 1 << 70])
def test_numbers_that_are_no_process(pid):
    assert ProcessTable().identify(pid, None).kind is ProcessKind.OTHER


def test_this_process_and_its_children_are_its_own():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = [ProcessTable().identify(pid, 1).kind for pid in (os.getpid(), child.pid, os.getppid())]
    assert found == [ProcessKind.OWN, ProcessKind.OWN, ProcessKind.OTHER]
