"""The pane that draws answers: any chunking ends in the same lines, and it follows the end until one scrolls up."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.style import Style
from textual.app import App

from arena.core.text import clean
from arena.tui.widgets.answer_pane import AnswerText
from arena.tui.widgets.markdown_lines import MarkdownLines
from hostile_corpus import LARGE
from stage import until

PIECES = st.sampled_from(
    [
        "word ", "한국어 ", "\n", "\n\n", "- item\n", "1. one\n", "```python\n", "```\n", "| a | b |\n", "|---|---|\n",
        "# head\n", "> quote\n", "**bold** ", "`code`", "    indented\n", "⚠️", "---\n", "<b>t</b>\n", "a\u2028b",
        "===\n", "   - nested\n", "10. ten\n", "2) two\n",
        "* star\n", "~~~\n", "  ```\n", "text```\n", "````\n", "```a```\n", "``", "\n\n\n",
    ]
)  # fmt: skip


def lines_of(chunks, width=40):
    lines = MarkdownLines(width, Style())
    for chunk in chunks:
        lines.feed(clean(chunk))
    return [lines.line(y).text.rstrip() for y in range(len(lines))]


@given(st.lists(PIECES, max_size=25), st.data())
@settings(max_examples=150, deadline=None)
def test_any_chunking_ends_in_the_same_lines(pieces, data):
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    edges = [0, *cuts, len(text)]
    chunks = [text[start:end] for start, end in pairwise(edges)]
    assert lines_of(chunks) == lines_of([text])


def test_block_html_and_tags_stay_visible():
    assert "<div>" in "\n".join(lines_of(["<div>\nhidden?\n</div>\n\n<think>hm</think>"]))


def test_nothing_is_shown_twice_after_odd_line_breaks():
    assert "\n".join(lines_of(["one\u2028", "two\u2029", "three\x0b", "four"])).count("one") == 1


def test_a_block_without_an_end_goes_on_below_its_head():
    rows = "".join(f"| row {number} | x |\n" for number in range(300))
    table = lines_of(["| left | right |\n|---|---|\n", rows])
    assert sum("left" in line for line in table) > 1
    assert all(any(f"row {number} " in line for line in table) for number in range(300))
    code = "".join(f"line{number} = {number}\n" for number in range(900))
    assert [line.strip() for line in lines_of(["```python\n", code, "```\n"]) if line.strip()] == code.splitlines()


@pytest.mark.parametrize("name", LARGE)
def test_no_piece_of_a_large_text_takes_long(name):
    text, lines, held = clean(LARGE[name][:4000]), MarkdownLines(50, Style()), []
    for start in range(0, len(text), 512):
        began = time.thread_time()
        lines.feed(text[start : start + 512])
        assert len(lines) >= 0
        held.append(time.thread_time() - began)
    assert max(held) < 0.5, "without pages it is seconds for some of them"


def test_more_lines_than_anybody_reads_are_not_laid_out(monkeypatch):
    monkeypatch.setattr("arena.tui.widgets.markdown_lines._MOST_LINES", 500)
    lines = MarkdownLines(50, Style())
    for _ in range(10):
        lines.feed("a\n\n" * 100)
    assert 500 < len(lines) < 800
    assert "too long to be shown" in lines.line(len(lines) - 1).text
    at = lines.divide("and then?")
    lines.feed("It goes on.")
    assert [lines.line(y).text.strip() for y in range(at, len(lines))] == ["── and then?", "", "It goes on."]


class PaneApp(App[None]):
    def compose(self):
        yield AnswerText()


async def test_the_pane_follows_the_end_until_somebody_scrolls_up():
    async with PaneApp().run_test(size=(40, 10)) as pilot:
        pane = pilot.app.query_one(AnswerText)
        for number in range(60):
            pane.append(f"line {number}\n\n")
        await pilot.pause()
        assert not pane.hidden_below
        pane.scroll_to(y=3, animate=False, immediate=True)
        await pilot.pause()
        pane.append("more\n\n" * 20)
        await pilot.pause()
        assert pane.scroll_offset.y == 3
        assert pane.hidden_below


async def test_a_resize_wraps_the_text_anew():
    async with PaneApp().run_test(size=(60, 10)) as pilot:
        pane = pilot.app.query_one(AnswerText)
        pane.append("word " * 40)
        await pilot.pause()
        wide = pane.virtual_size.height
        await pilot.resize_terminal(20, 10)
        await pilot.pause()
        assert pane.virtual_size.height > wide


async def test_a_long_answer_is_laid_out_little_by_little_up_to_its_end():
    async with PaneApp().run_test(size=(60, 10)) as pilot:
        pane = pilot.app.query_one(AnswerText)
        pane.append("word *and* word\n\n" * 1000 + "the end")
        assert pane.virtual_size.height < 1900
        await until(pilot, lambda: pane.virtual_size.height == 2001)
        assert not pane.hidden_below
        assert "the end" in pane.render_line(9).text
        pane.divide("and then?")
        pane.append("more")
        await pilot.pause()
        assert any("and then?" in pane.render_line(y).text for y in range(10))
