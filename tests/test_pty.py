"""The real program in a real terminal: what reaches it, what it costs, and how the program leaves it."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arena.core.text import clean
from pty_app import HOSTILE, WIDE
from pty_stage import APP, Line, Terminal, foreign

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and needs a pty")

LIVE = {"ARENA_PACE": "live", "ARENA_SCHEDULE": "together"}


def play(folder: Path, cast: str, *options: str, env=None, **how) -> Terminal:
    """The scripted program in a terminal."""
    return Terminal([sys.executable, APP, str(folder), cast, *options], env={**LIVE, **(env or {})}, **how)


def ready(terminal: Terminal) -> None:
    terminal.until(lambda: "zephyr-9b" in terminal.text)
    terminal.settle()


def ask(terminal: Terminal) -> None:
    ready(terminal)
    terminal.send("why?\r")


def voting(terminal: Terminal) -> None:
    terminal.until(lambda: "come after the vote" in terminal.text)


def states(folder: Path) -> list[tuple[str, str]]:
    """State and answers of every round in the database."""
    with sqlite3.connect(folder / "arena.db") as connection:
        return connection.execute(
            "SELECT state, coalesce((SELECT group_concat(text) FROM answers WHERE round = rounds.id), '') FROM rounds"
        ).fetchall()


def leave_by(terminal: Terminal, number: signal.Signals) -> int:
    terminal.signal(number)
    return terminal.wait()


# What reaches the terminal


def test_a_round_is_played_and_the_terminal_is_as_it_was(tmp_path):
    with play(tmp_path, "short") as terminal:
        ask(terminal)
        voting(terminal)
        terminal.send("b")
        terminal.until(lambda: "You said: b" in terminal.text)
        assert terminal.mode(1049)
        terminal.send("q")
        assert terminal.wait() == 0
        assert terminal.restored
        assert terminal.foreign == []


@pytest.mark.parametrize("env", [{}, {"TMUX": "none,1,0"}], ids=["terminal", "multiplexer"])
def test_nothing_a_model_says_is_a_command_to_the_terminal(tmp_path, env):
    with play(tmp_path, "hostile", env=env) as terminal:
        ask(terminal)
        voting(terminal)
        terminal.settle()
        terminal.send("b")
        terminal.until(lambda: "You said" in terminal.text)
        assert terminal.foreign == []
        assert terminal.mode(1049)


def clipboards(terminal: Terminal) -> list[str]:
    """What the program has put into the terminal's clipboard (OSC 52)."""
    return [base64.b64decode(found).decode() for found in re.findall(rb"\x1b\]52;c;([^\x07]*)\x07", terminal.raw)]


@pytest.mark.parametrize("options", [(), ("--stock",)], ids=["differences", "stock"])
def test_the_clipboard_gets_what_the_user_copies_and_nothing_else(tmp_path, options):
    with play(tmp_path, "hostile", *options) as terminal:
        ready(terminal)
        terminal.send("cut\x1b[H\x1b[1;2F\x18")  # in the box: Home, Shift+End, Ctrl+X
        terminal.until(lambda: "Ask them all" in terminal.text)
        ask(terminal)
        voting(terminal)
        assert clipboards(terminal) == []
        terminal.send("1")
        terminal.settle()
        terminal.send("y")
        terminal.until(lambda: "characters copied" in terminal.text)
        terminal.settle()
        assert clipboards(terminal) == [clean(HOSTILE)]
        if not options:
            copied = base64.b64encode(clean(HOSTILE).encode())
            rest = bytes(terminal.raw).replace(b"\x1b]52;c;" + copied + b"\x07", b"")
            assert foreign(rest.decode("utf-8", "replace")) == []


def test_what_terminals_count_differently_shifts_no_border(tmp_path):
    with play(tmp_path, "wide", size=(100, 30)) as terminal:
        ask(terminal)
        voting(terminal)
        terminal.settle()
        rows = [row for row in range(30) if "가족" in terminal.lines[row]]
        assert rows
        for row in rows:
            cells = terminal.screen.buffer[row]
            assert [cells[x].data for x in (1, 49, 50, 98)] == ["│"] * 4
        assert WIDE.split()[-1] in terminal.text


def test_arena_sends_a_fraction_of_what_textual_would(tmp_path):
    sent, first = [], []
    for options in ((), ("--stock",)):
        folder = tmp_path / f"f{len(sent)}"
        folder.mkdir()
        with play(folder, "stream", *options, env={"TEST_TOKENS": "150"}) as terminal:
            ready(terminal)
            first.append(terminal.written)
            terminal.send("why?\r")
            voting(terminal)
            terminal.settle()
            sent.append(terminal.written - first[-1])
            text = terminal.text
        assert "come after the vote" in text
    assert first[0] * 4 < first[1]
    assert sent[0] * 4 < sent[1]


def test_a_line_that_never_answers_still_gets_frames(tmp_path):
    with play(tmp_path, "stream", env={"TEST_TOKENS": "100"}, answers=False) as terminal:
        ask(terminal)
        voting(terminal)
        assert bytes(terminal.raw).count(b"?2026$p") == 1, "Textual's own question"
        assert not terminal.mode(2026)


def test_on_a_slow_line_a_key_is_heard_sooner_than_with_textuals_own_output(tmp_path):
    reactions = []
    for options in ((), ("--stock",)):
        folder = tmp_path / f"f{len(reactions)}"
        folder.mkdir()
        line = Line(bytes_a_second=20_000, one_way_s=0.05)
        with play(folder, "stream", *options, env={"TEST_TOKENS": "5000"}, line=line) as terminal:
            ask(terminal)
            terminal.until(lambda: terminal.text.count("scheduler") > 3)
            begun = time.monotonic()
            while time.monotonic() - begun < 1.5:  # long enough for a queue to build up
                terminal.pump()
            pressed = time.monotonic()
            terminal.send("?")
            reacted = lambda terminal=terminal: "go to an answer" in terminal.text  # noqa: E731
            if options:  # no need to wait for the end of it
                with contextlib.suppress(AssertionError):
                    terminal.until(reacted, 2 * reactions[0])
            else:
                terminal.until(reacted, 60)
            reactions.append(time.monotonic() - pressed)
    assert reactions[0] < reactions[1]


def test_a_slow_line_is_noticed_and_fewer_frames_are_offered_once(tmp_path):
    line = Line(one_way_s=0.3)
    with play(tmp_path, "stream", env={"TEST_TOKENS": "1000"}, line=line) as terminal:
        ask(terminal)
        terminal.until(lambda: "This line is slow" in terminal.text)


# Another program on the terminal


def test_a_repaint_brings_everything_back(tmp_path):
    with play(tmp_path, "short") as terminal:
        ready(terminal)
        before = terminal.text
        for ask_for_it in (lambda: terminal.send("\x0c"), lambda: terminal.signal(signal.SIGWINCH)):
            terminal.scribble("\x1b[10;1HBroadcast message from root\x1b[20;1Hgarbage")
            assert terminal.text != before
            ask_for_it()  # Ctrl+L; and somebody attached from elsewhere, at the same size
            terminal.until(lambda: terminal.text == before)


def test_suspended_and_back_in_the_foreground(tmp_path):
    with play(tmp_path, "short") as terminal:
        ready(terminal)
        terminal.send("\x1b")
        terminal.settle()
        before = terminal.text
        terminal.send("\x1a")
        terminal.until(lambda: terminal.stop_state() == "T")
        terminal.pump(0.2)
        assert terminal.restored
        terminal.scribble("\x1b[2J\x1b[1;1H$ make\r\n")
        terminal.signal(signal.SIGCONT)
        terminal.until(lambda: terminal.text == before)
        assert terminal.mode(1049)
        terminal.send("q")
        assert terminal.wait() == 0


def test_a_storm_of_resizes_ends_with_a_whole_picture(tmp_path):
    with play(tmp_path, "short", size=(120, 36)) as terminal:
        ready(terminal)
        before = terminal.text
        for columns in range(80, 120, 4):
            terminal.resize(columns, 30)
            terminal.pump()
        terminal.resize(120, 36)
        terminal.until(lambda: terminal.text == before)


# Leaving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_restores_the_terminal_and_leaves(tmp_path, number):
    with play(tmp_path, "stream", env={"TEST_TOKENS": "5000"}) as terminal:
        ask(terminal)
        terminal.until(lambda: "scheduler" in terminal.text)
        assert leave_by(terminal, number) == 128 + number
        assert terminal.restored
    ((state, answers),) = states(tmp_path)
    assert state == "generating"
    assert answers.count("The scheduler") == 3, "what was said so far is kept"
    with play(tmp_path, "short") as terminal:
        terminal.until(lambda: "interrupted the last time" in terminal.text)


def test_a_dropped_line_saves_and_leaves(tmp_path):
    with play(tmp_path, "stream", env={"TEST_TOKENS": "5000"}) as terminal:
        ask(terminal)
        terminal.until(lambda: "scheduler" in terminal.text)
        terminal.hang_up()
        assert terminal.process.wait(20) == 128 + signal.SIGHUP
    assert states(tmp_path)[0][1].count("The scheduler") == 3


def test_a_terminal_that_vanishes_while_hangups_are_ignored_ends_the_program(tmp_path):
    with play(tmp_path, "stream", env={"TEST_TOKENS": "5000"}, ignores_hangup=True) as terminal:
        ask(terminal)
        terminal.until(lambda: "scheduler" in terminal.text)
        terminal.hang_up()
        assert terminal.process.wait(20) == 128 + signal.SIGHUP
    assert states(tmp_path)[0][1].count("The scheduler") == 3


def test_a_line_that_stands_still_holds_up_neither_the_models_nor_the_end(tmp_path):
    with play(tmp_path, "stream", env={"TEST_TOKENS": "400"}) as terminal:
        ask(terminal)
        terminal.until(lambda: "scheduler" in terminal.text)
        terminal.line.stalled = True
        terminal.until(lambda: states(tmp_path)[0][0] == "ready")  # the round is played and stored all the same
        assert leave_by(terminal, signal.SIGTERM) == 128 + signal.SIGTERM


def test_a_crash_restores_the_terminal(tmp_path):
    with play(tmp_path, "short", env={"TEST_CRASH": "1"}) as terminal:
        assert terminal.wait() != 0
        assert terminal.restored
        assert "it broke" in bytes(terminal.raw).decode()


@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_program(number):
    psutil = pytest.importorskip("psutil")
    pytest.importorskip("llama_cpp")
    with Terminal([sys.executable, "-m", "arena"]) as terminal:
        children: list[psutil.Process] = []
        terminal.until(lambda: children.extend(psutil.Process(terminal.process.pid).children()) or children, 60)
        terminal.signal(number)
        terminal.process.wait(20)
        _, alive = psutil.wait_procs(children, 10)
        assert alive == []


# Kinds of terminals


@pytest.mark.parametrize(
    ("env", "colours"),
    [
        ({"COLORTERM": "truecolor"}, {"true"}),
        ({}, {"256"}),
        ({"TEXTUAL_COLOR_SYSTEM": "bogus"}, {"256"}),
        ({"TERM": "linux"}, {"16"}),
        ({"TERM": None}, {"16"}),
        ({"NO_COLOR": "1"}, set()),
        ({"NO_COLOR": ""}, {"256"}),
    ],
    ids=["truecolor", "256", "bogus", "linux", "none", "no colour", "empty NO_COLOR"],
)
def test_colours_are_those_of_the_terminal(tmp_path, env, colours):
    with play(tmp_path, "short", env=env) as terminal:
        ready(terminal)
        assert terminal.colours == colours
        cells = [cell for row in terminal.screen.buffer.values() for cell in row.values() if cell.data.strip()]
        assert not [cell for cell in cells if cell.fg == cell.bg != "default"], "a letter that nobody can see"


def test_where_nothing_can_be_drawn_nothing_is(tmp_path):
    with play(tmp_path, "short", env={"TERM": "dumb"}) as terminal:
        assert terminal.wait() == 1
        assert b"\x1b[?1049h" not in terminal.raw
        assert "arena run" in terminal.text


def test_detached_from_tmux_and_attached_again(tmp_path):
    tmux = ["tmux", "-L", f"arena-{os.getpid()}", "-f", "/dev/null"]
    try:
        subprocess.run([*tmux, "-V"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no tmux here")
    command = f"{sys.executable} {APP} {tmp_path} short"
    try:
        with Terminal([*tmux, "new", "-x", "120", "-y", "36", command], size=(120, 36)) as terminal:
            ready(terminal)
            before = terminal.text
            subprocess.run([*tmux, "detach-client"], check=True)
            assert terminal.wait() == 0
        with Terminal([*tmux, "attach"], size=(120, 36)) as terminal:
            terminal.until(lambda: terminal.text == before)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
