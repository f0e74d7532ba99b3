"""Somebody who presses any key at any time, on models that do everything wrong: the screen lives, and loses no vote."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from arena.backends.scripted import Script
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from faulty_backend import FaultyBackend
from stage import arena_on, until

FAULTY = "workshop"
BROKEN = {name: Script([f"{name} **says** ", "so ", "and so."]) for name in ("anvil", "bellows", "crucible")}
KEYS = (*"aabbctxsufRPmlhpe?nowd123=ABz", *("enter",) * 8, *("escape",) * 6, "tab", "down", "backspace", "pagedown")


@pytest.fixture
def rng(request) -> random.Random:
    seed = request.config.getoption("--seed") or random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    return random.Random(seed)


async def test_any_key_at_any_time_breaks_nothing(tmp_path, request, rng):
    size = rng.choice(((80, 24), (160, 45)))
    drawn, pressed = [], []
    faulty = FaultyBackend(BROKEN, FAULTY, rng, drawn)
    with arena_on(tmp_path, {}, seats=rng.choice((2, 3)), others=[faulty]) as arena:
        app = ArenaApp(arena, [f"{FAULTY}/{name}" for name in BROKEN])
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            for _ in range(request.config.getoption("--rounds") // 2):
                asks = getattr(app.screen, "phase", None) is Phase.ASKING and rng.random() < 0.4
                keys = (*"why?", "enter") if asks else (rng.choice(KEYS),)
                pressed += keys
                await pilot.press(*keys)
                if rng.random() < 0.2:
                    await pilot.pause()
            for _ in range(4):
                await pilot.press("escape")
            await until(pilot, lambda: not getattr(app.screen, "busy", False))
            assert app._exception is None
        shown = arena.board().result().votes
    with closing(sqlite3.connect(tmp_path / "arena.db")) as conn:
        states = dict(conn.execute("SELECT id, state FROM rounds"))
        votes = dict(conn.execute("SELECT round, blind FROM votes WHERE retracted_at IS NULL"))
    print(f"{len(states)} rounds, {len(votes)} votes, {shown} on the board, {len(drawn)} answers, {pressed[-30:]}")  # noqa: T201
    assert set(states.values()) <= {"ready", "continued", "voted", "unblinded", "void"}, "all are over"
    assert votes.keys() <= {key for key, state in states.items() if state in ("voted", "unblinded")}
    assert shown <= sum(votes.values())
