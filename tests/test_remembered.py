"""What the screens were set to: kept between starts, weaker than every setting, and never a reason not to start."""

from __future__ import annotations

import stat

import pytest

from arena.config import load
from arena.core.rounds import Pace
from arena.remembered import keep, read
from arena.tui.app import ArenaApp
from stage import NAMES, arena_on, screen_text, until


def test_what_was_chosen_counts_until_something_is_set(tmp_path):
    path = load(environ={}).state_file
    keep(path, {"pace": "whole", "seats": 3})
    keep(path, {"theme": "arena-light"})
    found = load(environ={}, screens=True)
    assert (found.theme, found.pace, found.seats, found.note) == ("arena-light", Pace.WHOLE, 3, "")
    assert load(environ={}).pace is Pace.EVEN, "commands without a screen are not told"
    config = tmp_path / "c.toml"
    config.write_text('pace = "live"\n')
    found = load(config, environ={"ARENA_SEATS": "2"}, screens=True)
    assert (found.pace, found.seats, found.theme) == (Pace.LIVE, 2, "arena-light")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "\x00", '{"seats": 7}', '{"pace": ["even"]}', '{"theme": 3}', "[" * 100_000]
)
def test_a_broken_file_is_left_out_with_a_sentence(text):
    path = load(environ={}).state_file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = load(environ={}, screens=True)
    assert (found.theme, found.pace, found.seats) == ("auto", Pace.EVEN, 2)
    assert "screens.json" in found.note
    keep(path, {"seats": 3})
    assert read(path)[1] == ""


def test_it_is_the_users_alone_and_a_disk_that_refuses_it_stops_nothing(tmp_path):
    path = tmp_path / "state" / "arena" / "screens.json"
    keep(path, {"theme": "arena-16"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in path.parents[:2]} == {0o700}
    assert [each.name for each in path.parent.iterdir()] == ["screens.json"]
    (tmp_path / "file").write_text("in the way")
    keep(tmp_path / "file" / "screens.json", {"theme": "arena-16"})


async def test_theme_pace_and_seats_chosen_on_the_screen_are_kept(tmp_path):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "zephyr-9b" in screen_text(pilot))
            assert not arena.settings.state_file.exists()
            app.theme = "arena-contrast-dark"
            await pilot.press("escape", "e", "m")
            await until(pilot, lambda: "Contestants" in screen_text(pilot))
            await pilot.press("3", "enter")
            await until(pilot, lambda: "Contestants" not in screen_text(pilot))
            expected = {"theme": "arena-contrast-dark", "pace": "live", "seats": 3}
            await until(pilot, lambda: read(arena.settings.state_file) == (expected, ""))


async def test_what_could_not_be_read_is_said_on_the_screen(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES, notes=["The file is broken."]).run_test(
            size=(120, 40), notifications=True
        ) as pilot:
            await until(pilot, lambda: "The file is broken." in screen_text(pilot))
