"""The grid sends what differs, and a terminal that gets it shows what is wanted."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from arena.tui.wire.clusters import clusters
from arena.tui.wire.grid import Grid
from arena.tui.wire.pens import Pen, change
from pty_app import HOSTILE, WIDE
from pty_stage import Screen, foreign, looks_alike

WIDTH, HEIGHT = 24, 4
CONSOLE = Console(color_system="truecolor", force_terminal=True)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
STYLES = ("", "bold", "red on blue", "on blue", "underline on blue", "reverse", "italic strike #112233", "on #445566")


def grid(**how: bool) -> Grid:
    return Grid(WIDTH, HEIGHT, ColorSystem.TRUECOLOR, **how)


def segments(pieces) -> list[Segment]:
    return [Segment(text, Style.parse(style) if style else None) for text, style in pieces]


def screen(*frames: str) -> Screen:
    shown = Screen(WIDTH, HEIGHT)
    stream = pyte.Stream(shown)
    for frame in frames:
        stream.feed(frame)
    return shown


narrow = st.text("ab ─éЖ", min_size=1, max_size=8)
wide = st.text("한글中カ", min_size=1, max_size=4)
style = st.sampled_from(STYLES)
painting = st.one_of(  # wide text stands on even columns of even rows, so that nothing is cut in half
    st.tuples(st.sampled_from((1, 3)), st.integers(0, WIDTH), st.lists(st.tuples(narrow, style), max_size=4)),
    st.tuples(st.sampled_from((0, 2)), st.sampled_from(range(0, 18, 2)), st.lists(st.tuples(wide, style), max_size=3)),
)


@given(st.lists(st.one_of(painting, st.sampled_from(("frame", "forget"))), max_size=20), st.booleans())
def test_whatever_is_painted_a_terminal_shows_it_as_if_all_had_been_sent(story, erases):
    ours, theirs = Screen(WIDTH, HEIGHT), Screen(WIDTH, HEIGHT)
    theirs.reset_mode(pyte.modes.DECAWM)
    feed, feed_all = pyte.Stream(ours).feed, pyte.Stream(theirs).feed
    drawn = grid(erases=erases)
    for step in [*story, "frame"]:
        if step == "frame":
            feed(drawn.frame())
            assert looks_alike(ours, theirs)
        elif step == "forget":
            drawn.forget()
        else:
            y, x, pieces = step
            strip = Strip(segments(pieces)).crop(0, WIDTH - x)
            drawn.paint(y, x, strip)
            feed_all(Control.move_to(x, y).segment.text + strip.render(CONSOLE))


attributes = st.lists(st.sampled_from(("1", "3", "4", "5", "7", "9")), unique=True).map(lambda on: tuple(sorted(on)))
colour = st.sampled_from(("", "38;5;1", "38;5;200"))
pens = st.builds(Pen, attributes, colour, colour.map(lambda code: code.replace("38", "48")))


@given(st.none() | pens, pens)
def test_a_change_of_pens_ends_with_the_new_one(old, new):
    begin = "\x1b[1;3;4;5;7;9;35m" if old is None else change(None, old)
    changed = screen(begin + change(old, new) + "x").buffer[0][0]
    assert changed == screen(change(None, new) + "x").buffer[0][0]


def test_turning_bold_off_turns_dim_off_too_so_dim_is_set_again():
    assert change(Pen(("1", "2"), "38;5;200"), Pen(("2",), "38;5;200")) == "\x1b[22;2m"


def test_blanks_that_are_underlined_are_drawn_not_erased():
    drawn = grid(erases=True)
    drawn.paint(0, 0, segments([(" " * WIDTH, "underline on blue")]))
    assert drawn.frame().count(" ") == WIDTH


def test_nothing_new_is_nothing_sent():
    drawn = grid()
    drawn.paint(0, 0, segments([("hello", "")]))
    assert "hello" in drawn.frame()
    drawn.paint(0, 0, segments([("hello", "")]))
    assert drawn.frame() == ""


def test_one_cell_that_changes_is_one_cell_sent():
    drawn = grid()
    drawn.paint(1, 0, segments([("hello world", "red on blue")]))
    drawn.frame()
    drawn.paint(1, 0, segments([("hellO world", "red on blue")]))
    assert drawn.frame() == "\x1b[2;5H\x1b[0;31;44mO\x1b[0m"


def test_a_full_repaint_brings_back_what_another_program_has_spoilt():
    drawn = grid(erases=True)
    drawn.paint(2, 3, segments([("한글", "bold on blue")]))
    first = drawn.frame()
    drawn.forget()
    assert looks_alike(screen(first, "\x1b[3;1HBroadcast message", drawn.frame()), screen(first))


def test_the_first_paint_sends_no_blanks_where_the_terminal_can_erase():
    lines = [segments([(" " * WIDTH, "white on #112233")]) for _ in range(HEIGHT)]
    costs = []
    for erases in (True, False):
        drawn = grid(erases=erases)
        for y, line in enumerate(lines):
            drawn.paint(y, 0, line)
        frame = drawn.frame()
        costs.append(frame.count(" "))
        assert screen(frame).buffer[3][23].bg == "112233"
    assert costs == [0, WIDTH * HEIGHT]


@pytest.mark.parametrize(("x", "left"), [(1, " |글 "), (3, "한 | ")])
def test_half_a_wide_character_is_none(x, left):
    drawn = grid()
    drawn.paint(0, 0, segments([("한글", "")]))
    first = drawn.frame()
    drawn.paint(0, x, segments([("|", "")]))
    assert screen(first, drawn.frame()).rows[0].startswith(left)


@pytest.mark.parametrize("text", [FAMILY, "⚠\ufe0f", "1\ufe0f\u20e3", "\U0001f1f0\U0001f1f7", "\U0001f44d\U0001f3fd"])
def test_a_character_of_doubtful_width_shifts_nothing(text):
    """pyte counts some of these otherwise than Textual does: a family takes eight cells there."""
    width = sum(cluster[1] for cluster in clusters(text))
    assert width == 2
    drawn = grid()
    drawn.paint(0, 0, segments([("│", ""), (text, "red"), ("ab │ right", "")]))
    shown = screen(drawn.frame())
    cells = [shown.buffer[0][x].data for x in range(WIDTH)]
    assert "".join(cells[3:13]) == "ab │ right"
    drawn.paint(0, 0, segments([("│", ""), (text, "blue"), ("ab │ right", "")]))  # the neighbours stay as they are
    again = screen(drawn.frame())
    assert not again.rows[0][13:].strip(), "only what may have been drawn over is sent again"


def test_stock_output_would_have_been_shifted():
    shown = screen(f"│{FAMILY}ab │ right")
    assert "".join(shown.buffer[0][x].data for x in range(3, 13)) != "ab │ right"


def test_a_flag_is_not_torn_apart():
    drawn = grid()
    drawn.paint(0, 0, segments([("\U0001f1f0\U0001f1f7", "")]))
    assert "\U0001f1f0\U0001f1f7" in drawn.frame()


def test_what_multiplexers_count_otherwise_is_left_out_where_one_is_about():
    drawn = grid(safe=True)
    drawn.paint(0, 0, segments([("⚠\ufe0f 1\ufe0f\u20e3 \U0001f44d\U0001f3fd x", "")]))
    frame = drawn.frame()
    assert not any(character in frame for character in "\ufe0f\u20e3\U0001f3fd")
    assert screen(frame).buffer[0][9].data == "x"


def test_nothing_but_the_grids_own_sequences_comes_out():
    drawn = Grid(160, 2, ColorSystem.TRUECOLOR)
    drawn.paint(0, 0, segments([(HOSTILE, "bold")]))
    drawn.paint(1, 0, segments([(WIDE, "red")]))
    frame = drawn.frame()
    assert foreign(frame) == []
    assert "a" in frame


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.booleans())
def test_any_text_comes_out_without_foreign_sequences_and_as_wide_as_textual_counted(text, safe):
    drawn = Grid(200, 1, ColorSystem.TRUECOLOR, safe=safe)
    strip = Strip(segments([(text, ""), ("\u2502end", "")]))
    drawn.paint(0, 0, strip)
    frame = drawn.frame()
    assert foreign(frame) == []
    shown = Screen(200, 1)
    pyte.Stream(shown).feed(frame)
    end = strip.cell_length
    assert "".join(shown.buffer[0][x].data for x in range(end - 3, end)) == "end"


@pytest.mark.parametrize("text", ["한글", "é", "─│", "がぎ", "中文", "plain"])
def test_what_all_terminals_agree_on_costs_no_extra_move(text):
    assert all(reach == 0 for _, _, reach in clusters(text))


def test_marks_without_end_stay_bounded():
    drawn = grid()
    drawn.paint(0, 0, segments([("e" + "\u0301" * 500 + "x", "")]))
    assert drawn.frame().count("\u0301") < 20
