"""The watch: what is asked in its threads, and what is not waited for."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from arena.core.machine import Machine
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.probe import MachineProbe
from arena.watch import Watch

INFO = ModelInfo(ModelRef("gguf", "x"))


class Estimates:
    """Plans that last as long as the test wants, or until they are closed."""

    def __init__(self):
        self.go_on, self.planned = threading.Event(), []

    def sharpen(self, info):
        self.planned.append(info)
        self.go_on.wait()

    def close(self):
        self.go_on.set()


class Probe(MachineProbe):
    """A machine that is read when the test lets it."""

    def __init__(self):
        self.go_on, self.began, self.readings = threading.Event(), threading.Event(), 0
        self.estimates = Estimates()

    def read(self):
        self.readings += 1
        self.began.set()
        self.go_on.wait()
        return Machine(())

    def learn(self, loads):
        pass


@pytest.fixture
def probe():
    found = Probe()
    yield found
    found.go_on.set()
    found.estimates.close()


@pytest.fixture
def watch(probe):
    found = Watch(4096, probe)
    yield found
    probe.go_on.set()
    found.close()


@pytest.mark.parametrize("question", ["beside", "overview"])
def test_only_the_newest_of_those_that_wait_is_answered(watch, probe, question):
    ask = (lambda: watch.beside([INFO], [], 2)) if question == "beside" else (lambda: watch.overview([]))
    first = ask()
    probe.began.wait()
    later = [ask() for _ in range(5)]
    assert [each.cancelled() for each in later] == [True] * 4 + [False]
    other = watch.machine()
    probe.go_on.set()
    assert first.result()
    assert later[-1].result()
    assert other.result()
    assert probe.readings == 3


async def test_who_waits_for_one_that_was_superseded_is_cancelled(watch, probe):
    busy = watch.machine()
    waiting = asyncio.ensure_future(asyncio.wrap_future(watch.beside([INFO], [], 2)))
    await asyncio.sleep(0)
    newest = watch.beside([INFO], [], 2)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    probe.go_on.set()
    assert await asyncio.wrap_future(newest) == [None]
    assert busy.done()


def test_a_plan_that_goes_on_is_not_asked_for_again(watch, probe):
    for _ in range(3):
        watch._sharpen_later([INFO])
        watch._sharpen_later([])
    probe.estimates.go_on.set()
    watch._planned.result()
    assert len(probe.estimates.planned) == 1
    watch._sharpen_later([INFO])
    watch._planned.result()
    assert len(probe.estimates.planned) == 2


def test_closing_lets_go_a_plan_that_hangs_and_drops_those_behind(watch):
    first, second = watch.sharpen([INFO]), watch.sharpen([INFO])
    watch.close()
    first.result()
    with pytest.raises(CancelledError):
        second.result()
    watch._sharpen_later([INFO])  # nothing, rather than an error


def test_a_probe_that_is_made_while_it_closes_is_closed_too(monkeypatch):
    made = Probe()
    monkeypatch.setattr("arena.hardware.probe.MachineProbe", lambda **_: made)
    watch = Watch(4096)
    watch.close()
    watch._probe()
    assert made.estimates.go_on.is_set()
