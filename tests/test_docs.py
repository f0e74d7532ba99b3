"""The docs and the program say the same: pages made from it are fresh, commands, options, settings and links exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from arena.cli import main as _  # noqa: F401 - its modules add their commands to the group
from arena.cli.commands import main_group
from arena.config import load
from arena.core.errors import UsageError

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(?:uv run )?arena((?: .*)?)$")


def tool():
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "tools" / "reference_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["commands", "settings"])
def test_pages_made_from_the_program_are_fresh(name):
    made = getattr(tool(), name)()
    assert (ROOT / "docs" / f"{name}.md").read_text("utf-8") == made, "run: python tools/reference_pages.py"


def test_every_setting_is_explained():
    rows = re.findall(r"^\| `.*$", (ROOT / "docs" / "settings.md").read_text("utf-8"), re.MULTILINE)
    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []


def calls(text: str) -> list[str]:
    """Every call of arena in a page: in shell blocks, and in backticks."""
    blocks = "\n".join(body for kind, body in FENCE.findall(text) if kind in ("sh", "bash", "console"))
    lines = [line.removeprefix("$ ").strip() for line in blocks.splitlines()]
    pieces = [part.strip() for line in lines for part in re.split(r"&&|\|\||;|\|", line.partition("  #")[0])]
    prose = FENCE.sub("", text)
    return [found[1].strip() for said in (*pieces, *re.findall(r"`([^`\n]+)`", prose)) if (found := CALL.match(said))]


def fault(call: str) -> str:
    """What is wrong with the words behind `arena`; '' where the program knows them."""
    words = shlex.split(call.replace("…", ""), comments=True)
    command: click.Command = main_group
    while words and words[0].startswith("-") and words[0] != "-m":
        known = {name for option in main_group.params for name in option.opts} | {"--help", "-h"}
        if words[0].partition("=")[0] not in known:
            return f"no option {words[0]}"
        option = next((each for each in main_group.params if words[0] in each.opts), None)
        takes = isinstance(option, click.Option) and not option.is_flag and "=" not in words[0]
        words = words[1 + (takes and len(words) > 1) :]
    if words and words[0].isalpha() and words[0].islower():
        if words[0] not in main_group.commands:
            return f"no command {words[0]}"
        command = main_group.commands[words[0]]
    known = {name for option in command.params for name in option.opts} | {"--help", "-h"}
    strange = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"{command.name} knows no {strange[0]}" if strange else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_is_named_exists(page):
    wrong = {call: said for call in calls(page.read_text("utf-8")) if (said := fault(call))}
    assert wrong == {}


def test_a_command_that_is_not_there_would_be_found():
    said = "`arena vote`, `arena dance`\n```sh\narena --lang ko\nuv run arena fit --speed 3  # no\n```\n"
    assert [fault(call) for call in calls(said)] == ["", "fit knows no --speed", "", "no command dance"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)\s]+?)(?:#[^)]*)?\)", FENCE.sub("", page.read_text("utf-8")))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_are_shown_can_be_read(page, tmp_path):
    for kind, body in FENCE.findall(page.read_text("utf-8")):
        if kind == "toml" and not re.search(r"^\[\[|^title|^name ", body, re.MULTILINE):
            tomllib.loads(body)
            path = tmp_path / "config.toml"
            path.write_text(body, "utf-8")
            try:
                load(path, environ={})
            except UsageError as said:
                pytest.fail(f"{page.name}: {said}")
