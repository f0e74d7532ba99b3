"""Who runs when: in turn on one device, side by side across devices, together only where somebody asked for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import permutations

import pytest

from arena.backends.scripted import Script, ScriptedBackend
from arena.core.events import Chunk, Sent
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.prompts import Prompt, Turn
from arena.core.rounds import Outcome, Round, RoundState, Schedule, Seat
from arena.engine.play import Play, verdict_on

NAMES = ("one", "two", "three")
HERE, DESK = "", "desk.lan"


class Watched(ScriptedBackend):
    """Knows who streams at the same time, and what was asked of whom."""

    def __init__(self, scripts):
        super().__init__(scripts)
        self.active: set[str] = set()
        self.company: set[frozenset[str]] = set()
        self.order: list[str] = []
        self.requests = []

    async def stream(self, request):
        name = request.contestant.ref.name
        self.active.add(name)
        self.order.append(name)
        self.requests.append(request)
        self.company.add(frozenset(self.active))
        try:
            async for piece in super().stream(request):
                self.company.add(frozenset(self.active))
                yield piece
        finally:
            self.active.discard(name)


def a_round(schedule: Schedule, orders=(0, 1, 2), names=NAMES) -> Round:
    who = [Contestant(ModelRef("scripted", name)) for name in names]
    seats = tuple(Seat(index, each, orders[index]) for index, each in enumerate(who))
    return Round("r1", Prompt("why?"), seats, Sampling(seed=9), schedule)


def play(round_: Round, devices=None, scripts=None, **facts):
    backend = Watched(scripts or {name: Script(["a", "b", "c"], 0.01) for name in NAMES})
    kept = []

    async def story():
        playing = Play(
            round_,
            {"scripted": backend},
            lambda _: None,
            lambda answer, company: kept.append((answer, company)),
            devices=devices or {},
            **facts,
        )
        return await playing.run()

    return backend, asyncio.run(story()), kept


@pytest.mark.parametrize("schedule", [Schedule.TURN, Schedule.AUTO])
@pytest.mark.parametrize("orders", list(permutations(range(3))))
def test_on_one_device_everybody_runs_alone_in_the_order_that_was_drawn(schedule, orders):
    backend, answers, _ = play(a_round(schedule, orders))
    assert max(map(len, backend.company)) == 1
    assert [orders[NAMES.index(name)] for name in backend.order] == [0, 1, 2]
    assert not any(answer.metrics.contended for answer in answers)


def test_side_by_side_across_devices_and_in_turn_on_each():
    devices = {0: HERE, 1: DESK, 2: HERE}
    backend, answers, kept = play(a_round(Schedule.AUTO), devices)
    assert frozenset({"one", "two"}) in backend.company, "the desk does not wait"
    assert not any({"one", "three"} <= company for company in backend.company), "one device takes one at a time"
    assert not any(answer.metrics.contended for answer in answers), "nobody was slowed down"
    assert not any(company for _, company in kept)


def test_in_turn_means_in_turn_across_devices_too():
    backend, _, _ = play(a_round(Schedule.TURN), {1: DESK})
    assert max(map(len, backend.company)) == 1


def test_together_they_are_contended_where_they_share_a_device():
    backend, answers, kept = play(a_round(Schedule.TOGETHER), {2: DESK})
    assert frozenset(NAMES) in backend.company
    assert [answer.metrics.contended for answer in answers] == [True, True, False]
    company = {answer.seat: set(others) for answer, others in kept}
    assert (len(company[0]), len(company[1]), len(company[2])) == (1, 1, 0)


def test_loading_on_one_device_keeps_nobody_waiting_on_another():
    begun = asyncio.Event()

    class Slow(Watched):
        async def prepare(self, contestant):
            if contestant.ref.name == "one":
                await asyncio.wait_for(begun.wait(), 10)  # until the other one streams
            return await super().prepare(contestant)

        async def stream(self, request):
            if request.contestant.ref.name == "two":
                begun.set()
            async for piece in super().stream(request):
                yield piece

    backend = Slow({name: Script(["a"]) for name in NAMES})

    async def story():
        round_ = a_round(Schedule.AUTO, names=NAMES[:2])
        return await Play(round_, {"scripted": backend}, lambda _: None, lambda *_: None, devices={1: DESK}).run()

    assert [answer.outcome for answer in asyncio.run(story())] == [Outcome.ANSWERED] * 2


def test_times_are_those_of_a_backend_that_knows_them():
    ms = 1_000_000
    clock = iter(range(0, 10**12, 0 + 1)).__next__

    class Timed(ScriptedBackend):
        async def stream(self, request):
            yield Sent(1000 * ms)
            async for piece in super().stream(request):
                yield piece

    scripts = {
        "one": Script([Chunk("four", "answer", 1020 * ms), Chunk("ty-one", "answer", 1120 * ms)], load_ms=700.0),
        "two": Script([Chunk("hm", "thought", 1050 * ms), Chunk("41", "answer", 1250 * ms)]),
    }

    async def story():
        round_ = a_round(Schedule.TURN, names=NAMES[:2])
        return await Play(round_, {"scripted": Timed(scripts)}, lambda _: None, lambda *_: None, clock).run()

    one, two = (answer.metrics for answer in asyncio.run(story()))
    assert (one.ttft_ms, one.ttfa_ms, one.e2e_ms, one.load_ms) == (20.0, 20.0, 120.0, 700.0)
    assert (two.ttft_ms, two.ttfa_ms, two.e2e_ms, two.load_ms) == (50.0, 250.0, 250.0, 0.0)
    assert one.decode_tps == pytest.approx(1 / 0.1)
    assert one.chars_per_s == pytest.approx(6 / 0.1)
    assert (one.cold, one.contended, one.cached) == (False, False, False), "it was loaded before the clock began"


def test_of_three_seats_one_may_break_off_and_the_others_are_judged():
    scripts = {name: Script(["word "], fails_after=0 if name == "two" else None) for name in NAMES}
    _, answers, _ = play(a_round(Schedule.AUTO), scripts=scripts)
    assert verdict_on(answers) == (RoundState.READY, ("failed",))
    assert verdict_on(answers[:2])[0] is RoundState.VOID


def test_a_control_round_asks_one_model_twice_with_two_seeds():
    round_ = a_round(Schedule.TURN, names=("one", "one", "two"))
    backend, answers, _ = play(round_, scripts={name: Script(["x"]) for name in NAMES})
    assert len(answers) == 3
    asked = Counter((request.contestant.ref.name, request.sampling.seed) for request in backend.requests)
    assert asked == {("one", 9): 1, ("one", 10): 1, ("two", 9): 1}
    assert not round_.control
    assert a_round(Schedule.TURN, names=("one",) * 3).control


def test_each_seat_is_asked_with_its_own_conversation():
    earlier = {0: (Turn("Why?", "Because."),), 1: (Turn("Why?", "Dunno."),)}
    backend, _, _ = play(a_round(Schedule.TURN, names=NAMES[:2]), earlier=earlier)
    said = {request.contestant.ref.name: request.messages for request in backend.requests}
    for name, answer in (("one", "Because."), ("two", "Dunno.")):
        assert said[name] == [
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": answer},
            {"role": "user", "content": "why?"},
        ]
