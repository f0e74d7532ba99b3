"""Stories of asking: system message and samplers, variables of a pack, the user's own editor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from arena.core.adjusting import adjusted, differing
from arena.core.errors import ArenaError, UsageError
from arena.core.models import Sampling
from arena.core.prompts import Prompt
from arena.tui.app import ArenaApp
from arena.tui.editor import edited
from arena.tui.phases import Phase
from arena.tui.screens.form import VariablesScreen
from arena.tui.screens.prompts import PromptsScreen
from arena.tui.screens.settings import SettingsScreen
from arena.tui.widgets.prompt_box import PromptBox
from stage import NAMES, arena_on, screen_text, until

SIZES = [(80, 24), (160, 45)]
PACK = """
title = "Mine"
[[prompts]]
title = "Translate"
system = "You translate into {{ language }}."
text = "Say '{{text}}' in {{language}}, not in {{text}}."
[[prompts]]
title = "Plain"
text = "No variables {here}, {{ 1x }}."
"""


async def asking(pilot):
    await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
    await until(pilot, lambda: "zephyr" in screen_text(pilot))
    return pilot.app.screen


async def fill(pilot, name: str, text: str):
    """Write on that line of a form."""
    lines = list(pilot.app.screen.query("Input"))
    lines[[field.name for field in pilot.app.screen._fields].index(name)].focus()
    await pilot.press("end", "ctrl+u", *text)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_system_message_and_samplers_hold_for_the_rounds_to_come(tmp_path, size):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=size) as pilot:
            screen = await asking(pilot)
            assert "Not as usual" not in screen_text(pilot)
            await pilot.press("escape", "S")
            await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
            await fill(pilot, "system", "Be brief.")
            await fill(pilot, "temperature", "0")
            await fill(pilot, "max_tokens", "none")
            await pilot.press("enter")
            await until(pilot, lambda: "max_tokens can't be 'none'" in screen_text(pilot))
            await fill(pilot, "max_tokens", "99")
            await pilot.press("enter")
            await until(pilot, lambda: "temperature=0, max_tokens=99, system: Be brief." in screen_text(pilot))
            await pilot.press("i", *"why?", "enter")
            await until(pilot, lambda: screen.phase is Phase.VOTING)
            record = arena.peek(screen.live.view.id).result()
            assert record.round.prompt.system == "Be brief."
            assert (record.round.sampling.temperature, record.round.sampling.max_tokens) == (0.0, 99)
            assert dict(record.round.seats[0].contestant.sampler)["temperature"] == 0.0
            screen.enter(Phase.ASKING)
            await pilot.press("escape", "h")
            await until(pilot, lambda: "system: Be brief." in screen_text(pilot))
            assert "temperature=0" in screen_text(pilot)
            assert "seed" not in screen_text(pilot), "every round has one of its own"
            await pilot.press("escape", "S")
            await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
            for name in ("system", "temperature", "max_tokens"):
                await fill(pilot, name, "")
            await pilot.press("enter")
            await until(pilot, lambda: pilot.app.screen is screen and "Not as usual" not in screen_text(pilot))
            assert arena.sampling == arena.settings.sampling


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0", 0.0),
        ("top_k", " 20 ", 20),
        ("context", "8192", 8192),
        ("seed", "2147483647", 2147483647),
        ("max_tokens", "1", 1),
    ],
)
def test_a_setting_is_read_as_it_is_typed(name, text, value):
    sampling = adjusted(Sampling(), name, text)
    assert getattr(sampling, name) == value
    assert type(getattr(sampling, name)) is type(getattr(Sampling(), name))
    assert differing(sampling, Sampling()) == [f"{name}={text.strip()}"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("temperature", "hot"), ("top_p", "2"), ("top_k", "1.5"), ("seed", "-1"), ("max_tokens", "0"), ("context", "1e9"),
     ("seed", "9" * 5000), ("temperature", "nan"), ("max_tokens", "٣")],
)  # fmt: skip
def test_a_setting_that_can_not_be_is_refused(name, text):
    with pytest.raises(UsageError, match=name):
        adjusted(Sampling(), name, text)


def test_variables_are_named_once_and_never_read_in_what_is_filled_in():
    prompt = Prompt("{{a}} {{ b }} {{a}} {{not here}} {{}} {c} {{이름}}", system="{{s}}")
    assert prompt.variables == ("a", "b", "이름", "s")
    filled = prompt.filled({"a": "{{b}}", "b": "\\1", "이름": "민수", "s": "brief"})
    assert filled.text == "{{b}} \\1 {{b}} {{not here}} {{}} {c} 민수"
    assert filled.system == "brief"
    assert Prompt("plain").variables == ()


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_variables_of_a_prompt_are_asked_for_and_remembered(tmp_path, size):
    with arena_on(tmp_path) as arena:
        folder = arena.settings.prompts_folder
        folder.mkdir(parents=True)
        (folder / "mine.toml").write_text(PACK, "utf-8")
        async with ArenaApp(arena, NAMES[:2]).run_test(size=size) as pilot:
            screen = await asking(pilot)
            for language, before in (("Korean", ""), ("French", "Korean")):
                await pilot.press("escape", "p")
                await until(pilot, lambda: isinstance(pilot.app.screen, PromptsScreen))
                await pilot.press("slash", *"translate", "enter", "enter")
                await until(pilot, lambda: isinstance(pilot.app.screen, VariablesScreen))
                assert pilot.app.screen.values["language"] == before
                await fill(pilot, "text", "hello")
                await fill(pilot, "language", language)
                await pilot.press("enter")
                box = screen.query_one(PromptBox)
                wanted = f"Say 'hello' in {language}, not in hello."
                await until(pilot, lambda: pilot.app.screen is screen and box.text == wanted)  # noqa: B023
            await pilot.press("enter")
            await until(pilot, lambda: screen.phase is Phase.VOTING)
            assert screen.live.view.prompt.system == "You translate into French."
            assert screen.live.view.prompt.slug == "mine/translate"


async def test_a_faulty_pack_is_named_above_the_others(tmp_path):
    with arena_on(tmp_path) as arena:
        folder = arena.settings.prompts_folder
        folder.mkdir(parents=True)
        (folder / "mine.toml").write_text("title = [", "utf-8")
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(80, 24)) as pilot:
            await asking(pilot)
            await pilot.press("escape", "p")
            await until(pilot, lambda: "mine.toml, line 1" in screen_text(pilot) and "general" in screen_text(pilot))
            await pilot.press("slash", *"tides zebra")
            await until(pilot, lambda: "nothing found" in screen_text(pilot))


async def test_a_prompt_with_variables_is_no_example(tmp_path):
    with arena_on(tmp_path) as arena:
        folder = arena.settings.prompts_folder
        folder.mkdir(parents=True)
        (folder / "mine.toml").write_text(PACK, "utf-8")
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        assert [prompt.title for prompt in arena.examples(infos) if prompt.slug.startswith("mine/")] == ["Plain"]


def an_editor(tmp_path: Path, body: str) -> str:
    script = tmp_path / "my editor.py"
    script.write_text(f"import os, pathlib, sys\nfile = pathlib.Path(sys.argv[-1])\n{body}\n", "utf-8")
    return f"'{sys.executable}' '{script}' --wait"


def test_a_text_goes_through_the_editor_and_leaves_nothing_behind(tmp_path, monkeypatch):
    body = (
        "assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700\n"
        "pathlib.Path(file.parent, '.prompt.md.swp').write_text('left over')\n"
        f"pathlib.Path({str(tmp_path / 'where')!r}).write_text(str(file))\n"
        "file.write_text(file.read_text('utf-8') + ' 둘\\n\\n', 'utf-8')"
    )
    monkeypatch.setenv("VISUAL", an_editor(tmp_path, body))
    monkeypatch.setenv("EDITOR", "false")
    assert edited("하나") == "하나 둘"
    assert not Path((tmp_path / "where").read_text()).parent.exists()


@pytest.mark.parametrize(
    ("body", "told"),
    [("sys.exit(3)", "ended with 3"), ("file.unlink()", "can't be used"), ("file.write_bytes(b'x' * 2**21)", "1 MiB")],
)
def test_an_editor_that_fails_changes_nothing(tmp_path, monkeypatch, body, told):
    monkeypatch.setenv("VISUAL", an_editor(tmp_path, body))
    with pytest.raises(ArenaError, match=told):
        edited("text")


@pytest.mark.parametrize("command", ["/nowhere/editor", "'unclosed"])
def test_an_editor_that_is_none_is_said_so(monkeypatch, command):
    monkeypatch.setenv("VISUAL", command)
    with pytest.raises(ArenaError, match="Set VISUAL or EDITOR"):
        edited("text")


async def test_a_terminal_that_can_not_be_lent_says_so(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            await asking(pilot)
            await pilot.press(*"why", "ctrl+g")
            await until(pilot, lambda: any("can't be lent" in note.message for note in pilot.app._notifications))
            assert pilot.app.screen.query_one(PromptBox).text == "why"
