"""What the environment says of the terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from arena.cli import commands
from arena.tui import terminal


@pytest.mark.parametrize(
    ("env", "otherwise"),
    [
        ({}, False),
        ({"TMUX": "somewhere,1,0"}, True),
        ({"STY": "1.pts"}, True),
        ({"TERM": "screen-256color"}, True),
        ({"TERM": "tmux-256color"}, True),
    ],
    ids=str,
)
def test_a_multiplexer_is_known_by_its_variables(env, otherwise, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(terminal, "_runs_in", lambda _: False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert terminal.counts_otherwise() is otherwise


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_mosh_is_known_by_the_program_that_started_this_one():
    parent = Path(f"/proc/{os.getppid()}/comm").read_text("utf-8").strip()
    assert terminal._runs_in(parent)
    assert not terminal._runs_in("mosh-server-that-is-not-there")


def test_tmux_erases_in_colour_though_its_terminfo_does_not_say_so(monkeypatch):
    monkeypatch.setenv("TMUX", "somewhere,1,0")
    assert terminal.erases_in_color()


@pytest.mark.parametrize(("set_to", "kept"), [("256", "256"), ("truecolor", "truecolor"), ("bogus", None)])
def test_a_colour_system_that_does_not_exist_is_not_handed_on(set_to, kept, monkeypatch):
    monkeypatch.setenv("TEXTUAL_COLOR_SYSTEM", set_to)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TEXTUAL_FPS", "30")
    monkeypatch.setenv("TEXTUAL_DISABLE_KITTY_KEY", "1")
    monkeypatch.setattr(terminal, "_is_terminal", lambda _: True)
    terminal.check_terminal()
    assert os.environ.get("TEXTUAL_COLOR_SYSTEM") == kept


@pytest.mark.parametrize("words", [["--slow-link"], []], ids=" ".join)
def test_a_slow_line_can_be_said_on_the_command_line(words, monkeypatch):
    seen = []
    monkeypatch.setattr(commands, "show_ui", lambda arena, *_, **__: seen.append(arena.settings.slow_link))
    assert CliRunner().invoke(commands.main_group, words).exit_code == 0
    assert seen == ["--slow-link" in words]
