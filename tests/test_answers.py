"""Stories of what one does with answers: copy, find, compare; of keys that are closed, and of the mouse."""

from __future__ import annotations

import stat
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.events import Key

from arena.backends.scripted import Script
from arena.core.errors import ArenaError
from arena.core.text import clean
from arena.tui.app import ArenaApp
from arena.tui.closed_keys import QUIET_S, ClosedKeys
from arena.tui.copying import CLIPBOARD_BYTES, copyables, keep
from arena.tui.differences import MOST_CHARACTERS, compare
from arena.tui.phases import Phase
from arena.tui.screens.copy import CopyScreen
from arena.tui.screens.difference import DifferenceScreen
from arena.tui.screens.history import HistoryScreen
from arena.tui.widgets.finding import Found
from arena.tui.widgets.prompt_box import PromptBox
from arena.tui.widgets.vote_bar import VoteBar
from stage import CAST, NAMES, arena_on, screen_text, until
from test_blindness import told_by

SIZES = [(80, 24), (160, 45)]
CODE = """Try this:

1. First

   ```python
   def pick(queue):
       return queue[0]
   ```

or

~~~
ls -l
~~~
"""
SAID = {
    "zephyr-9b": "The kettle boils at one hundred degrees. It whistles then. Pour the water over the leaves.",
    "kestrel-3b": "The kettle boils at ninety degrees. It whistles then. Drink.",
    "ocelot-1b": "Tea?\n\n- No kettle is needed.",
}


def cast_of(said):
    return {name: Script([said[name]], info=script.info) for name, script in CAST.items() if name in said}


async def ask(pilot, text="why?"):
    await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
    await pilot.press(*text, "enter")
    await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)


def reversed_in(answer):
    """What is marked in a pane."""
    lines = map(answer.render_line, range(answer.size.height))
    return "".join(segment.text for line in lines for segment in line if segment.style.reverse)


async def shows(pilot, *texts):
    await until(pilot, lambda: all(text in screen_text(pilot) for text in texts))


# Copying


def test_an_answer_and_each_block_of_its_code_can_be_copied():
    answer, python, shell = copyables([("A", CODE)])
    assert (answer.text, answer.number) == (CODE, 0)
    assert (python.language, python.text) == ("python", "def pick(queue):\n    return queue[0]\n")
    assert (shell.language, shell.text, shell.number) == ("", "ls -l\n", 2)
    assert copyables([("B", " \n")]) == []
    assert len(copyables([("A", "~~~\nx\n~~~\n" * 500)])) == 100, "nobody chooses from more"


def test_a_fence_that_is_still_open_ends_with_the_text():
    assert copyables([("A", "```sh\nmake\nmake inst")])[1].text == "make\nmake inst"


def test_a_line_of_nothing_but_tildes_keeps_nobody_waiting():
    began = time.process_time()
    assert len(copyables([("A", "~" * 20_000 + "`\nx")])) == 1
    assert time.process_time() - began < 1, "each of them was tried as the end of the fence"


@given(st.text(st.sampled_from("`~ \nax\x1b\x07\u202e"), max_size=60))
@settings(deadline=None)
def test_whatever_is_fenced_is_part_of_the_answer_and_without_controls(text):
    found = copyables([("A", text)])
    for each in found:
        assert not set("\x1b\x07\u202e") & set(each.text)
        words = each.text.split()
        assert all(word in found[0].text for word in words)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_with_a_choice_copying_asks_and_one_key_answers(tmp_path, size):
    with arena_on(tmp_path, cast_of({**SAID, "zephyr-9b": CODE, "kestrel-3b": CODE})) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=size, notifications=True) as pilot:
            await ask(pilot)
            await pilot.press("y")
            await shows(pilot, "Copy to the clipboard", "Answer A", "Answer B", "python, 2 lines")
            assert isinstance(app.screen, CopyScreen)
            await pilot.press("3")
            await shows(pilot, "copied. Where the clipboard stays empty")
            assert app.clipboard == "def pick(queue):\n    return queue[0]\n"
            await pilot.press("y", "b")
            assert app.clipboard == CODE
            await pilot.press("y", "escape")
            assert app.screen.phase is Phase.VOTING, "neither letter was a vote"


async def test_the_pane_that_has_the_focus_is_copied_at_once(tmp_path):
    with arena_on(tmp_path, cast_of(SAID)) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press("2", "y")
            (said,) = [text for label, text in app.screen._row.texts() if label == "B"]
            assert app.clipboard == said


async def test_while_the_round_is_blind_a_copy_in_a_file_bears_round_and_label_alone(tmp_path):
    with arena_on(tmp_path, cast_of(SAID)) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(160, 45), notifications=True) as pilot:
            await ask(pilot)
            await pilot.press("1", "Y")
            folder = tmp_path / "copies"
            await until(pilot, lambda: folder.is_dir() and [*folder.glob("*.md")])
            (path,) = folder.iterdir()
            assert path.name == f"{app.screen.live.view.id}-A.md"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert path.read_text("utf-8") == app.screen._row.texts()[0][1]
            await shows(pilot, "Copied into", path.name)
            assert not told_by(screen_text(pilot))


async def test_what_is_too_long_for_a_clipboard_goes_into_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ARENA_PACE", "whole")
    long = "word " * (CLIPBOARD_BYTES // 5 + 1)
    with arena_on(tmp_path, cast_of({**SAID, "zephyr-9b": long, "kestrel-3b": long})) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(160, 45), notifications=True) as pilot:
            await ask(pilot)
            await pilot.press("1", "y")
            await shows(pilot, "Too long for the clipboard")
            (path,) = (tmp_path / "copies").iterdir()
            assert path.read_text("utf-8") == long
            assert app.clipboard == ""


async def test_answers_of_the_history_are_copied_found_and_compared_too(tmp_path):
    with arena_on(tmp_path, cast_of(SAID)) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(160, 45), notifications=True) as pilot:
            await ask(pilot)
            key = app.screen.live.view.id
            await pilot.press("a")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await pilot.press("h")
            await until(pilot, lambda: isinstance(app.screen, HistoryScreen) and app.screen.round_id == key)
            await shows(pilot, "You said: a")
            await pilot.press("2", "slash", *"WHISTLES")
            await shows(pilot, "2 of 2, in B")
            await pilot.press("escape", "Y")
            await until(pilot, (tmp_path / "copies" / f"{key}-B.md").is_file)
            await pilot.press("D")
            await shows(pilot, "1 sentence in common.")
            await pilot.press("escape")
            assert isinstance(app.screen, HistoryScreen)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "copies").write_text("a file")
    with pytest.raises(ArenaError, match="can't be written"):
        keep(tmp_path / "copies", "x.md", "text")
    assert (tmp_path / "copies").read_text() == "a file"


# Finding


def test_words_are_found_whatever_the_case_and_across_the_end_of_a_line():
    found = Found("kettle BOILS", ["The Kettle  boils, the kettle   ", "  boils", "kettle"])
    assert found.lines == [0, 0]
    assert Found("", ["a"]).lines == Found("  ", ["a"]).lines == []
    assert Found("한국", ["그 한국어"]).lines == [0]


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_words_are_found_in_all_panes_and_letters_are_no_votes_meanwhile(tmp_path, size):
    with arena_on(tmp_path, cast_of(SAID), seats=3) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=size) as pilot:
            await ask(pilot)
            await pilot.press("slash", *"kettle")
            await shows(pilot, "1 of 3, in A")
            await pilot.press("enter")
            await shows(pilot, "2 of 3, in B")
            await pilot.press("down", "down")
            await shows(pilot, "1 of 3, in A")
            await pilot.press("up")
            await shows(pilot, "3 of 3, in C")
            await until(pilot, lambda: "No kettle" in screen_text(pilot))
            marked = [pane.answer for pane in app.screen._row.panes if pane.answer._current >= 0]
            assert [pane.parent.label for pane in marked] == ["C"]
            assert reversed_in(marked[0]) == "kettle"
            await pilot.press(*"xyz")
            await shows(pilot, "nothing found")
            await pilot.press("escape")
            await until(pilot, lambda: not app.screen._row.finds)
            assert app.screen.phase is Phase.VOTING
            assert reversed_in(marked[0]) == ""


async def test_who_searches_while_the_last_words_arrive_does_not_vote(tmp_path):
    slow = {name: Script(["word "] * 30, 0.03, info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, slow) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: "word" in screen_text(pilot))
            await pilot.press("slash", "w")
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            await pilot.press("a")
            await shows(pilot, "nothing found")
            assert app.screen.phase is Phase.VOTING
            await pilot.press("backspace")
            await shows(pilot, " of 60, in A")
            await pilot.press("escape", "a")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await pilot.press("slash")
            await until(pilot, lambda: app.screen._row.finds)
            app.screen.action_ask_again()  # as from the palette
            assert not app.screen._row.finds
            assert app.screen.phase is Phase.ASKING


async def test_keys_that_arrive_in_one_go_are_words_and_no_votes(tmp_path):
    with arena_on(tmp_path, cast_of(SAID)) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(80, 24)) as pilot:
            await ask(pilot)
            for key in ("slash", *"boat", "space", *"va"):
                app.post_message(Key(key, {"space": " "}.get(key, key)))
            await until(pilot, lambda: app.screen.query_one("#find-words").value == "boat va")
            await pilot.press("escape")
            for key in "yb":
                app.post_message(Key(key, key))
            await until(pilot, lambda: app.clipboard or isinstance(app.screen, CopyScreen))
            await pilot.press("escape")
            assert app.screen.phase is Phase.VOTING


# Comparing


def test_sentences_are_set_beside_each_other_and_their_words_told_apart():
    found = compare(SAID["zephyr-9b"], SAID["kestrel-3b"])
    first, second, *_ = found.rows
    assert ("one hundred", True) in first.one
    assert ("ninety", True) in first.other
    assert second.same
    assert found.in_common == 1
    assert not found.cut


@given(st.lists(st.sampled_from(["a b. ", "c\n", "d e f. ", "- g\n", "\n\n"]), max_size=12), st.randoms())
@settings(deadline=None)
def test_no_word_is_lost_in_a_comparison(pieces, rng):
    one = "".join(pieces)
    rng.shuffle(pieces)
    other = "".join(pieces)
    found = compare(one, other)
    for text, sides in ((one, [row.one for row in found.rows]), (other, [row.other for row in found.rows])):
        assert "".join(piece for side in sides if side for piece, _ in side).split() == text.split() or "".join(
            text.split()
        ) == "".join("".join(piece for piece, _ in side) for side in sides if side).replace(" ", "")


@pytest.mark.parametrize(
    "text",
    ["word " * 200_000, "a. b. " * 170_000, "x" * 1_000_000, "".join(f"Line {n}.\n" for n in range(80_000))],
    ids=["words", "sentences", "one word", "lines"],
)
def test_a_megabyte_is_compared_in_a_moment_and_said_to_be_cut(text):
    begun = time.process_time()
    found = compare(text, text.replace("1", "2") + "b")
    assert found.cut
    assert time.process_time() - begun < 5
    assert sum(len(piece) for row in found.rows for piece, _ in row.one or ()) <= MOST_CHARACTERS


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_two_answers_are_compared_and_of_three_any_two(tmp_path, size):
    with arena_on(tmp_path, cast_of(SAID), seats=3) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=size) as pilot:
            await ask(pilot)
            said = dict(app.screen._row.texts())
            await pilot.press("D")
            await until(pilot, lambda: isinstance(app.screen, DifferenceScreen))
            await shows(pilot, "+ ", "- ", "in common")
            for key, (one, other) in (("1", "AB"), ("2", "AC"), ("3", "BC")):
                await pilot.press(key)
                count = compare(said[one], said[other]).in_common
                told = f" {one}  -  {other}  +   {count} sentence"
                await until(pilot, lambda told=told: told in screen_text(pilot).replace("  +  ", "  +  "))
            assert not told_by(screen_text(pilot))
            await pilot.press("D")
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)


# Keys that are closed


async def test_a_closed_key_says_why_once_and_the_letter_behind_it_is_no_vote(tmp_path):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await ask(pilot)
            now = [0.0]
            app.screen.closed = ClosedKeys(lambda: now[0])
            await pilot.press(*"ha")
            await shows(pilot, "Sealed until you have voted.")
            await pilot.press(*"t")
            assert app.screen.phase is Phase.VOTING
            app.clear_notifications()
            await until(pilot, lambda: "Sealed" not in screen_text(pilot))
            await pilot.press("m")
            await pilot.pause()
            assert "Sealed" not in screen_text(pilot), "it was said"
            now[0] += QUIET_S
            await pilot.press("a")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)


async def test_who_votes_before_the_answers_are_there_is_told_when(tmp_path):
    slow = {name: Script(["word "] * 500, 0.05, info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, slow) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: app.screen.phase is Phase.ANSWERING and not app.screen.busy)
            await pilot.press("a")
            await shows(pilot, "The vote comes when all answers are here.")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_notice_covers_neither_the_box_nor_the_answers(tmp_path, size):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            app.screen.tell("A sentence of the usual length, which says what has happened.")
            await shows(pilot, "A sentence of the usual length")
            (toast,) = app.screen.query("Toast")
            assert toast.region.height == 1
            assert not toast.region.overlaps(app.screen.query_one(PromptBox).region)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            app.screen.tell("Another one.")
            await shows(pilot, "Another one.")
            for toast in app.screen.query("Toast"):
                for below in ("#panes", "#question", "#vote-bar"):
                    assert not toast.region.overlaps(app.screen.query_one(below).region)


# The mouse


async def test_a_click_on_a_pane_gives_it_the_keyboard(tmp_path):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            for pane in app.screen._row.panes:
                for part in (".pane-header", "AnswerText"):
                    app.screen.set_focus(None)
                    await pilot.click(pane.query_one(part))
                    await until(pilot, lambda pane=pane: app.focused is pane.answer)


async def test_where_one_pane_is_seen_a_click_on_a_letter_brings_another(tmp_path):
    with arena_on(tmp_path, seats=3) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(80, 24)) as pilot:
            await ask(pilot)
            await pilot.click("#seat-strip", offset=(7, 0))
            await until(pilot, lambda: [pane.display for pane in app.screen._row.panes] == [False, False, True])


@pytest.mark.parametrize(("word", "said"), [("A", "a"), ("B", "b"), ("tie", "a=b")])
async def test_a_click_on_the_vote_bar_votes(tmp_path, word, said):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(80, 24)) as pilot:
            await ask(pilot)
            bar = app.screen.query_one(VoteBar)
            await until(pilot, lambda: bar.region.height)
            at = bar.render_line(0).text.index(f" {word} ") + 1
            await pilot.click(VoteBar, offset=(at, 0))
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await shows(pilot, f"You said: {said}.")


async def test_of_three_clicks_name_the_order(tmp_path):
    with arena_on(tmp_path, seats=3) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(80, 24)) as pilot:
            await ask(pilot)
            bar = app.screen.query_one(VoteBar)
            for words in ("  C ", "backspace", "  B ", "=: as", "  A "):
                await until(pilot, lambda words=words: words in bar.render_line(0).text)
                await pilot.click(VoteBar, offset=(bar.render_line(0).text.index(words) + 2, 0))
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await shows(pilot, "You said: a=b>c.")


def test_a_copied_text_has_nothing_that_cleaning_would_change():
    (answer,) = copyables([("A", clean("a\x1b]52;c;aGk=\x07b\n\tc\u202e"))])
    assert answer.text == clean(answer.text)
