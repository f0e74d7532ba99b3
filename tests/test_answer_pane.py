"""The pane that draws answers: any chunking ends in the same lines, and it follows the end until one scrolls up."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
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


def test_a_table_fits_the_pane_and_keeps_its_alignment():
    long = "a name that is long"
    table = f"| name | speed |\n|---|---:|\n| one | 92.1 |\n| {long} | 8 |\n"
    head, *rows = [f" {left:<19}  {right:>5}" for left, right in (("name", "speed"), ("one", "92.1"), (long, "8"))]
    assert lines_of([table], width=30) == [head, f" {'─' * 26}", *rows]
    narrow = lines_of([table], width=18)
    assert max(map(cell_len, narrow)) <= 18
    assert [line[:10].strip() for line in narrow[3:]] == ["a name", "that is", "long"]


def test_a_long_block_of_code_keeps_every_line():
    code = [f"x{number} = {number}" for number in range(200)]
    closed = lines_of(["```python\n", *(f"{line}\n" for line in code), "```\n\nend"])
    assert closed == [*(f" {line}" for line in code), "", "end"]


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


def seen(pane):
    """The lines that a user sees."""
    return [strip.text.rstrip() for strip in pane.render_lines(pane.size.region)]


@given(st.lists(PIECES, min_size=5, max_size=40), st.data())
@settings(max_examples=15, deadline=None)
async def test_any_chunking_ends_in_the_same_screen(pieces, data):
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    screens = []
    for edges in ([0, len(text)], [0, *cuts, len(text)]):
        async with PaneApp().run_test(size=(30, 9)) as pilot:
            pane = pilot.app.query_one(AnswerText)
            for start, end in pairwise(edges):
                pane.append(text[start:end])
                assert not pane.hidden_below
            pane.complete()
            screens.append(seen(pane))
            assert screens[-1] == (lines_of([text], width=30)[-9:] + [""] * 9)[:9]
    assert screens[0] == screens[1]


async def test_the_pane_follows_the_end_in_jumps():
    async with PaneApp().run_test(size=(40, 12)) as pilot:
        pane = pilot.app.query_one(AnswerText)
        moves = []
        for number in range(60):
            before = pane.scroll_offset.y
            pane.append(f"line {number}\n\n")
            await pilot.pause()
            assert f"line {number}" in seen(pane)
            moves.append(pane.scroll_offset.y - before)
        assert set(moves) == {0, 12 // 3}
        pane.complete()
        assert seen(pane)[-1] == "line 59"


@pytest.mark.parametrize("up", [1, 5, 20])
async def test_who_scrolls_up_is_never_pulled_down(up):
    async with PaneApp().run_test(size=(40, 12)) as pilot:
        pane = pilot.app.query_one(AnswerText)
        pane.append("line\n\n" * 40)
        await pilot.pause()
        reads = pane.scroll_offset.y - up
        pane.scroll_to(y=reads, animate=False, immediate=True)
        for _ in range(30):
            pane.append("more\n\n")
            await pilot.pause()
            assert pane.scroll_offset.y == reads
        pane.complete()
        assert pane.scroll_offset.y == reads
        assert pane.hidden_below
        pane.scroll_end(animate=False, immediate=True)
        assert not pane.hidden_below
        pane.append("\n\nand the last")
        assert "and the last" in seen(pane)


async def test_a_resize_wraps_the_text_anew():
    async with PaneApp().run_test(size=(60, 10)) as pilot:
        pane = pilot.app.query_one(AnswerText)
        pane.append("word " * 40)
        await pilot.pause()
        wide = sum(map(bool, seen(pane)))
        await pilot.resize_terminal(20, 10)
        await pilot.pause()
        assert sum(map(bool, seen(pane))) > wide


async def test_a_long_answer_is_laid_out_little_by_little_up_to_its_end():
    async with PaneApp().run_test(size=(60, 10)) as pilot:
        pane = pilot.app.query_one(AnswerText)
        pane.append("word *and* word\n\n" * 1000 + "the end")
        assert pane.virtual_size.height < 1900
        await until(pilot, lambda: pane.virtual_size.height >= 2001)
        pane.complete()
        assert not pane.hidden_below
        assert "the end" in pane.render_line(9).text
        pane.divide("and then?")
        pane.append("more")
        await pilot.pause()
        assert any("and then?" in pane.render_line(y).text for y in range(10))
