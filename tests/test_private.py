"""Rounds that are not to be stored: of what was asked and said not a byte is on the disk, and the vote counts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from arena.cli import headless
from arena.core.errors import ArenaError
from arena.core.events import Chunk
from arena.core.prompts import Prompt
from arena.core.votes import Verdict
from arena.packs import read_pack
from arena.series import Order
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from stage import CAST, NAMES, arena_on, screen_text, until

ASKED, SYSTEM, SAID, THOUGHT = "xylophone-asked", "xylophone-system", "xylophone-said", "xylophone-thought"
TALK = {name: replace(script, chunks=[Chunk(THOUGHT, "thought"), SAID]) for name, script in CAST.items()}
SECRET = Prompt(ASKED, system=SYSTEM, tags=("coding",), stored=False)


def leaked(folder: Path) -> list[str]:
    """The files in which a word of it is."""
    return [path.name for path in folder.rglob("*") if path.is_file() and b"xylophone" in path.read_bytes()]


def test_the_search_for_leaks_finds_what_is_stored(tmp_path):
    with arena_on(tmp_path, TALK) as arena:
        infos, _ = arena.table.choose(arena.lineup.models().result(), 2).result()
        view = arena.table.deal(replace(SECRET, stored=True), infos).result()
        arena.table.play(view.id, lambda _: None).result()
        assert leaked(tmp_path)


def test_nothing_of_it_is_written_and_the_vote_counts(tmp_path):
    with arena_on(tmp_path, TALK) as arena:
        infos, _ = arena.table.choose(arena.lineup.models().result(), 2).result()
        for _ in range(2):
            view = arena.table.deal(SECRET, infos).result()
            arena.table.play(view.id, lambda _: None).result()
            sealed = arena.look(view.id).result()
            assert (sealed.view.prompt.text, [answer.text for answer in sealed.answers]) == (ASKED, [SAID, SAID])
            assert not leaked(tmp_path)
            record = arena.cast(view.id, Verdict.parse("a", 2), note="mine").result()
            assert [(answer.text, answer.thought) for answer in record.answers] == [(SAID, THOUGHT)] * 2
            assert record.round.prompt == SECRET
            assert record.flags == ("private",), "not taken for a repetition either"
            assert all(answer.metrics.out_chars == len(SAID) for answer in record.answers)
        assert arena.board("coding").result().votes == 2
        assert not leaked(tmp_path)
    assert not leaked(tmp_path)
    with closing(sqlite3.connect(tmp_path / "arena.db")) as connection:
        hashes = {sha for (sha,) in connection.execute("SELECT sha256 FROM prompts")}
    assert SECRET.sha256 not in hashes, "a short secret could be guessed from it"
    with arena_on(tmp_path, TALK) as later:
        found = later.look(view.id).result()
        assert found.round.prompt.text == f"(not stored: {view.id})"
        assert [answer.text for answer in found.answers] == ["", ""]


def test_it_does_not_go_on_and_waits_in_no_queue(tmp_path):
    with arena_on(tmp_path, TALK) as arena:
        infos, _ = arena.table.choose(arena.lineup.models().result(), 2).result()
        view = arena.table.deal(SECRET, infos).result()
        arena.table.play(view.id, lambda _: None).result()
        for wanted in (arena.table.deal_further(view.id, "and?"), arena.table.deal_again(view.id)):
            with pytest.raises(ArenaError, match="does not go on"):
                wanted.result()
        order = Order(prompts=(SECRET,), infos=tuple(infos), rounds=2, seats=2, title="x", again=True)
        with pytest.raises(ArenaError, match="queue is on the disk"):
            arena.series.plan(order).result()
        assert not leaked(tmp_path)


def test_a_run_prints_it_and_stores_it_not(tmp_path):
    said: list[str] = []
    with arena_on(tmp_path, TALK) as arena:
        headless.run_rounds(
            arena, NAMES[:2], ASKED, headless.RunOptions(private=True), said.append, said.append, said.append
        )
    assert ASKED in said[0]
    assert said[0].count(SAID) == 2
    assert not leaked(tmp_path)
    with arena_on(tmp_path, TALK) as later:
        assert len(later.history().result()) == 1
        assert later.waiting().result() == [], "nobody can judge what is nowhere"


def test_a_pack_can_say_so(tmp_path):
    pack = tmp_path / "secret.toml"
    pack.write_text('store = false\n[[prompts]]\ntext = "x"\n', "utf-8")
    assert [prompt.stored for prompt in read_pack(pack).prompts] == [False]
    pack.write_text('store = "no"\n[[prompts]]\ntext = "x"\n', "utf-8")
    with pytest.raises(ArenaError, match="'store' must be true or false"):
        read_pack(pack)


async def test_on_the_screen_it_is_said_shown_and_over_after_one_round(tmp_path):
    cast = {
        name: replace(script, chunks=[Chunk(THOUGHT, "thought"), f"I am zephyr. {SAID}"])
        for name, script in TALK.items()
    }
    with arena_on(tmp_path, cast) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(160, 45)) as pilot:
            screen = pilot.app.screen
            await until(pilot, lambda: getattr(screen, "phase", None) is Phase.ASKING)
            await pilot.app.run_action("screen.private")
            await until(pilot, lambda: "not stored" in screen_text(pilot))
            await pilot.press(*ASKED, "enter")
            await until(pilot, lambda: screen.phase is Phase.VOTING)
            assert "not stored" in screen_text(pilot)
            await pilot.press("a")
            await until(pilot, lambda: screen.phase is Phase.REVEALED)
            await until(pilot, lambda: screen_text(pilot).count(SAID) == 2)
            await pilot.press("d")
            await until(pilot, lambda: screen_text(pilot).count(THOUGHT) == 2)
            await pilot.press("n")
            await until(pilot, lambda: screen.phase is Phase.ASKING)
            await until(pilot, lambda: "not stored" not in screen_text(pilot).split("\n")[0])
    assert not leaked(tmp_path)
