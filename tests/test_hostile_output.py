"""What a stranger says reaches no terminal, no page and no spreadsheet as a command, whatever prints it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import unicodedata
from functools import cache
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from arena.backends import http
from arena.cli.commands import main_group
from arena.core.endpoints import Endpoint, Wire
from arena.core.text import clean, clean_line, clean_name
from hostile_corpus import LARGE, SMALL
from hostile_world import TEXTS, hostile_database, hostile_packs
from pty_stage import Terminal

_HARMLESS_FORMATS = "\u200c\u200d\U000110bd"
"""They join letters, or are one."""


def commands_in(text: str) -> set[str]:
    """Characters that a terminal obeys, or that nobody sees."""
    return {
        f"U+{ord(character):04X}"
        for character in set(text) - set("\n\t" + _HARMLESS_FORMATS)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs")
    }


def longest_pile(text: str) -> int:
    """The most marks that stand on one character."""
    most = here = 0
    for character in text:
        here = here + 1 if unicodedata.category(character) in ("Mn", "Me", "Cf") else 0
        most = max(most, here)
    return most


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_a_cleaned_text_is_harmless_however_it_is_cleaned(name):
    text = (SMALL | LARGE)[name][:50_000]
    for cleaned in (clean(text), clean_line(text), clean_name(text, 40)):
        assert commands_in(cleaned) == set()
        assert longest_pile(cleaned) <= 8
        assert clean(cleaned) == cleaned
    assert len(clean_line(text)) <= 200
    assert "\n" not in clean_line(text)


def test_what_a_server_says_is_one_harmless_line():
    endpoint = Endpoint("cluster", Wire.OPENAI, "http://127.0.0.1:1/v1")
    for text in TEXTS:
        bodies = (text, json.dumps({"error": text}), json.dumps({"error": {"message": text}}), json.dumps([text]))
        headers = http.httpx.Headers({"location": text.encode("utf-8", "replace"), "retry-after": "x"})
        faults = [http.garbage_fault(endpoint, text)]
        for status in (302, 400, 401, 404, 429, 500, 503):
            faults += [http.status_fault(status, body, endpoint, "", headers) for body in bodies]
        for fault in faults:
            assert commands_in(str(fault)) == set(), text
            assert "\n" not in str(fault)
            assert len(str(fault)) < 600


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The database, and a round of it."""
    folder = tmp_path_factory.mktemp("world")
    keys = hostile_database(folder / "arena.db")
    return folder / "arena.db", keys


@cache
def printed(*args: str) -> str:
    done = CliRunner().invoke(main_group, [*args])
    assert done.exception is None, (args, done.exception)
    return done.output


COMMANDS = (
    *(["history"], ["history", "--json"], ["history", "--search", "1000"], ["export", "--all"], ["board", "--pairs"]),
    *(["board", "--json"], ["board", "--md", "--pairs", "--pareto"], ["board", "--csv"], ["board", "--html", "-"]),
    *(["fit", "--check"], ["models", "--merges"], ["run", "--queues"]),
)


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_no_command_prints_a_command(world, args):
    found = printed(*args, "--db", str(world[0]), *(["--limit", "1000"] if args[0] == "history" else []))
    assert found
    assert commands_in(found) == set()


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_no_round_is_shown_as_a_command(world, form):
    path, keys = world
    for key in keys:
        found = printed("show", key, "--db", str(path), *form)
        assert commands_in(found) == set(), key
        assert not form or json.loads(found)["round"] == key


def test_packs_are_listed_harmless(own_home):
    hostile_packs(own_home / "xdg_config_home" / "arena" / "prompts")
    found = printed("prompts")
    assert "pack0" in found
    assert "the key" in found, "of the broken ones it is said what is wrong"
    assert commands_in(found) == set()


_ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "p", "div", "table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "g", "line", "text", "circle"),
}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("href", "src")], (tag, attrs)


def test_a_page_has_no_elements_but_its_own(world):
    page = _Page()
    page.feed(printed("board", "--html", "-", "--db", str(world[0])))
    assert page.seen <= set(_ELEMENTS)


@pytest.mark.parametrize("args", [["export", "--all", "--format", "csv"], ["board", "--csv"]], ids=" ".join)
def test_no_cell_is_a_formula(world, args):
    rows = list(csv.reader(io.StringIO(printed(*args, "--db", str(world[0])), newline="")))
    assert len(rows) > 100
    for row in rows:
        for cell in row:
            assert cell[:1] not in tuple("=+@\t\r\n＝＋－＠"), cell
            assert cell[:1] != "-" or len(cell) == 1 or cell[1:].replace(".", "").isdigit(), cell


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a pty")
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_a_file_keeps_as_it_is_does_not_reach_a_terminal(world, form):
    command = [sys.executable, "-m", "arena", "export", "--all", "--format", form, "--db", str(world[0])]
    with Terminal(command) as terminal:
        terminal.watched = False
        assert terminal.wait(60) == 0
        said = bytes(terminal.raw).decode().replace("\r\n", "\n")
    assert "1453" in said
    assert commands_in(said) == set()


def test_a_table_of_markdown_keeps_its_columns(world):
    table = printed("board", "--md", "--db", str(world[0])).partition("\n\n")[0].splitlines()
    assert len(table) > 100
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
