"""A round that is called off ends there, whatever happens in the same moment."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from concurrent.futures import CancelledError, Future

import pytest

from arena.backends.scripted import Script, ScriptedBackend
from arena.core.fit import Together, TogetherVerdict
from arena.core.prompts import Prompt
from arena.core.rounds import RoundState, Schedule
from stage import CAST, NAMES, arena_on

ENDLESS = {name: Script(["on "] * 100_000, 0.01, info=script.info) for name, script in CAST.items()}


def test_a_round_that_is_called_off_while_the_watch_answers_is_not_played(tmp_path):
    with arena_on(tmp_path, ENDLESS) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        asked, answer = threading.Event(), Future()

        def together(_):
            asked.set()
            return answer

        arena.watch.together = together
        view = arena.table.deal(Prompt("why?"), infos).result()
        playing = arena.table.play(view.id, lambda _: None)
        assert asked.wait(20)

        async def both() -> None:
            answer.set_result(Together(TogetherVerdict.FITS, 1, 2, 4096))
            playing.cancel()

        arena._room.submit(both()).result()
        end = time.monotonic() + 5
        while arena.history().result()[0].state is not RoundState.VOID:
            assert time.monotonic() < end, "it is played all the same"
            time.sleep(0.01)


def test_answers_are_void_only_when_others_can_be_had(tmp_path):
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        view = arena.table.deal(Prompt("why?"), infos).result()
        arena.table.play(view.id, lambda _: None).result()
        full = "CREATE TEMP TRIGGER full BEFORE INSERT ON main.rounds BEGIN SELECT raise(ABORT, 'full'); END"
        arena._desk.do(lambda ledger: ledger._connection._conn.execute(full)).result()
        with pytest.raises(sqlite3.IntegrityError, match="full"):
            arena.table.deal_again(view.id).result()
        assert [line.state for line in arena.history().result()] == [RoundState.READY]
        arena._desk.do(lambda ledger: ledger._connection._conn.execute("DROP TRIGGER full")).result()
        fresh = arena.table.deal_again(view.id).result()
        states = {line.id: line.state for line in arena.history().result()}
        assert states == {view.id: RoundState.VOID, fresh.id: RoundState.PLANNED}


class Slow(ScriptedBackend):
    """Loads for as long as it is let."""

    async def prepare(self, contestant):
        await super().prepare(contestant)
        await asyncio.Event().wait()
        return 0.0


def test_models_that_are_not_chosen_any_more_are_not_loaded_ahead(tmp_path):
    with arena_on(tmp_path, others=[Slow({"one": Script(), "two": Script()}, "slow")]) as arena:
        one, two = (arena.lineup.find(f"slow/{name}").result() for name in ("one", "two"))
        before, now = arena.lineup.warm([one]), arena.lineup.warm([two])
        assert (before.cancelled(), now.cancelled()) == (True, False)
        arena.lineup.stop_warming()
        assert now.cancelled()


class Quitter(ScriptedBackend):
    """Calls its own load off."""

    async def prepare(self, contestant):
        if contestant.ref.name == "one":
            raise asyncio.CancelledError
        return await super().prepare(contestant)


def test_nobody_waits_for_a_model_that_called_its_own_load_off(tmp_path):
    with arena_on(tmp_path, others=[Quitter({"one": Script(), "two": Script()}, "quitter")]) as arena:
        infos = [arena.lineup.find(f"quitter/{name}").result() for name in ("one", "two")]
        view = arena.table.deal(Prompt("why?"), infos, schedule=Schedule.TOGETHER).result()
        with pytest.raises(CancelledError):
            arena.table.play(view.id, lambda _: None).result(10)
        assert [line.state for line in arena.history().result()] == [RoundState.VOID]
