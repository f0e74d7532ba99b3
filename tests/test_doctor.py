"""`arena doctor`: what is wrong, and what to do about it, a line each."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace

import pytest

from arena.cli.doctor import examine
from arena.tui import keymap
from stage import arena_on


@pytest.fixture(autouse=True)
def well(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.__stderr__", open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    yield
    keymap.use({})


def faults(folder, **settings) -> list[str]:
    with arena_on(folder) as arena:
        arena.settings = replace(arena.settings, **settings)
        return [found.text for found in examine(arena) if not found.good]


def test_nothing_is_wrong_with_a_machine_that_is_well(tmp_path):
    assert faults(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"theme": "arena-drak"}, "There is no theme 'arena-drak'. arena's own: arena-dark, "),
        ({"keys": {"vote.a": "q"}}, "'vote.a' and 'go.quit' are both on 'q'. Give one another key."),
    ],
)
def test_a_setting_of_the_screens_that_is_off_is_named(settings, says, tmp_path):
    (told,) = faults(tmp_path, **settings)
    assert says in told


def test_a_terminal_that_cannot_draw_is_told_what_to_use_instead(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert faults(tmp_path) == ["TERM=dumb can't draw a screen. Use another terminal, or `arena run`."]


def test_a_disk_without_room_is_told(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    (told,) = faults(tmp_path)
    assert "votes could not be stored" in told


def test_what_is_no_fault_is_told_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("TMUX", "here")
    with arena_on(tmp_path) as arena:
        arena.settings = replace(arena.settings, keys={"vote.a": "ctrl+b"}, note="The file is broken.", ascii=True)
        found = examine(arena)
    assert all(one.good for one in found)
    text = "\n".join(one.text for one in found)
    assert "ctrl+b (vote.a) is the prefix of tmux" in text
    assert "The file is broken." in text
    assert "ASCII borders" in text
