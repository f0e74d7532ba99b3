"""Stories of looking back: past rounds are narrowed, judged again, annotated, deleted, and asked anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arena.backends.scripted import Script
from arena.core.past import Ending, Wanted
from arena.core.prompts import Prompt
from arena.core.votes import Strength, Verdict
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.again import AgainScreen
from arena.tui.screens.confirm import ConfirmScreen
from arena.tui.screens.copy import CopyScreen
from arena.tui.screens.history import HistoryScreen
from arena.tui.screens.line import LineScreen
from arena.tui.screens.picker import PickerScreen
from arena.tui.widgets.prompt_box import PromptBox
from arena.tui.widgets.vote_bar import VoteBar
from stage import CAST, NAMES, arena_on, screen_text, until
from test_blindness import told_by

SIZES = [(80, 24), (160, 45)]


def play(arena, text, says="a", *, seats=NAMES[:2], tags=()) -> str:
    """A judged round, or one that waits."""
    infos = [arena.lineup.find(name).result() for name in seats]
    view = arena.table.deal(Prompt(text, tags=tags), infos).result()
    arena.table.play(view.id, lambda _: None).result()
    if says:
        arena.cast(view.id, Verdict.parse(says, len(seats))).result()
    return view.id


async def history(pilot, rounds: int):
    """Open the history, with the newest round shown."""
    await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
    await pilot.press("escape", "h")
    await until(pilot, lambda: listed(pilot) == rounds and pilot.app.screen.found)
    return pilot.app.screen


def told(pilot, sentence: str) -> bool:
    return any(sentence in note.message for note in pilot.app._notifications)


def listed(pilot) -> int:
    options = pilot.app.screen.query("#rounds")
    return options.first().option_count if options else -1


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_rounds_are_narrowed_by_tag_model_and_verdict(tmp_path, size):
    with arena_on(tmp_path) as arena:
        tie = play(arena, "first?", "tie", tags=("coding",))
        play(arena, "second?", seats=(NAMES[0], NAMES[2]))
        sealed = play(arena, "third?", "", seats=NAMES[1:])
        async with ArenaApp(arena, NAMES).run_test(size=size) as pilot:
            screen = await history(pilot, 3)
            assert not screen.query_one("#narrowed").display
            await pilot.press("t")
            await until(pilot, lambda: listed(pilot) == 1 and screen.round_id == tie)
            assert "tag coding" in screen_text(pilot)
            await pilot.press("0", "m")
            await until(pilot, lambda: screen.wanted.model and listed(pilot) == 1)
            for _ in range(8):  # the sealed round is found by none of its models
                assert sealed not in [line.id for line in arena.past.rounds(screen.wanted).result()] or not (
                    screen.wanted.model
                )
                await pilot.press("m")
                await pilot.pause()
            await pilot.press("0")
            while screen.wanted.ending is not Ending.TIE:
                await pilot.press("s")
            await until(pilot, lambda: listed(pilot) == 1 and screen.round_id == tie)
            await pilot.press("0")
            await until(pilot, lambda: listed(pilot) == 3 and screen.wanted == Wanted())


async def test_a_long_history_is_listed_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("arena.tui.screens.history.PAGE", 3)
    monkeypatch.setattr("arena.past.Past.rounds.__defaults__", (3, 0))
    with arena_on(tmp_path) as arena:
        for number in range(7):
            play(arena, f"question {number}?")
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await history(pilot, 3)
            await pilot.press("end")
            await until(pilot, lambda: listed(pilot) == 6)
            await pilot.press("end")
            await until(pilot, lambda: listed(pilot) == 7)
            await pilot.press("end")
            screen = pilot.app.screen
            await until(pilot, lambda: screen.round_id == screen.cursor and "question 0?" in screen_text(pilot))
            oldest = screen.cursor
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.screen, LineScreen))
            await pilot.press("x", "enter")
            await until(pilot, lambda: pilot.app.screen is screen and arena.look(oldest).result().vote.note == "x")
            await until(pilot, lambda: not screen.busy and not screen._shows)
            assert (screen.cursor, listed(pilot)) == (oldest, 7)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seats", [2, 3])
async def test_a_round_is_judged_again_without_its_names(tmp_path, size, seats):
    with arena_on(tmp_path) as arena:
        key = play(arena, "What is 67 - 26?", "a", seats=NAMES[:seats])
        votes = arena.board().result().votes
        async with ArenaApp(arena, NAMES).run_test(size=size) as pilot:
            screen = await history(pilot, 1)
            await until(pilot, lambda: told_by(screen_text(pilot)))
            await pilot.press("V")
            await until(pilot, lambda: isinstance(pilot.app.screen, AgainScreen))
            again = pilot.app.screen
            await until(pilot, lambda: len(again.query_one(VoteBar).seats) == seats)
            await until(pilot, lambda: "What is 67" in screen_text(pilot) and "Which is b" in screen_text(pilot))
            await pilot.app.run_action("screen.keep")  # from the palette
            if isinstance(pilot.app.screen, CopyScreen):  # else one pane stands alone
                await pilot.press("a")
            kept = tmp_path / "copies" / f"{key}-again-A.md"  # the A of the round may be another one
            await until(pilot, lambda: kept.is_file() and pilot.app.screen is again)
            assert kept.read_text("utf-8").strip() == arena.look(key).result().answers[again._dealt.order[0]].text
            for press in ("z", "2", "z"):
                assert not told_by(screen_text(pilot))
                await pilot.press(press)
            await pilot.press("b", "enter")
            await until(pilot, lambda: pilot.app.screen is screen)
            record = arena.look(key).result()
            assert str(record.vote.verdict) == "a"
            assert record.again[0].verdict.winners == (again._dealt.order[1],)
            await until(pilot, lambda: "Again on" in screen_text(pilot))
            await until(pilot, lambda: told(pilot, "The first vote is the one that counts."))
            assert arena.board().result().votes == votes


async def test_a_round_that_is_never_judged_says_why(tmp_path):
    with arena_on(tmp_path) as arena:
        arena.table.deal_again(play(arena, "why?", "")).result()
        async with ArenaApp(arena, NAMES).run_test(size=(80, 24)) as pilot:
            await history(pilot, 2)
            await pilot.press("down")
            await until(pilot, lambda: "Never to be judged" in screen_text(pilot))


async def test_a_vote_that_was_clearly_so_is_told_as_such(tmp_path):
    with arena_on(tmp_path) as arena:
        key = play(arena, "why?", "")
        arena.cast(key, Verdict.parse("b", 2), 900, strength=Strength.CLEARLY).result()
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await history(pilot, 1)
            await until(pilot, lambda: "You said: b, clearly" in screen_text(pilot))


async def test_who_leaves_without_a_verdict_has_said_nothing(tmp_path):
    with arena_on(tmp_path) as arena:
        key = play(arena, "why?")
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            screen = await history(pilot, 1)
            await pilot.press("V")
            await until(pilot, lambda: isinstance(pilot.app.screen, AgainScreen))
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is screen)
            assert arena.look(key).result().again == ()


async def test_a_sealed_round_is_neither_judged_again_nor_noted(tmp_path):
    with arena_on(tmp_path) as arena:
        play(arena, "why?", "")
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            screen = await history(pilot, 1)
            await pilot.press("V", "o")
            await pilot.pause()
            assert pilot.app.screen is screen


async def test_notes_are_read_and_written_where_the_round_is(tmp_path):
    with arena_on(tmp_path) as arena:
        old, new = play(arena, "old?"), play(arena, "new?")
        arena.annotate(old, "B was shorter").result()
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            screen = await history(pilot, 2)
            await pilot.press("down")
            await until(pilot, lambda: screen.round_id == old and "B was shorter" in screen_text(pilot))
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.screen, LineScreen))
            await pilot.press(*", and right", "enter")
            await until(pilot, lambda: "B was shorter, and right" in screen_text(pilot))
            assert (screen.round_id, screen.query_one("#rounds").highlighted) == (old, 1), "the cursor has not moved"
            assert arena.look(old).result().vote.note == "B was shorter, and right"
            assert arena.look(new).result().vote.note == ""


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_round_is_deleted_after_a_question_that_says_what_goes(tmp_path, size):
    with arena_on(tmp_path) as arena:
        kept, gone = play(arena, "kept?"), play(arena, "gone?")
        async with ArenaApp(arena, NAMES).run_test(size=size) as pilot:
            screen = await history(pilot, 2)
            for key in ("n", "enter", "escape"):
                await pilot.press("X")
                await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
                await until(
                    pilot, lambda: "2 answers" in screen_text(pilot) and "leaderboard loses" in screen_text(pilot)
                )
                await pilot.press(key)
                if key == "enter":
                    assert isinstance(pilot.app.screen, ConfirmScreen), "pressed too easily"
                    await pilot.press("escape")
                await until(pilot, lambda: pilot.app.screen is screen)
            assert arena.board().result().votes == 2
            await until(pilot, lambda: screen.round_id == gone and not screen.busy)
            await pilot.press("X")
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
            await pilot.press("y")
            await until(pilot, lambda: listed(pilot) == 1 and screen.round_id == kept)
            assert arena.board().result().votes == 1
            await until(pilot, lambda: not screen.busy)
            await pilot.press("X")
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
            await pilot.press("y")
            await until(pilot, lambda: "No rounds yet" in screen_text(pilot))
            assert screen.found is None


async def test_a_waiting_round_that_was_deleted_is_passed_over(tmp_path):
    with arena_on(tmp_path) as arena:
        keys = [play(arena, f"{name}?", "") for name in ("one", "two", "three")]
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press("escape", "w")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            await pilot.press("a")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.REVEALED)
            for key in keys:
                if key != pilot.app.screen.live.view.id:
                    arena.past.delete(key).result()
            await pilot.press("n")
            await until(pilot, lambda: told(pilot, "All waiting rounds are judged"))
            assert pilot.app.screen.phase is Phase.ASKING


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_prompt_comes_back_from_the_history(tmp_path, size):
    with arena_on(tmp_path) as arena:
        play(arena, "Why is the sky blue?", tags=("general",))
        async with ArenaApp(arena, NAMES).run_test(size=size) as pilot:
            await history(pilot, 1)
            await pilot.press("i")
            await until(pilot, lambda: not isinstance(pilot.app.screen, HistoryScreen))
            await until(pilot, lambda: pilot.app.screen.query_one(PromptBox).text == "Why is the sky blue?")
            await pilot.press("enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            assert pilot.app.screen.live.view.prompt.tags == ("general",), "it is the same prompt, not a typed one"


@pytest.mark.parametrize("begins", ["history", "reveal"])
async def test_a_prompt_is_put_to_other_models(tmp_path, begins):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            if begins == "history":
                play(arena, "why?")
                await history(pilot, 1)
                await pilot.press("r")
            else:
                await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
                await pilot.press(*"why?", "enter")
                await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
                await pilot.press("a")
                await until(pilot, lambda: pilot.app.screen.phase is Phase.REVEALED)
                await pilot.press("M")
            await until(pilot, lambda: isinstance(pilot.app.screen, PickerScreen))
            await until(pilot, lambda: len(pilot.app.screen._infos) == 3)
            marks = [
                key for key, info in pilot.app.screen._infos.items() if "kestrel" in str(info) or "ocelot" in str(info)
            ]
            pilot.app.screen._list.highlighted = list(pilot.app.screen._infos).index(marks[0])
            await pilot.press("space")
            pilot.app.screen._list.highlighted = list(pilot.app.screen._infos).index(marks[1])
            await pilot.press("space", "enter")
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.VOTING)
            record = arena.peek(pilot.app.screen.live.view.id).result()
            assert record.round.prompt.text == "why?"
            assert {seat.contestant.ref.name for seat in record.round.seats} == {"zephyr-9b", "ocelot-1b"}


async def test_a_long_answer_is_opened_where_it_begins(tmp_path):
    long = Script(["\n\n".join(f"Paragraph {number}." for number in range(80))])
    with arena_on(tmp_path, {name: replace(long, info=script.info) for name, script in CAST.items()}) as arena:
        play(arena, "first?")
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await history(pilot, 1)
            await until(pilot, lambda: "Paragraph 0." in screen_text(pilot))
            assert "Paragraph 79." not in screen_text(pilot)
