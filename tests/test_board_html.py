"""The leaderboard as a web page: whole in itself, true to the board, and safe whatever a model is called."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from arena.cli import html
from arena.cli.boards import board_grid
from arena.cli.commands import main_group
from arena.cli.html import _scale
from arena.core.ratings import Board, Status
from arena.core.votes import Stage
from arena.ratings.board import compute_board
from arena.store.connection import Connection

HOSTILE = "x/<script>alert(1)</script>\"'&\x1b[31m\u202e"


def board(*names: str) -> Board:
    keys = [str(n) for n in range(len(names))]
    stages = [Stage((a, b), (a,)) for a, b in pairwise(keys) for _ in range(12)]
    return compute_board(stages, dict(zip(keys, names, strict=True)) | {"unvoted": "x/unvoted"})


def board_html(found: Board, **options: str) -> str:
    return html.board_html(found, *board_grid(found), **options)


class Page(HTMLParser):
    """Every tag with its attributes, and the text of the cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        self._cell = tag in ("td", "th")

    def handle_data(self, data):
        if self._cell and data.strip():
            self.rows[-1].append(data)


def test_the_page_fetches_nothing_and_runs_nothing():
    text = board_html(board("x/a", "x/b"))
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "form", "a", "use"} == set()
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name in ("src", "href")]
    assert "url(" not in text
    assert "//" not in text.replace("<!DOCTYPE", "")
    policy = [attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_a_name_is_text_and_nothing_else():
    text = board_html(board(HOSTILE, "x/b"), voter="<b>anna</b>", tag="<i>")
    assert "<script" not in text
    assert "<b>" not in text
    assert "<i>" not in text
    assert not re.search("[\x1b\u202e]", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;" in text
    clean = [tag for tag, _ in Page(board_html(board("x/a", "x/b"))).tags]
    assert [tag for tag, _ in Page(text).tags] == clean, "not a tag more than without it"


def test_the_table_is_the_board():
    found = board("x/a", "x/b", "x/c")
    head, rows = board_grid(found)
    assert Page(board_html(found)).rows == [list(head), *rows]


def test_the_plot_has_a_line_for_everybody_with_votes_where_the_score_is():
    found = board("x/a", "x/b", "x/c")
    svg = ET.fromstring(re.search("<svg.*</svg>", board_html(found), re.DOTALL)[0])  # noqa: S314 - our own
    voted = [line for line in found.standings if line.votes]
    groups = svg.findall("g")
    assert [group.find("text").text for group in groups] == [line.model for line in voted]
    ticks = [(float(mark.get("x")), int(mark.text)) for mark in svg.findall("text")]
    (x0, s0), (x1, s1) = ticks[0], ticks[-1]

    def score(x: str) -> float:
        return s0 + (float(x) - x0) / (x1 - x0) * (s1 - s0)

    for group, line in zip(groups, voted, strict=True):
        interval, dot = group.find("line"), group.find("circle")
        assert score(dot.get("cx")) == pytest.approx(line.score, abs=1)
        assert score(interval.get("x1")) == pytest.approx(line.low, abs=1)
        assert score(interval.get("x2")) == pytest.approx(line.high, abs=1)
        assert (group.get("class") == "early") == (line.status is Status.TOO_EARLY)


def test_a_board_without_votes_says_so():
    assert "There are no votes yet." in board_html(compute_board([], {"0": "x/a"}))


@given(st.floats(-3000, 3000), st.floats(0, 5000))
def test_an_axis_holds_all_scores_in_round_steps(low, width):
    start, end, step = _scale(low, low + width)
    assert start <= low <= low + width <= end + 1e-9
    assert start % step == end % step == 0
    assert (end - start) // step <= 10
    assert str(step).rstrip("0") in ("1", "2", "5")


def test_the_command_writes_the_page(tmp_path):
    target = tmp_path / "board.html"
    Connection.open(tmp_path / "arena.db").close()
    done = CliRunner().invoke(main_group, ["board", "--html", str(target), "--db", str(tmp_path / "arena.db")])
    assert (done.exit_code, done.output) == (0, "")
    assert target.read_text("utf-8").startswith("<!DOCTYPE html>")
