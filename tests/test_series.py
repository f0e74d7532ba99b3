"""Queues: planned ahead, played while nobody looks, and never lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from arena.backends.scripted import Script, ScriptedBackend
from arena.config import load
from arena.core.errors import ArenaError
from arena.core.prompts import Prompt
from arena.core.rounds import RoundState, SealedRound
from arena.core.votes import Verdict
from arena.series import GIVE_UP_AFTER, Order
from arena.wiring import Arena
from stage import CAST, ENDPOINT, NAMES, arena_on

PROMPTS = tuple(Prompt(f"question {number}") for number in range(4))


def order(arena, rounds=4, names=NAMES[:2], prompts=PROMPTS, **facts):
    infos = tuple(arena.lineup.find(name).result() for name in names)
    return Order(prompts, infos, rounds, **facts)


def test_a_queue_is_planned_whole_and_played_round_after_round(tmp_path):
    with arena_on(tmp_path) as arena:
        queue = arena.series.plan(order(arena)).result()
        assert (queue.rounds, queue.left) == (4, 4)
        steps = []
        assert arena.series.play(queue.id, steps.append).result() == 0
        assert [step.left for step in steps] == [3, 2, 1, 0]
        assert all(isinstance(step.found, SealedRound) for step in steps)
        assert steps[0].left_s > 0
        assert steps[-1].left_s == 0
        assert {found.view.prompt.text for found in arena.waiting().result()} == {prompt.text for prompt in PROMPTS}


def test_a_queue_that_is_called_off_before_the_desk_answers_takes_no_round(tmp_path):
    with arena_on(tmp_path) as arena:
        queue = arena.series.plan(order(arena)).result()
        busy, free = threading.Event(), threading.Event()
        arena._desk.do(lambda _: (busy.set(), free.wait(20)))
        assert busy.wait(20)
        playing = arena.series.play(queue.id)

        def engine_goes_on() -> None:
            for _ in range(5):
                arena._room.submit(asyncio.sleep(0)).result()

        engine_goes_on()  # until the desk was asked for a round
        playing.cancel()
        engine_goes_on()
        free.set()
        (state,) = arena.series.states().result()
        assert (state.planned, state.generating) == (4, 0)
        assert arena.series.play(queue.id).result() == 0


def test_no_prompt_is_put_to_the_same_set_twice_while_another_set_is_left(tmp_path):
    with arena_on(tmp_path) as arena:
        queue = arena.series.plan(order(arena, rounds=99, names=NAMES, prompts=PROMPTS[:2])).result()
        assert queue.rounds == 6, "two prompts for each of three pairs"
        arena.series.play(queue.id).result()
        flags = []
        for waiting in arena.waiting().result():
            arena.cast(waiting.view.id, Verdict.parse("a", 2)).result()
            flags += arena.reveal(waiting.view.id).result().flags
        assert flags == []
        with pytest.raises(ArenaError, match="already"):
            arena.series.plan(order(arena, rounds=1, names=NAMES, prompts=PROMPTS[:2])).result()
        again = arena.series.plan(order(arena, rounds=2, names=NAMES, prompts=PROMPTS[:2], again=True)).result()
        assert again.rounds == 2


def test_a_queue_goes_on_where_it_was_after_the_program_has_ended(tmp_path):
    slow = {name: Script(["word "] * 40, 0.02, info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, slow) as arena:
        queue = arena.series.plan(order(arena)).result()
        steps = []
        playing = arena.series.play(queue.id, steps.append)
        while not (steps or playing.done()):
            time.sleep(0.01)
        playing.cancel()
    with arena_on(tmp_path) as arena:
        (left,) = arena.series.states().result()
        assert 0 < left.left < 4
        assert arena.settle_interrupted().result() == 0, "what a queue has left is no loss"
        arena.series.play(queue.id).result()
        assert len(arena.waiting().result()) == 4
        assert all(answer.text for found in arena.waiting().result() for answer in found.answers)


def test_after_three_void_rounds_in_a_row_the_queue_waits(tmp_path):
    broken = {**CAST, "zephyr-9b": Script(["The "], info=CAST["zephyr-9b"].info, fails_after=1)}
    with arena_on(tmp_path, broken) as arena:
        queue = arena.series.plan(order(arena)).result()
        with pytest.raises(ArenaError, match="in a row") as caught:
            arena.series.play(queue.id).result()
        assert "--resume" in caught.value.hint
        (left,) = arena.series.states().result()
        assert (left.void, left.left) == (GIVE_UP_AFTER, 4 - GIVE_UP_AFTER)
    with arena_on(tmp_path) as arena:
        assert arena.series.play(queue.id).result() == 0
        assert len(arena.waiting().result()) == 1


NEWER = replace(CAST["zephyr-9b"].info, ref=replace(CAST["zephyr-9b"].info.ref, digest="f" * 64))


@pytest.mark.parametrize("cast", [{"kestrel-3b": CAST["kestrel-3b"]}, {**CAST, "zephyr-9b": Script(info=NEWER)}])
def test_a_model_that_is_gone_or_another_one_voids_its_round_and_names_nobody(tmp_path, cast):
    with arena_on(tmp_path) as arena:
        queue = arena.series.plan(order(arena, rounds=1)).result()
    with arena_on(tmp_path, cast) as arena:
        steps = []
        assert arena.series.play(queue.id, steps.append).result() == 1
        (step,) = steps
        assert step.played is None
        assert step.found.state is RoundState.VOID
        assert step.found.flags == ("missing",)


class Down(ScriptedBackend):
    """A server that nobody answers at."""

    async def find(self, ref):
        raise ArenaError(f"{ref.endpoint} can't be reached.", "Start it.")


def test_a_server_that_is_down_costs_no_round(tmp_path):
    with arena_on(tmp_path) as arena:
        queue = arena.series.plan(order(arena)).result()
    down = Arena(replace(load(db=tmp_path / "arena.db"), controls=0.0), [Down(CAST, ENDPOINT)])
    try:
        with pytest.raises(ArenaError, match="can't be reached") as caught:
            down.series.play(queue.id).result()
        assert ENDPOINT not in str(caught.value), "which one would tell who sits there"
        (left,) = down.series.states().result()
        assert (left.planned, left.void) == (4, 0)
        assert not down.series.playing
    finally:
        down.close()
    with arena_on(tmp_path) as arena:
        assert arena.series.play(queue.id).result() == 0


def test_the_settings_of_a_queue_are_those_of_the_day_it_was_planned(tmp_path):
    with arena_on(tmp_path) as arena:
        warm = arena.lineup.find(f"{NAMES[0]},temperature=0.25").result()
        cold = arena.lineup.find(NAMES[1]).result()
        queue = arena.series.plan(Order(PROMPTS[:1], (warm, cold), 1)).result()
    with arena_on(tmp_path) as arena:
        arena.series.play(queue.id).result()
        (waiting,) = arena.waiting().result()
        record = arena.cast(waiting.view.id, Verdict.parse("a", 2)).result()
        seated = {str(seat.contestant.ref): dict(seat.contestant.sampler) for seat in record.round.seats}
        assert seated[NAMES[0]]["temperature"] == 0.25
        assert seated[NAMES[1]]["temperature"] == 0.7


def test_a_queue_that_was_called_off_keeps_what_was_played(tmp_path):
    with arena_on(tmp_path) as arena:
        queue = arena.series.plan(order(arena)).result()
        assert arena.series.end(queue.id).result() == 4
        assert arena.series.play(queue.id).result() == 0
        with pytest.raises(ArenaError, match="no queue 77"):
            arena.series.end(77).result()


ARENA = [sys.executable, "-m", "arena"]


@pytest.mark.engine
def test_a_queue_survives_being_killed_in_the_middle(tmp_path: Path):
    pytest.importorskip("llama_cpp")
    db = str(tmp_path / "arena.db")
    asked = ["run", "-m", "demo/medium", "-m", "demo/small", "--pack", "demo", "--rounds", "6", "--json", "--db", db]
    with subprocess.Popen([*ARENA, *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as night:
        first = json.loads(night.stdout.readline())
        os.kill(night.pid, signal.SIGKILL)
    queues = json.loads(run("run", "--queues", "--json", "--db", db).stdout)
    assert queues[0]["rounds"] == 6
    assert queues[0]["to_play"] >= 1
    done = run("run", "--resume", "--json", "--db", db)
    assert done.returncode == 0, done.stderr
    played = [json.loads(line)["round"] for line in done.stdout.splitlines()]
    assert first["round"] not in played, "what is done is not done again"
    assert json.loads(run("run", "--queues", "--json", "--db", db).stdout)[0]["to_judge"] == 6
    assert "No queue" in run("run", "--resume", "--db", db).stderr


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ARENA, *args], capture_output=True, text=True, timeout=300, check=False)
