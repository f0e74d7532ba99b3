"""Keys of the config: what they may be, what they clash with, and that the screens follow them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace

import pytest
from click.testing import CliRunner
from textual.dom import DOMNode

from arena.cli import commands
from arena.config import load
from arena.core.errors import UsageError
from arena.tui import keymap, keys, terminal
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.help import HelpScreen
from stage import NAMES, arena_on, screen_text, until


@pytest.fixture(autouse=True)
def own_keys():
    yield
    keymap.use({})


def test_every_binding_has_a_name_of_its_own():
    names = defaultdict(set)
    for binding in keys.all_bindings():
        assert binding.id, binding
        names[binding.id].add((binding.action, binding.description))
    assert all(len(meant) == 1 for meant in names.values())


def test_every_screen_and_widget_with_keys_is_known():
    def below(kind):
        yield kind
        for sub in kind.__subclasses__():
            yield from below(sub)

    binding = {kind for kind in below(DOMNode) if kind.__module__.startswith("arena.tui.") and "BINDINGS" in vars(kind)}
    known = {kind for group in keys._TOGETHER for kind in group}
    assert {kind for kind in binding if kind.BINDINGS} == known


def test_no_key_is_the_prefix_of_a_multiplexer_or_stops_a_terminal():
    assert keys.warnings({"TMUX": "here", "STY": "here"}) == []


def test_the_defaults_clash_nowhere_but_where_a_pane_in_focus_finds():
    assert keys.clashes() == {("pane.find", "answer.find", "slash"), ("history.search", "answer.find", "slash")}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"vote.a": "1"}, "'vote.a' and 'pane.a' are both on '1'. Give one another key."),
        ({"vote.aa": "1"}, "nothing is called 'vote.aa'. Did you mean vote.a?"),
        ({"vote.tie": "h", "go.history": "t"}, None),
        ({"vote.skip": "h"}, None),
        ({"vote.a": "q"}, "'vote.a' and 'go.quit' are both on 'q'"),
        ({"vote.a": "f1"}, "'vote.a' and 'app.help' are both on 'f1'"),
        ({"text.down": "b"}, "'text.down' and 'vote.b' are both on 'b'|'vote.b' and 'text.down' are both on 'b'"),
        ({"prompt.send": "s"}, "'prompt.send' can't be on 's'. A letter is text there."),
        ({"prompt.example": "space"}, "'prompt.example' can't be on 'space'"),
        ({"vote.a": "entr"}, "'vote.a' can't be on 'entr'"),
        ({"vote.a": ""}, "'vote.a' can't be on ''"),
        ({"picker.two": "3"}, "are both on '3'"),
    ],
)
def test_a_table_of_keys_is_taken_or_refused_in_one_sentence(table, says):
    if says is None:
        keys.take(table)
        return
    with pytest.raises(UsageError) as caught:
        keys.take(table)
    assert any(one in str(caught.value) for one in says.split("|"))
    assert {binding.key for binding in keys.all_bindings() if binding.id == "vote.a"} == {"a"}


def test_a_key_that_a_multiplexer_keeps_is_warned_of():
    keys.take({"vote.a": "ctrl+b", "vote.b": "ctrl+s"})
    (prefix, flow) = keys.warnings({"TMUX": "here"})
    assert prefix.startswith("ctrl+b (vote.a) is the prefix of tmux")
    assert flow.startswith("ctrl+s (vote.b) stops the output")


def test_the_table_comes_from_the_config_and_a_fault_in_it_from_the_program(tmp_path, monkeypatch):
    path = tmp_path / "c.toml"
    path.write_text('[keys]\n"vote.a" = "f6"\n"vote.tie" = "7,8"\n')
    assert load(path, environ={}).keys == {"vote.a": "f6", "vote.tie": "7,8"}
    path.write_text("[keys]\n'vote.a' = 1\n")
    with pytest.raises(UsageError, match=r"line 2: vote\.a must be text"):
        load(path, environ={})
    path.write_text('[keys]\n"vote.a" = "q"\n')
    monkeypatch.setattr(terminal, "check_terminal", lambda: None)
    done = CliRunner().invoke(commands.main_group, ["--config", str(path), "--db", str(tmp_path / "arena.db")])
    assert "both on 'q'" in str(done.exception)


async def test_a_round_is_played_on_other_keys_and_help_names_them(tmp_path):
    keys.take({"vote.a": "f6", "prompt.send": "f7", "round.new": "f8,9"})
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "zephyr-9b" in screen_text(pilot))
            await pilot.press(*"why", "f7")
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            await pilot.press("a")
            assert "f6 A" in screen_text(pilot)
            assert app.screen.phase is Phase.VOTING
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            await pilot.pause()
            here = screen_text(pilot).partition("Here and now")[2].partition("A round")[0]
            assert re.search(r"f6 +A ", here)
            assert "Next" not in here
            await pilot.press("escape", "f6")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await pilot.press("9")
            await until(pilot, lambda: app.screen.phase is Phase.ASKING)


def test_settings_without_keys_leave_them_as_they_are():
    assert replace(load(environ={})).keys == {}
