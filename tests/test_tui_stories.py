"""Stories of somebody at the keyboard."""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import replace

import pytest

from arena.backends.scripted import Script
from arena.core.prompts import Prompt
from arena.core.rounds import RoundState
from arena.core.votes import Verdict
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.board import BoardScreen
from arena.tui.screens.help import HelpScreen
from arena.tui.screens.history import HistoryScreen
from arena.tui.screens.picker import PickerScreen
from arena.tui.widgets.prompt_box import PromptBox
from stage import CAST, NAMES, arena_on, screen_text, until


async def ask(pilot, text="why?"):
    """From the first screen to the vote."""
    await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
    await pilot.press(*text, "enter")
    await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)


async def revealed(pilot):
    await until(pilot, lambda: pilot.app.screen.phase is Phase.REVEALED)


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=str)
async def test_from_the_first_prompt_to_a_leaderboard_that_is_there_after_a_restart(tmp_path, size):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=size) as pilot:
            await ask(pilot, "What is 67 - 26?")
            await until(pilot, lambda: "What is 67 - 26?" in screen_text(pilot))
            await pilot.press("b")
            await revealed(pilot)
            await until(pilot, lambda: "your choice" in screen_text(pilot) or "★" in screen_text(pilot))
            await until(pilot, lambda: "You said: b" in screen_text(pilot))
            await until(pilot, lambda: "tok/s" in screen_text(pilot))
            board = arena.board().result()
            assert board.votes == 1
    with arena_on(tmp_path) as again:
        app = ArenaApp(again, NAMES)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: "1 vote" in screen_text(pilot))
            await pilot.press("escape", "l")
            counts = "1/0/0"
            await until(pilot, lambda: isinstance(app.screen, BoardScreen) and counts in screen_text(pilot))
        assert again.board().result() == board


async def test_a_ranking_of_three_takes_two_letters(tmp_path):
    with arena_on(tmp_path, seats=3) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press("c")
            await until(pilot, lambda: "C > …" in screen_text(pilot))
            await pilot.press("backspace", "b", "c")
            await revealed(pilot)
            await until(pilot, lambda: "You said: b>c>a" in screen_text(pilot))
            assert len(arena.history().result()) == 1


async def test_of_three_the_best_alone_is_enough(tmp_path):
    with arena_on(tmp_path, seats=3) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press("c", "enter")
            await revealed(pilot)
            await until(pilot, lambda: "You said: c." in screen_text(pilot))


@pytest.mark.parametrize(("key", "said"), [("t", "a=b"), ("x", "bad"), ("s", "skip")])
async def test_a_tie_all_bad_and_skip_are_one_key_each(tmp_path, key, said):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(80, 24)) as pilot:
            await ask(pilot)
            await pilot.press(key)
            await revealed(pilot)
            await until(pilot, lambda: f"You said: {said}." in screen_text(pilot))


async def test_peeking_shows_the_names_and_is_never_rated(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press("P")
            await revealed(pilot)
            await until(pilot, lambda: "Not rated." in screen_text(pilot))
            assert arena.board().result().votes == 0


async def test_a_seat_that_fails_says_so_and_the_round_is_not_voted_on(tmp_path):
    cast = {**CAST, "zephyr-9b": Script(["The "], info=CAST["zephyr-9b"].info, fails_after=1)}
    with arena_on(tmp_path, cast) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await revealed(pilot)
            await until(pilot, lambda: "The engine stopped. Run the round again." in screen_text(pilot))
            await until(pilot, lambda: "forty-one" in screen_text(pilot))  # the other seat has its answer
            assert arena.history().result()[0].state is RoundState.VOID


async def test_a_round_can_be_called_off(tmp_path):
    slow = {name: Script(["word "] * 500, 0.05, info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, slow) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.ANSWERING)
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.ASKING)
            await until(pilot, lambda: arena.history().result()[0].state is RoundState.VOID)


async def test_rounds_played_without_a_screen_are_judged_one_after_another(tmp_path):
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        for number in range(2):
            view = arena.table.deal(Prompt(f"question {number}"), infos).result()
            arena.table.play(view.id, lambda _: None).result()
        async with ArenaApp(arena, NAMES, judge=True).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.VOTING)
            await until(pilot, lambda: "question " in screen_text(pilot))
            seen = {pilot.app.screen.live.view.prompt.text}
            await pilot.press("a")
            await revealed(pilot)
            await pilot.press("enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            seen.add(pilot.app.screen.live.view.prompt.text)
            assert seen == {"question 0", "question 1"}
            await pilot.press("t")
            await revealed(pilot)
            assert arena.waiting().result() == []


async def test_a_narrow_terminal_shows_one_of_three_answers_at_a_time(tmp_path):
    with arena_on(tmp_path, seats=3) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(80, 24)) as pilot:
            await ask(pilot)
            panes = pilot.app.screen._row.panes
            assert [pane.display for pane in panes] == [True, False, False]
            await pilot.press("3")
            assert [pane.display for pane in panes] == [False, False, True]
            await until(pilot, lambda: " C " in screen_text(pilot) and "↓ more" not in screen_text(pilot))
            await pilot.resize_terminal(160, 45)
            await until(pilot, lambda: all(pane.display for pane in panes))
            await pilot.press("z")
            assert [pane.display for pane in panes] == [False, False, True]


async def test_every_screen_opens_and_closes_by_keyboard(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(80, 24)) as pilot:
            await ask(pilot)
            await pilot.press("a")
            await revealed(pilot)
            home = pilot.app.screen
            doors = {"l": BoardScreen, "h": HistoryScreen, "question_mark": HelpScreen, "m": PickerScreen}
            for key, screen in doors.items():
                await pilot.press(key)
                await until(pilot, lambda wanted=screen: isinstance(pilot.app.screen, wanted))
                await pilot.press("escape")
                await until(pilot, lambda: pilot.app.screen is home)


async def test_history_shows_the_answers_with_names(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot, "where from?")
            await pilot.press("a")
            await revealed(pilot)
            await pilot.press("h")
            await until(pilot, lambda: "You said: a" in screen_text(pilot) and "garage/" in screen_text(pilot))
            await pilot.press("slash", *"nothinglikeit", "enter")
            await until(pilot, lambda: "Nothing found" in screen_text(pilot))


async def test_the_picker_changes_who_plays_and_how_many(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press("escape", "m")
            await until(pilot, lambda: "zephyr-9b" in screen_text(pilot) and isinstance(pilot.app.screen, PickerScreen))
            await until(pilot, lambda: pilot.app.screen._infos)
            await pilot.press("3", "enter")
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            assert len(pilot.app.screen._row.panes) == 3


async def test_korean_and_emoji_are_typed_asked_and_shown(tmp_path):
    answer = "한국어 답변입니다. ⚠️ **굵게** 끝."
    cast = {name: Script([answer], info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, cast) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot, "안녕하세요?")
            await until(pilot, lambda: "굵게" in screen_text(pilot))
            text = screen_text(pilot)
            assert "안녕하세요?" in text
            assert "한국어 답변입니다." in text
            assert "**" not in text


async def test_tab_in_an_empty_box_brings_an_example(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press("tab")
            box = pilot.app.screen.query_one(PromptBox)
            await until(pilot, lambda: box.text)
            first = box.text
            await pilot.press("tab")
            await until(pilot, lambda: box.text != first)


async def test_characters_typed_just_before_enter_are_asked_too(tmp_path):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            from textual.events import Key

            for char in "burst":
                app.post_message(Key(char, char))
            app.post_message(Key("enter", "\r"))
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            await until(pilot, lambda: "burst" in screen_text(pilot))


async def test_hostile_text_never_reaches_the_screen_as_control_or_markup(tmp_path):
    evil = "a\x1b]52;c;aGk=\x07b\x9b31mc\u202ed [bold]e[/bold] [/nope] &#x202e; <div>f</div>"
    cast = {name: Script([evil[:9], evil[9:]], info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, cast) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot, "[/nope] [red]")
            await pilot.press("a")
            await revealed(pilot)
            await pilot.press("h")
            await until(pilot, lambda: "garage/" in screen_text(pilot) and "<div>f</div>" in screen_text(pilot))
            text = screen_text(pilot)
            assert "[bold]e[/bold]" in text
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


async def test_an_interrupted_round_is_said_and_marked(tmp_path):
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        arena.table.deal(Prompt("cut off"), infos).result()
        with sqlite3.connect(arena.settings.db) as db:  # as if the process that began it were gone
            db.execute("UPDATE rounds SET owner_token = 'gone'")
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45), notifications=True) as pilot:
            await until(pilot, lambda: arena.history().result()[0].state is RoundState.VOID)
            await until(pilot, lambda: "interrupted" in screen_text(pilot))


async def test_when_nobody_can_play_the_first_screen_says_why(tmp_path):
    cast = {"ghost": Script(info=replace(CAST["zephyr-9b"].info, note="The engine is not installed."))}
    with arena_on(tmp_path, cast) as arena:
        async with ArenaApp(arena).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "No model can play here. The engine is not installed." in screen_text(pilot))


async def test_keys_that_are_pressed_twice_play_and_vote_once(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter", "enter", "escape", "l", "m", "h")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            assert len(arena.history().result()) == 1
            await until(pilot, lambda: not pilot.app.screen.closed.deaf)
            await pilot.press("a", "P", "b", "a")
            await revealed(pilot)
            await until(pilot, lambda: "You said: a." in screen_text(pilot))
            await pilot.press("r", "r")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            assert len(arena.history().result()) == 2


async def test_a_vote_is_kept_when_the_user_leaves_at_once(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            arena._desk.do(lambda _: time.sleep(0.5))  # the desk is busy, as with a board
            await pilot.press("a", "q")
    with arena_on(tmp_path) as again:
        assert again.board().result().votes == 1
        assert again.history().result()[0].models, "and its names are out"


async def test_a_vote_that_was_cast_elsewhere_is_shown_and_nothing_breaks(tmp_path):
    with arena_on(tmp_path) as arena, arena_on(tmp_path) as elsewhere:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45), notifications=True) as pilot:
            await ask(pilot)
            elsewhere.cast(pilot.app.screen.live.view.id, Verdict.parse("b", 2)).result()
            await pilot.press("a")
            await revealed(pilot)
            await until(pilot, lambda: "You said: b." in screen_text(pilot))
            await until(pilot, lambda: "locked" in screen_text(pilot))


async def test_escape_while_complete_answers_are_still_being_shown_goes_to_the_vote(tmp_path):
    long = {name: Script(["word " * 400], info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, long) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.ANSWERING)
            screen = pilot.app.screen
            await until(pilot, lambda: screen.live.playing.done() and screen.live.pacer.generated)
            await pilot.press("escape")
            await until(pilot, lambda: screen.phase is Phase.VOTING)


async def test_leaving_in_the_middle_of_a_round_closes_it(tmp_path):
    slow = {name: Script(["word "] * 500, 0.02, info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, slow) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.ANSWERING)
            await pilot.pause(0.2)
            await pilot.press("q")
    with arena_on(tmp_path) as again:
        (line,) = again.history().result()
        assert line.state is RoundState.VOID
        record = again.reveal(line.id).result()
        assert any(answer.text.startswith("word ") for answer in record.answers), "what was said is kept"


async def test_rounds_are_judged_where_no_model_can_play(tmp_path):
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        view = arena.table.deal(Prompt("judge me"), infos).result()
        arena.table.play(view.id, lambda _: None).result()
    ghost = {"ghost": Script(info=replace(CAST["zephyr-9b"].info, note="The engine is not installed."))}
    with arena_on(tmp_path, ghost) as arena:
        async with ArenaApp(arena, judge=True).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "judge me" in screen_text(pilot))
            await pilot.press("a")
            await revealed(pilot)
