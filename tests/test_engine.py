"""The engine room: fair dealing, true times, one definition of every metric, and faults that stay in their seat."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.backends.scripted import Script, ScriptedBackend
from arena.core.errors import SeatError, UsageError
from arena.core.events import Chunk, Closed, Delta, Failed, Opened, Usage
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Outcome, Pace, Round, RoundState, Schedule, Seat
from arena.core.timing import DEFINITIONS, Metrics
from arena.engine.deal import deal
from arena.engine.pace import LAG, Pacer
from arena.engine.play import Play, verdict_on
from arena.engine.recorder import Recorder
from arena.engine.room import Room

MS = 1_000_000
WHO = [Contestant(ModelRef("scripted", name)) for name in ("one", "two", "three")]


def test_seats_and_running_order_are_shuffled_independently():
    rng = random.Random(1)
    seen = Counter()
    for _ in range(3000):
        dealt = deal(Prompt("why?"), WHO, Sampling(), rng=rng)
        seen[tuple((seat.contestant.ref.name, seat.run_order) for seat in dealt.seats)] += 1
    assert len(seen) == 36, "every seating with every order"
    assert max(seen.values()) < 2.2 * min(seen.values())


def test_every_round_draws_a_seed_that_all_its_seats_share():
    seeds = {deal(Prompt("why?"), WHO, Sampling()).sampling.seed for _ in range(50)}
    assert len(seeds) == 50
    assert 0 not in seeds
    assert deal(Prompt("why?"), WHO, Sampling(seed=5)).sampling.seed == 5


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_round_has_two_or_three_seats(count):
    with pytest.raises(UsageError):
        deal(Prompt("why?"), (WHO * 2)[:count], Sampling())


def test_an_empty_prompt_is_not_dealt():
    with pytest.raises(UsageError, match="empty"):
        deal(Prompt("  \n"), WHO, Sampling())


def test_ids_sort_by_time():
    ids = [deal(Prompt("why?"), WHO, Sampling()).id for _ in range(5)]
    assert [each[:10] for each in ids] == sorted(each[:10] for each in ids)


def record(pieces, *, open_at=0, load_ms=0.0, usage=None):
    """A recorder that heard (ms, text, kind) pieces."""
    recorder = Recorder(0)
    recorder.opened(open_at * MS, queue_ms=1.0, load_ms=load_ms)
    for at, text, kind in pieces:
        recorder.heard(at * MS, Chunk(text, kind))
    if usage:
        recorder.counted(usage)
    return recorder.answer()


def test_metrics_are_what_they_are_defined_to_be():
    answer = record(
        [(110, "hm", "thought"), (150, "four", "answer"), (160, "ty", "answer"), (210, "-one", "answer")],
        open_at=100,
        load_ms=500.0,
        usage=Usage(prompt_tokens=30, cached_tokens=10, out_tokens=11, prompt_ms=8.0, decode_tps=99.0),
    )
    assert answer.text == "fourty-one"
    assert answer.thought == "hm"
    got = answer.metrics
    assert got.load_ms == 500.0
    assert got.ttft_ms == 10.0
    assert got.ttfa_ms == 50.0
    assert got.e2e_ms == 110.0
    assert got.prefill_tps == pytest.approx(20 / 0.008)
    assert got.decode_tps == pytest.approx(10 / 0.100), "n tokens span n-1 gaps"
    assert got.server_decode_tps == 99.0
    assert got.chars_per_s == pytest.approx(6 / 0.060), "of the answer, after its first delta"
    assert got.max_gap_ms == 50.0
    assert got.out_chars == 10
    assert got.cached


def test_of_a_prompt_that_was_cached_nobody_knows_how_much_no_rate_is_told():
    counted = {"prompt_tokens": 900, "out_tokens": 2, "prompt_ms": 2.0}
    fresh, again = (record([(5, "x", "answer")], usage=Usage(**counted, reused=each)).metrics for each in (False, True))
    assert (fresh.cached, fresh.prefill_tps) == (False, pytest.approx(450_000))
    assert (again.cached, again.prefill_tps, again.prompt_tokens) == (True, None, 900)


def test_without_usage_tokens_are_estimated_and_marked():
    got = record([(1, "x" * 35, "answer"), (2, "y" * 35, "answer")]).metrics
    assert got.out_tokens == 20
    assert got.token_source == "estimate"  # noqa: S105


def test_every_metric_has_a_definition():
    assert set(DEFINITIONS) == set(Metrics.__slots__)


@pytest.mark.parametrize(
    ("pieces", "usage", "outcome"),
    [
        ([(1, "yes", "answer")], Usage(), Outcome.ANSWERED),
        ([(1, "yes", "answer")], Usage(finish="length"), Outcome.TRUNCATED),
        ([], Usage(), Outcome.EMPTY),
        ([(1, " \n", "answer")], Usage(), Outcome.EMPTY),
        ([(1, "hm", "thought")], Usage(finish="length"), Outcome.EMPTY),
        ([(1, "ye", "answer")], Usage(finish="cancelled"), Outcome.CANCELLED),
    ],
)
def test_outcomes(pieces, usage, outcome):
    answer = record(pieces, usage=usage)
    assert answer.outcome is outcome
    eaten = outcome is Outcome.EMPTY and usage.finish == "length"
    assert ("thinking" in answer.error) == eaten


def test_a_lone_surrogate_is_made_storable():
    assert record([(1, "a\ud83d", "answer")]).text == "a\ufffd"


def round_of(scripts, schedule=Schedule.TURN, pace=Pace.EVEN):
    seats = tuple(
        Seat(index, Contestant.of(ModelInfo(ModelRef("scripted", name)), Sampling()), len(scripts) - 1 - index)
        for index, name in enumerate(scripts)
    )
    return Round("r1", Prompt("why?"), seats, Sampling(seed=1), schedule, pace)


async def play(scripts, **options):
    """Play scripts; returns answers and events."""
    heard, kept = [], []
    backend = ScriptedBackend(scripts)
    game = Play(
        round_of(scripts, **options), {"scripted": backend}, heard.append, lambda answer, _: kept.append(answer)
    )
    answers = await game.run()
    assert sorted(kept, key=lambda answer: answer.seat) == list(answers)
    return answers, heard


async def test_in_turn_one_seat_is_over_before_the_next_begins():
    answers, heard = await play({"one": Script(["a", "b"], 0.01), "two": Script(["c", "d"], 0.01)})
    order = [(type(event).__name__, event.seat) for event in heard]
    assert order == [(name, seat) for seat in (1, 0) for name in ("Opened", "Delta", "Delta", "Closed")]
    assert not any(answer.metrics.contended for answer in answers)


async def test_together_the_seats_overlap_and_are_marked():
    answers, heard = await play(
        {"one": Script(["a"] * 5, 0.02), "two": Script(["b"] * 5, 0.02)}, schedule=Schedule.TOGETHER
    )
    first_close = next(index for index, event in enumerate(heard) if isinstance(event, Closed))
    assert {event.seat for event in heard[:first_close] if isinstance(event, Delta)} == {0, 1}
    assert all(answer.metrics.contended for answer in answers)


@pytest.mark.parametrize("schedule", [Schedule.TURN, Schedule.TOGETHER])
async def test_one_seats_fault_never_touches_another(schedule):
    answers, heard = await play(
        {"one": Script(["a"], fails_after=1), "two": Script(["b", "c"], 0.01)}, schedule=schedule
    )
    assert [answer.outcome for answer in answers] == [Outcome.FAILED, Outcome.ANSWERED]
    assert answers[0].text == "a", "what was said until then is kept"
    assert [event.seat for event in heard if isinstance(event, Failed)] == [0]
    assert verdict_on(answers) == (RoundState.VOID, ("failed",))


async def test_an_unforeseen_fault_of_a_backend_is_a_sentence_too():
    class Broken(ScriptedBackend):
        async def prepare(self, contestant):  # noqa: ARG002
            raise RuntimeError("boo")

    scripts = {"one": Script(), "two": Script()}
    game = Play(round_of(scripts), {"scripted": Broken(scripts)}, lambda _: None, lambda *_: None)
    answers = await game.run()
    assert all("RuntimeError: boo" in answer.error for answer in answers)


async def test_calling_off_keeps_what_was_said():
    kept = []
    scripts = {"two": Script(), "one": Script(["word "] * 1000, 0.005)}
    game = Play(
        round_of(scripts), {"scripted": ScriptedBackend(scripts)}, lambda _: None, lambda answer, _: kept.append(answer)
    )
    task = asyncio.create_task(game.run())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [answer.outcome for answer in kept] == [Outcome.CANCELLED]
    assert kept[0].text.startswith("word word")


async def test_stamps_are_those_of_arrival():
    _, heard = await play({"one": Script(["a", "b", "c"], 0.05), "two": Script()})
    stamps = [event.at_ns for event in heard if event.seat == 0 and isinstance(event, Opened | Delta)]
    gaps = [(after - before) / MS for before, after in pairwise(stamps)]
    assert all(gap >= 49 for gap in gaps)


async def test_a_stamp_of_the_engine_itself_is_taken_over():
    soon = time.monotonic_ns() + 1000 * MS
    chunks = [Chunk("a", at_ns=soon), Chunk("b", at_ns=soon + 20 * MS)]
    answers, heard = await play({"one": Script(chunks), "two": Script()})
    assert [event.at_ns for event in heard if event.seat == 0 and isinstance(event, Delta)] == [soon, soon + 20 * MS]
    assert answers[0].metrics.max_gap_ms == 20.0


def test_a_stamp_from_before_the_request_makes_no_negative_time():
    got = record([(50, "a", "answer"), (40, "b", "answer")], open_at=100).metrics
    assert (got.ttft_ms, got.e2e_ms, got.max_gap_ms) == (0.0, 0.0, 0.0)


def test_the_decode_rate_counts_from_the_first_token_also_where_it_shows_nothing():
    usage = Usage(out_tokens=11, first_ns=100 * MS, last_ns=200 * MS)
    got = record([(150, "한", "answer"), (200, "글", "answer")], open_at=90, usage=usage).metrics
    assert got.decode_tps == pytest.approx(100.0)


async def test_who_streamed_beside_whom_is_kept():
    kept = {}
    scripts = {"one": Script(["a"] * 5, 0.02), "two": Script(["b"] * 5, 0.02)}
    dealt = round_of(scripts, Schedule.TOGETHER)
    await Play(
        dealt,
        {"scripted": ScriptedBackend(scripts)},
        lambda _: None,
        lambda answer, company: kept.update({answer.seat: set(company)}),
    ).run()
    one, two = (seat.contestant.fingerprint for seat in dealt.seats)
    assert kept == {0: {two}, 1: {one}}


async def test_together_nobody_begins_while_another_is_being_loaded():
    class SlowLoad(ScriptedBackend):
        async def prepare(self, contestant):
            await asyncio.sleep(0.1)
            if contestant.ref.name == "two":
                raise SeatError("It does not load.")
            return await super().prepare(contestant)

    scripts = {"one": Script(), "two": Script(), "three": Script()}
    heard = []
    backend = SlowLoad(scripts)
    game = Play(round_of(scripts, Schedule.TOGETHER), {"scripted": backend}, heard.append, lambda *_: None)
    await game.run()
    opened = [event.at_ns for event in heard if isinstance(event, Opened)]
    assert len(opened) == 2, "the one that failed holds nobody up"
    assert min(opened) - game._began_ns > 290 * MS


def test_the_room_is_a_thread_of_its_own_and_cleans_up():
    room = Room()
    over = []

    async def story():
        try:
            await asyncio.sleep(60)
        finally:
            over.append("cleaned up")

    room.submit(story())
    import threading

    async def where():
        return threading.current_thread().name

    assert room.submit(where()).result() == "engine"
    room.close()
    room.close()
    assert over == ["cleaned up"]


# Pace


def stream(pacer, seat, text):
    pacer.feed(Delta(seat, 0, text))


def shown(pacer, seconds):
    """What each seat shows after a frame so many seconds after the first."""
    return dict(pacer.frame(int(seconds * 1e9) + 1))


def test_even_shows_nothing_until_every_seat_has_text():
    pacer = Pacer(2, Pace.EVEN, rate=1e9, lag=0)
    stream(pacer, 0, "long answer")
    pacer.feed(Closed(0, 0))
    assert shown(pacer, 0) == {}
    assert shown(pacer, 1) == {}
    stream(pacer, 1, "abc")
    assert shown(pacer, 2) == {0: "lon", 1: "abc"}


def test_thinking_is_never_shown_while_blind():
    pacer = Pacer(2, Pace.LIVE)
    pacer.feed(Delta(0, 0, "secret", "thought"))
    assert shown(pacer, 0) == {}


def test_a_pane_in_the_middle_of_its_stream_ends_where_the_others_do():
    pacer = Pacer(2, Pace.EVEN, rate=1e9)
    stream(pacer, 0, "x" * 500)
    pacer.feed(Closed(0, 0))
    shown(pacer, 0)
    total = 0
    for step in range(1, 60):
        stream(pacer, 1, "token " * 2)
        total += len(shown(pacer, step).get(1, ""))
        assert total == max(0, 12 * step - LAG), "never up to the edge of the last token"


def test_whole_shows_all_at_once():
    pacer = Pacer(2, Pace.WHOLE)
    stream(pacer, 0, "ab")
    stream(pacer, 1, "cd")
    pacer.feed(Closed(0, 0))
    assert shown(pacer, 1) == {}
    pacer.feed(Failed(1, 0))
    assert shown(pacer, 2) == {0: "ab", 1: "cd"}
    assert pacer.done


EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["a", "bcd", "한국어", "", "x" * 30]), st.floats(0.0, 0.3)),
    max_size=40,
)


@given(EVENTS, st.permutations([0, 1, 2]))
def test_in_lockstep_no_pane_tells_who_is_fast(events, closing):
    pacer = Pacer(3, Pace.EVEN)
    sent, got, now = [""] * 3, [""] * 3, 0.0
    for seat, text, gap in events:
        now += gap
        pacer.feed(Delta(seat, 0, text))
        sent[seat] += text
        for shown_seat, piece in pacer.frame(int(now * 1e9)):
            got[shown_seat] += piece
        lengths = {len(text) for text in got}
        assert len(lengths) == 1, "all panes show equally much while all stream"
    for seat in closing:
        pacer.feed(Closed(seat, 0))
    for step in range(400):
        for seat, piece in pacer.frame(int((now + step) * 1e9)):
            got[seat] += piece
        if pacer.done:
            break
    for seat, piece in pacer.rest():
        got[seat] += piece
    assert got == sent
    assert pacer.done


def test_the_pace_of_a_round_is_stored_with_the_speed():
    assert Recorder(0, speed_visible=True).answer().metrics.speed_visible
    assert not replace(Metrics()).speed_visible
