"""What the screens look like: themes, the terminal's own colours, and signs for terminals without Unicode."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from textual.color import Color

from arena.tui import app as app_module
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.signs import ASCII
from arena.tui.terminal import draws_ascii_only, has_few_colors
from arena.tui.theme import CONTRAST_DARK, CONTRAST_LIGHT, DARK, LIGHT, SIXTEEN, THEMES
from arena.tui.widgets.answer_pane import AnswerPane
from pty_stage import Terminal
from stage import NAMES, arena_on, screen_text, until

TUI = Path(app_module.__file__).parent
_NOT_DRAWN = {"last_mile.py", "clusters.py", "differences.py"}
"""They know characters in order to take them out, to measure or to find them."""


def contrast(ink: str, paper: str) -> float:
    """The ratio of WCAG 2: 1 to 21."""

    def light(code: str) -> float:
        parts = (part / 255 for part in Color.parse(code).rgb)
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(ink), light(paper)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("theme", "least"), [(DARK, 4.5), (LIGHT, 4.5), (CONTRAST_DARK, 7.0), (CONTRAST_LIGHT, 7.0)])
def test_what_is_written_stands_out_from_its_ground(theme, least):
    inks = (theme.foreground, theme.primary, theme.accent, theme.warning, theme.error, theme.success)
    for paper in (theme.background, theme.surface):
        for ink in (*inks, theme.variables["text-muted"]):
            assert contrast(ink, paper) >= least, (ink, paper)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
async def test_the_pane_in_focus_differs_without_a_colour(theme, tmp_path):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(100, 30)) as pilot:
            app.theme = theme.name
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why", "enter")
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            await pilot.press("1")
            await until(pilot, lambda: app.screen.query(AnswerPane).first().has_focus_within)
            borders = {pane.styles.border_top[0] for pane in app.screen.query(".pane")}
            assert len(borders) == 2


def test_every_sign_that_is_drawn_has_one_in_ascii():
    missing = {}
    for path in TUI.rglob("*.py"):
        texts = [node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
        drawn = {sign for text in texts if isinstance(text, str) for sign in text if not sign.isascii()}
        if path.name not in _NOT_DRAWN and (left := {sign for sign in drawn if ord(sign) not in ASCII}):
            missing[path.name] = left
    assert not missing, "signs.py has nothing for them"


async def test_all_screens_can_be_drawn_in_ascii(tmp_path):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES, ascii_only=True)
        async with app.run_test(size=(140, 40)) as pilot:
            drawn = []

            async def looks_plain() -> None:
                await pilot.pause()
                drawn.append(screen_text(pilot))
                assert drawn[-1].isascii(), {sign for sign in drawn[-1] if not sign.isascii()}

            await until(pilot, lambda: "zephyr-9b" in screen_text(pilot))
            await looks_plain()
            await pilot.press(*"why", "enter")
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            await looks_plain()
            await pilot.press("a")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await looks_plain()
            for key in ("m", "p", "h", "question_mark", "ctrl+o", "l"):
                await pilot.press(key)
                await looks_plain()
                if key != "l":
                    await pilot.press("escape")
            for key in "2345":
                await pilot.press(key)
                await looks_plain()
            assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(
    ("term", "plain", "few"),
    [
        ("linux", True, True),
        ("vt100", True, True),
        ("xterm-256color", False, False),
        ("screen-256color", False, False),
        ("xterm", False, True),
        ("xterm-kitty", False, False),
    ],
)
def test_the_name_of_a_terminal_says_what_it_can_draw(term, plain, few, monkeypatch):
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("COLORTERM", raising=False)
    assert (draws_ascii_only(), has_few_colors()) == (plain, few)
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert not has_few_colors()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a pty")
@pytest.mark.parametrize(
    ("term", "options", "plain"), [("linux", [], True), ("xterm-256color", ["--ascii"], True), ("xterm", [], False)]
)
def test_a_terminal_is_drawn_on_with_what_it_has(term, options, plain, tmp_path):
    command = [sys.executable, "-m", "arena", "--db", str(tmp_path / "arena.db"), *options]
    with Terminal(command, env={"TERM": term}, size=(100, 30)) as terminal:
        terminal.until(lambda: "Enter" in terminal.text)
        terminal.settle()
        assert terminal.text.isascii() is plain
        colors = {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()}
        assert any(len(color) == 6 and color.isalnum() and color != "yellow" for color in colors) is (
            term == "xterm-256color"
        )
        terminal.send("\x03")
        assert terminal.wait() == 0


def test_the_sixteen_colours_are_those_of_the_terminal():
    named = (SIXTEEN.primary, SIXTEEN.accent, SIXTEEN.error, SIXTEEN.background, *SIXTEEN.variables.values())
    assert all("#" not in str(color) for color in named)


@pytest.mark.parametrize("letters", range(75, 78))
async def test_a_notice_is_shown_to_its_last_word_at_any_length(letters, tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(80, 24), notifications=True) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            pilot.app.screen.tell(("a few words " * 10)[: letters - 6].strip().ljust(letters - 6, ".") + " whole")
            await until(pilot, lambda: "whole" in screen_text(pilot))
