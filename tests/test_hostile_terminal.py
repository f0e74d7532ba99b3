"""The whole corpus through the real program in a real terminal: no byte is a stranger's, and keys are heard."""

from __future__ import annotations

import re
import sys
import time
import unicodedata

import pytest

from hostile_corpus import LARGE, SMALL
from hostile_world import hostile_database, hostile_packs
from pty_stage import APP, KNOWN, Terminal

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and needs a pty")
LIVE = {"ARENA_PACE": "live", "ARENA_SCHEDULE": "together"}
_NUMBER = re.compile(r"\b1[0-4]\d\d\b")
_JOINERS = "\u200c\u200d"


def unseen(terminal: Terminal) -> set[str]:
    """Characters besides arena's own sequences that a terminal obeys, or that nobody sees."""
    said = KNOWN.sub("", bytes(terminal.raw).decode("utf-8", "strict"))
    return {
        f"U+{ord(each):04X}"
        for each in set(said) - set(_JOINERS)
        if unicodedata.category(each) in ("Cc", "Cs") or (unicodedata.category(each) == "Cf" and each != "\U000110bd")
    }


def page_through(terminal: Terminal, pages: int, key: str = "\x1b[6~") -> set[str]:
    """Go down page by page until nothing changes. Returns the numbers of the texts that were on the screen."""
    seen: set[str] = set()
    for _ in range(pages):
        before = terminal.text
        seen |= set(_NUMBER.findall(before))
        terminal.send(key)
        terminal.settle(0.25)
        if terminal.text == before:
            break
    return seen


def test_nothing_of_the_corpus_is_a_command_to_the_terminal(tmp_path):
    hostile_database(tmp_path / "arena.db")
    hostile_packs(tmp_path / "home" / "xdg_config_home" / "arena" / "prompts")
    with Terminal([sys.executable, APP, str(tmp_path), "corpus"], env=LIVE, size=(160, 50)) as terminal:
        terminal.until(lambda: "zephyr-9b" in terminal.text, 60)
        terminal.send("why?\r")
        terminal.until(lambda: "come after the vote" in terminal.text, 60)
        numbers = set()
        for pane in "12":
            terminal.send(pane)
            terminal.settle()
            terminal.send("g")
            terminal.settle()
            numbers |= page_through(terminal, 60)
        assert len(numbers) > 0.45 * len(SMALL), "the answers were looked at"
        terminal.send("a")
        terminal.until(lambda: "You said: a" in terminal.text)
        terminal.send("d")
        terminal.settle()
        for pane in "12":
            terminal.send(pane)
            terminal.settle()
            terminal.send("g")
            terminal.settle()
            numbers |= page_through(terminal, 60)
        assert len(numbers) > 0.9 * len(SMALL), "so were the thoughts"
        terminal.send("h")  # names, notes and errors of what is stored
        terminal.until(lambda: "1000" in terminal.text)
        page_through(terminal, 12)
        terminal.send("\x1b")
        terminal.settle()
        terminal.send("l")
        terminal.settle()
        for view in "1234":
            terminal.send(view)
            terminal.settle()
            page_through(terminal, 4)
        terminal.send("\x1b")
        terminal.settle()
        terminal.send("p")
        terminal.until(lambda: "searches" in terminal.text)
        page_through(terminal, 40)
        assert terminal.process.poll() is None
        assert terminal.foreign == []
        assert unseen(terminal) == set()


@pytest.mark.parametrize(
    "name", ["a megabyte of letters", "a megabyte of paragraphs", "a megabyte of images", "2,000 columns"]
)
def test_a_key_is_heard_while_a_large_answer_comes(tmp_path, name):
    assert name in LARGE
    with Terminal([sys.executable, APP, str(tmp_path), "large"], env=LIVE | {"TEST_LARGE": name}) as terminal:
        terminal.until(lambda: "zephyr-9b" in terminal.text, 60)
        terminal.send("why?\r")
        terminal.until(lambda: re.search(r"90\d\d", terminal.text), 60)
        pressed = time.monotonic()
        terminal.send("?")
        terminal.until(lambda: "ask all contestants" in terminal.text)
        assert time.monotonic() - pressed < 10, "on a machine that does something else as well"
        assert terminal.foreign == []
