"""The sealed envelope, audited: two worlds that differ only in who sits where look the same until the vote.

In one world seat A is the fast model and B the slow one, in the other they have changed places; what each seat said,
when it was dealt, everything else is equal. Whatever a person may look at before the vote has to be equal too: the
output of every command, every view of the database, every screen.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from arena.backends.scripted import ScriptedBackend
from arena.cli.commands import main_group
from arena.config import load
from arena.core.loads import Load
from arena.core.models import Contestant, Sampling
from arena.core.past import Ending
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Round, RoundState, Seat
from arena.core.timing import Metrics
from arena.core.votes import Verdict, Vote
from arena.engine.deal import deal_further
from arena.store.ledger import SqliteLedger
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.round import SIDE_FROM
from arena.wiring import Arena
from stage import CAST, ENDPOINT, NAMES, screen_text, until
from test_blindness import told_by

FAST, SLOW = (CAST[name].info for name in ("zephyr-9b", "kestrel-3b"))
DAY = "2026-05-0{}T08:00:00.000+00:00"
SAID = ("The answer is **41**.\n\n- 67 - 26", "It is forty-one, I would say, since 26 and 41 make 67.")
SIZES = [(80, 24), (160, 45)]
_MACHINE = re.compile(r"[\d.]+ \wiB free of|[━╍─]{20,}")
"""What the memory of the machine is just now, which is the same thing in both worlds."""


def figures(info, order: int) -> Metrics:
    """What was measured of that model: ten times as much for the slow one."""
    unit = 1.0 if info is FAST else 10.0
    return Metrics(
        queue_ms=order * 100.0, load_ms=unit, ttft_ms=unit, e2e_ms=9 * unit, out_tokens=int(20 * unit), out_chars=20,
        decode_tps=100 / unit, chars_per_s=400 / unit, max_gap_ms=unit, finish="stop",
    )  # fmt: skip


def note_load(ledger: SqliteLedger, info, at: str) -> None:
    known = {"context": 4096, "kv_type": "f16", "gpu_layers": -1, "method": "header", "runtime": "embedded"}
    sizes = {"predicted_bytes": 5, "predicted_sigma_bytes": 1, "buffers_bytes": 4}
    bytes_ = 6_000_000 if info is FAST else 9_000_000
    ledger.note_load(Load(at, "gpu:x", "Card", ref=info.ref, build="CUDA 1", measured_bytes=bytes_, **known, **sizes))


def a_world(folder: Path, *, swapped: bool) -> Path:
    """A database with a judged round, one that waits, one in its second turn, one in work, and a queue."""
    folder.mkdir()
    path = folder / "arena.db"
    here = (SLOW, FAST) if swapped else (FAST, SLOW)

    def a_round(key: str, infos, day: int) -> Round:
        seats = tuple(Seat(i, Contestant.of(info, Sampling()), i) for i, info in enumerate(infos))
        return Round(
            key,
            Prompt(f"What is 67 - 26? ({key})", tags=("demo",)),
            seats,
            Sampling(seed=3),
            created_at=DAY.format(day),
        )

    def play(ledger: SqliteLedger, round_: Round, infos) -> None:
        for seat in sorted(round_.seats, key=lambda seat: seat.run_order):
            note_load(ledger, infos[seat.index], f"{round_.created_at[:11]}09:0{seat.run_order}:00.000+00:00")
            answer = Answer(seat.index, SAID[seat.index], "Hm.", figures(infos[seat.index], seat.run_order))
            ledger.save_answer(round_.id, answer, ran_alongside=())
        ledger.close_round(round_.id, RoundState.READY)

    with SqliteLedger(path) as ledger:
        judged = a_round("01judgedround1", (FAST, SLOW), 1)
        ledger.open_round(judged, {info.ref: info for info in here})
        play(ledger, judged, (FAST, SLOW))
        ledger.cast(Vote(judged.id, Verdict.parse("a", 2), cast_at=DAY.format(1)))
        ledger.mark_revealed(judged.id)
        for key, day in (("01waitinground", 2), ("01firstturnrnd", 3), ("01inworkround1", 4)):
            round_ = a_round(key, here, day)
            ledger.open_round(round_)
            if day < 4:
                play(ledger, round_, here)
        second = replace(
            deal_further(ledger.round("01firstturnrnd").round, "Are you sure?"),
            id="01secondturnrd",
            created_at=DAY.format(3),
            seats=a_round("", here, 3).seats,
        )
        ledger.open_round(second)
        play(ledger, second, here)
        ledger.save_answer("01inworkround1", Answer(0, SAID[0], "", figures(here[0], 0)))
        ledger.plan_queue("night", [a_round("01plannedround", here, 5)])
    with closing(sqlite3.connect(path)) as conn, conn:  # the hours of the test itself are no part of the worlds
        for table, column in (("rounds", "owned_at"), ("contestants", "first_seen"), ("queues", "created_at")):
            conn.execute(f"UPDATE {table} SET {column} = '{DAY.format(1)}'")  # noqa: S608
        conn.execute(f"UPDATE rounds SET revealed_at = '{DAY.format(1)}' WHERE revealed_at IS NOT NULL")  # noqa: S608
    return path


@pytest.fixture
def worlds(tmp_path: Path) -> tuple[Path, Path]:
    return a_world(tmp_path / "one", swapped=False), a_world(tmp_path / "two", swapped=True)


SEALED = ("01waitinground", "01secondturnrd", "01firstturnrnd", "01inworkround1", "01plannedround")
COMMANDS = {
    "board": [[], ["--json"], ["--csv"], ["--md"], ["--tag", "demo"], ["--pairs"], ["--pareto"], ["--no-archived"]],
    "history": [
        [], ["--json"], ["--search", "forty"], ["--search", "67"], ["--search", "sure"], ["--tag", "demo"],
        *(["--model", str(info.ref)] for info in (FAST, SLOW)), *(["--ending", each.value] for each in Ending),
        *(["--delete", key] for key in SEALED),
    ],
    "show": [[key, *form] for key in SEALED for form in ([], ["--json"])],
    "run": [["--queues"], ["--queues", "--json"]],
    "vote": [[]],
    "fit": [["--check"], ["--check", "--json"]],
    "models": [["--merges"]],
    "prompts": [[], ["demo"], ["demo/capital-france"]],
    "export": [[], ["--all"], ["--format", "csv", "--all"]],
    "explain": [[]],
}  # fmt: skip
HARMLESS = {
    "import": "it reads a file that the user names, and no round",
    "pull": "it fetches one model by name and reads no round",
    "bench": "it plays models that the user names, and stores nothing",
    "simulate": "it replays the votes of the board, which is audited",
    "recommend": "it reads the board, which is audited, and the machine",
    "backup": "it names a file",
    "doctor": "it counts votes and waiting rounds, and tries the engine",
}


def test_every_command_is_audited():
    assert set(COMMANDS) | set(HARMLESS) == set(main_group.commands), "say what a new command tells before the vote"


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_tells_the_worlds_apart(worlds, name):
    for args in COMMANDS[name]:
        printed = []
        for path in worlds:
            done = CliRunner().invoke(main_group, [name, *args, "--db", str(path)])
            assert done.exception is None or isinstance(done.exception, SystemExit | Exception)
            said = f"{done.output}{done.exception or ''}".replace(str(path), "DB")
            assert said, args
            printed.append(said)
        assert printed[0] == printed[1], (name, args)


def test_the_audit_finds_what_it_looks_for(worlds):
    shown = []
    for path in worlds:
        with SqliteLedger(path) as ledger:
            ledger.cast(Vote("01waitinground", Verdict.parse("a", 2), cast_at=DAY.format(6)))
            ledger.mark_revealed("01waitinground")
        commands = (["board"], ["history"], ["show", "01waitinground"])
        shown.append([CliRunner().invoke(main_group, [*args, "--db", str(path)]).output for args in commands])
    assert all(one != two for one, two in zip(*shown, strict=True))


def test_no_view_of_the_database_tells_the_worlds_apart(worlds):
    def rows(path: Path) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
        with closing(sqlite3.connect(path)) as conn:
            views = [
                name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'view' ORDER BY name")
            ]
            assert len(views) >= 6
            for view in views:
                yield view, conn.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608

    one, two = (dict(rows(path)) for path in worlds)
    assert one == two


async def walk(path: Path, size: tuple[int, int]) -> dict[str, str]:
    """Every screen that somebody can get at while rounds are sealed, by what was pressed."""
    arena = Arena(replace(load(db=path), controls=0.0, reveal_after_s=60.0), [ScriptedBackend(CAST, ENDPOINT)])
    looks: dict[str, str] = {}
    try:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=size) as pilot:

            async def look(name: str) -> str:
                await pilot.pause()
                await pilot.pause()
                looks[name] = _MACHINE.sub("", screen_text(pilot))
                return f"{looks[name]} {app.title} {app.sub_title}"

            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            if size[0] >= SIDE_FROM:  # the first reading of the machine comes when it comes
                await until(pilot, lambda: "FITS NOW" in screen_text(pilot))
            screen = app.screen
            for waiting in sorted(await asyncio.wrap_future(arena.waiting()), key=lambda found: found.view.id):
                key = waiting.view.id
                await screen.judge(waiting)
                await until(pilot, lambda: screen.phase is Phase.VOTING)
                assert not told_by(await look(f"{key} voting"))
                for pressed in (
                    *("z", "2", "D", "escape", "y", "escape", "slash", "escape"),
                    *("f", "escape", "question_mark", "escape"),
                ):
                    await pilot.press(pressed)
                    assert not told_by(await look(f"{key} {pressed}"))
                await pilot.press("A")
                await until(pilot, lambda: screen.phase is Phase.VOTED)
                assert not told_by(await look(f"{key} voted"))
                await pilot.press("u")
                await until(pilot, lambda: screen.phase is Phase.VOTING)
            screen.enter(Phase.ASKING)
            await pilot.press("escape", "l")
            await until(pilot, lambda: "1 vote" in screen_text(pilot))
            for view in "1234":
                await pilot.press(view)
                await pilot.pause(0.3)
                await look(f"board {view}")
            await pilot.press("escape", "h")
            await until(pilot, lambda: app.screen.query("#rounds") and app.screen.query_one("#rounds").option_count)
            for at in range(app.screen.query_one("#rounds").option_count):
                app.screen.query_one("#rounds").highlighted = at
                await pilot.pause(0.2)
                await look(f"history {at}")
    finally:
        arena.close()
    return looks


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_no_screen_tells_the_worlds_apart(worlds, size):
    one, two = [await walk(path, size) for path in worlds]
    assert one.keys() == two.keys()
    for name, text in one.items():
        assert text == two[name], name


@pytest.mark.engine
def test_no_process_list_names_a_model(tmp_path):
    pytest.importorskip("llama_cpp")
    arena = Arena(replace(load(db=tmp_path / "arena.db"), controls=0.0))
    seen: set[str] = set()
    try:
        infos = [arena.lineup.find(name).result() for name in ("demo/medium", "demo/small")]
        view = arena.table.deal(Prompt("Tell me a story."), infos).result()

        def look(_: object) -> None:
            for child in psutil.Process().children(recursive=True):
                try:
                    seen.add(" ".join([child.name(), *child.cmdline(), child.cwd(), *child.environ().values()]))
                except psutil.Error:
                    continue

        arena.watch.sharpen(infos).result()
        arena.table.play(view.id, look).result()
        look(None)
    finally:
        arena.close()
    assert any("llamacpp_worker" in line for line in seen)
    for line in seen:
        assert not {"medium", "small", ".gguf"} & set(line.replace("/", " ").replace("=", " ").split()), line
