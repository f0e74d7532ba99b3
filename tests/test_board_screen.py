"""The board's screen: its views, its keys, and what its tables and plots draw."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.models import Contestant
from arena.core.prompts import Prompt
from arena.core.ratings import Board, Lead, PairStanding, Standing, Status, Tally
from arena.core.rounds import RoundState
from arena.core.votes import Stage
from arena.ratings.bias import bias_report
from arena.ratings.board import compute_board
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.board import BoardScreen
from arena.tui.widgets.bars import share_bar
from arena.tui.widgets.bias_panel import bias_panel
from arena.tui.widgets.board_panel import BoardPanel, _blocks
from arena.tui.widgets.board_table import Sort, ordered, standings
from arena.tui.widgets.board_view import View
from arena.tui.widgets.pair_matrix import pair_matrix
from arena.tui.widgets.scatter import Point, scatter
from stage import CAST, ENDPOINT, NAMES, arena_on, info, screen_text, until
from test_store import a_round, an_answer, vote

SIZES = [(80, 24), (160, 45)]


def fill(arena, votes: int = 12, *, gone: bool = True) -> None:
    """A board of votes on the cast, written as rounds: the first of the cast always wins; some are Korean and old."""
    players = [Contestant.of(script.info, arena.settings.sampling) for script in CAST.values()]
    if gone:
        players.append(Contestant.of(info("moa-2b"), arena.settings.sampling))
    now = datetime.now(UTC)

    def write(ledger) -> None:
        for n in range(votes):
            winner, loser = players[0], players[1 + n % (len(players) - 1)]
            seats = (winner, loser) if n % 2 else (loser, winner)
            korean = n % 3 == 0
            prompt = Prompt(f"질문 {n}" if korean else f"question {n}", tags=("korean",) if korean else ("general",))
            round_ = a_round(*seats, prompt=prompt)
            ledger.open_round(round_)
            for seat in round_.seats:
                speed = 40.0 if seat.contestant is winner else 90.0
                ledger.save_answer(round_.id, an_answer(seat.index, "x" * (50 + n), chars_per_s=speed))
            ledger.close_round(round_.id, RoundState.READY)
            when = now - timedelta(days=60 if n % 4 == 0 else 1)
            vote(ledger, round_.id, "a" if n % 2 else "b", cast_at=when.isoformat(timespec="milliseconds"))
            ledger.mark_revealed(round_.id)

    arena._desk.do(write).result()


async def open_board(app, pilot):
    await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
    await pilot.press("escape", "l")
    await until(pilot, lambda: isinstance(app.screen, BoardScreen) and app.screen._infos is not None)
    await until(pilot, lambda: any(line.here is not None for line in app.screen._board.standings))


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_every_view_has_a_key_and_v_goes_round(tmp_path, size):
    with arena_on(tmp_path) as arena:
        fill(arena)
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=size) as pilot:
            await open_board(app, pilot)
            told = {"1": "beats next", "2": "row better than column", "3": "SCORE against SPEED", "4": "You chose"}
            for key, words in told.items():
                await pilot.press(key)
                await until(pilot, lambda words=words: words in screen_text(pilot))
            await pilot.press("5")
            await until(pilot, lambda: "HARDWARE" in screen_text(pilot) and "You chose" not in screen_text(pilot))
            await pilot.press("v")
            await until(pilot, lambda: "beats next" in screen_text(pilot))
            assert app.screen.shown.view is View.STANDINGS


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_standings_say_who_is_archived_and_a_hides_them(tmp_path, size):
    with arena_on(tmp_path) as arena:
        fill(arena)
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=size) as pilot:
            await open_board(app, pilot)
            await until(pilot, lambda: "moa-2b" in screen_text(pilot))
            if size[0] > 100:
                assert "archived" in screen_text(pilot)
            await pilot.press("a")
            await until(pilot, lambda: "moa-2b" not in screen_text(pilot))
            assert "archived hidden" in screen_text(pilot)
            assert "your 12 votes" in screen_text(pilot), "its votes still count"
            await pilot.press("a")
            await until(pilot, lambda: "moa-2b" in screen_text(pilot))


async def test_s_sorts_by_the_next_column_and_brings_it_into_sight(tmp_path):
    with arena_on(tmp_path) as arena:
        fill(arena)
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(80, 24)) as pilot:
            await open_board(app, pilot)
            assert "char/s" not in screen_text(pilot)
            await pilot.press("s")
            await until(pilot, lambda: "char/s▾" in screen_text(pilot))
            rows = [line for line in screen_text(pilot).splitlines() if "zephyr" in line or "kestrel" in line]
            assert "kestrel" in rows[0], "the faster one comes first"
            for _ in range(len(Sort) - 1):
                await pilot.press("s")
            await until(pilot, lambda: "score▾" in screen_text(pilot))
            rows = [line for line in screen_text(pilot).splitlines() if "zephyr" in line or "kestrel" in line]
            assert "zephyr" in rows[0]


async def test_t_p_and_g_narrow_the_votes_and_0_takes_all_again(tmp_path):
    with arena_on(tmp_path) as arena:
        fill(arena)
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(120, 36)) as pilot:
            await open_board(app, pilot)
            screen = app.screen

            async def pressed(key: str, votes: int, **filters: str) -> None:
                await pilot.press(key)
                await until(pilot, lambda: screen._board.votes == votes and f"your {votes} votes" in screen_text(pilot))
                assert {word: value for word, value in screen.shown.filters.items() if value} == filters

            await pressed("t", 8, tag="general")
            await pressed("t", 4, tag="korean")
            await pressed("0", 12)
            await pressed("g", 8, language="en")
            await pressed("g", 4, language="ko")
            await pressed("g", 12)
            await pilot.press("p", "p")
            await until(pilot, lambda: screen._board.votes == 9)
            assert screen.shown.filters["period"] == "7d"
            await pressed("0", 12)


async def test_an_empty_board_has_every_view_too(tmp_path):
    with arena_on(tmp_path) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            await pilot.press("escape", "l")
            for key, words in (
                ("1", "the board fills"),
                ("2", "No two were"),
                ("3", "Nothing measured"),
                ("4", "habits"),
            ):
                await pilot.press(key)
                await until(pilot, lambda words=words: words in screen_text(pilot))


# Tables


def a_board(**facts: object) -> Board:
    votes = [Stage(("a", "b"), ("a",), f"r{n}") for n in range(6)] + [Stage(("x", "y"), ("x",), "s")]
    names = {
        "a": "ollama/qwen3:8b",
        "b": "ollama/llama3.1:8b",
        "x": "gguf/한국어-모델-7b",
        "y": "demo/y",
        "n": "demo/new",
    }
    tallies = {"a": Tally(chars_s=50, vram_bytes=6 << 30), "b": Tally(chars_s=90, vram_bytes=5 << 30)}
    return replace(compute_board(votes, names, tallies), **facts)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.integers(40, 220), st.sampled_from(Sort))
def test_no_line_of_the_table_is_wider_than_its_place(width, sort):
    board = a_board()
    head, *_ = lines = standings(board, width, sort).split("\n")
    rows = [line for line in lines if line.plain[1:3].strip() in ("1", "2", "–")]
    assert len(rows) == 5
    assert {row.cell_length for row in rows} == {head.cell_length}
    if width >= 60:
        assert head.cell_length <= width


def test_the_columns_come_with_the_width():
    heads = [standings(a_board(), width).split("\n")[0].plain for width in (60, 80, 120, 220)]
    titles = [{word for word in head.split() if not word.isdigit()} for head in heads]
    assert all(few <= many for few, many in pairwise(titles))
    assert {"score▾", "rank"} <= set(heads[0].split())
    assert "W/T/L" in heads[1]
    assert {"char/s", "memory", "bad"} <= set(heads[2].split())
    assert {"tok/s", "ttft", "status", "votes"} <= set(heads[3].split())


def test_groups_and_those_without_votes_are_told_apart():
    text = standings(a_board(), 100).plain
    assert "never compared with those above" in text
    assert "no votes yet" in text
    assert "to join the two groups" in text
    by_name = standings(a_board(), 100, Sort.NAME).plain
    assert "never compared with those above" not in by_name


def test_the_panel_beside_the_panes_tells_groups_apart_too():
    board = a_board()
    text = _blocks(board, {}, 42).plain
    assert text.count("never compared with those above") == 1
    assert "never compared" not in _blocks(replace(board, components=(sum(board.components, ()),)), {}, 42).plain


def test_the_scores_that_moved_furthest_are_named_first():
    panel, board = BoardPanel(id="panel"), a_board()
    panel._board, panel._moves = board, {"a": 2.0, "b": -40.0, "x": 0.1}
    assert re.findall(r"[▲▼]\d+", panel.moved) == ["▼40", "▲2"]


def test_the_endpoint_is_left_out_unless_two_would_have_one_name():
    assert "ollama/" not in standings(a_board(), 100).plain
    twice = a_board()
    twice = replace(twice, standings=tuple(replace(line, model=f"{line.key}/same") for line in twice.standings))
    assert "a/same" in standings(twice, 100).plain


@pytest.mark.parametrize(
    ("sort", "first"), [(Sort.SPEED, "b"), (Sort.MEMORY, "b"), (Sort.VOTES, "a"), (Sort.SCORE, "a"), (Sort.NAME, "n")]
)
def test_the_best_comes_first_and_the_unknown_last(sort, first):
    lines = ordered(a_board(), sort)
    assert lines[0].key == first
    if sort in (Sort.SPEED, Sort.MEMORY):
        assert {line.key for line in lines[2:]} == {"x", "y", "n"}


# The pair matrix


def test_the_matrix_gives_both_sides_of_a_pair():
    lines = {line.split()[1]: line for line in pair_matrix(a_board(), 100).plain.splitlines() if line[:3].strip()}
    row, column = lines["qwen3:8b"], lines["llama3.1:8b"]
    (pair,) = [pair for pair in a_board().pairs if pair.a == "a"]
    assert f"{pair.p_a_beats_b:.0%}·6" in row
    assert f"{1 - pair.p_a_beats_b:.0%}·6" in column
    assert row.count("–") == 2, "never compared"


def line_of(key: str) -> Standing:
    return Standing(key, key, 1000, 900, 1100, 1, 1, 1, 0.5, Status.USABLE, 30, 1, 1, 1, 0.0)


def test_a_pair_without_practical_difference_says_so():
    pairs = (PairStanding("a", "b", 2000, 0.6, 100, 0.9, Lead.EVEN),)
    text = pair_matrix(Board(1, 1, (("a", "b"),), (line_of("a"), line_of("b")), pairs), 80).plain
    assert "≈·1k+" in text
    assert "there is no practical difference (90% sure)" in text


# The plot

points = st.builds(
    Point,
    st.sampled_from(["qwen", "한국어-모델", "a rather long name", "x"]),
    st.floats(0.1, 5000),
    st.floats(500, 1500),
    st.floats(300, 500),
    st.floats(1500, 1700),
    st.booleans(),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(points, max_size=12), st.integers(24, 100), st.integers(6, 30), st.booleans())
def test_a_plot_keeps_to_its_size_and_shows_every_place_that_is_taken(points, width, height, turned):
    lines = scatter(points, (width, height), "TITLE", less_is_better=turned).split("\n")
    assert len(lines) <= height + 1
    assert all(line.cell_length <= width + 3 for line in lines[1:])
    marks = sum(line.plain.count("●") + line.plain.count("★") for line in lines)
    assert (marks > 0) == bool(points)
    assert marks <= len(points)


def where(text: str, mark: str) -> list[tuple[int, int]]:
    return [(x, y) for y, line in enumerate(text.splitlines()) for x, char in enumerate(line) if char == mark]


def test_better_is_up_and_cheaper_is_right():
    two = [Point("good", 10, 1100, 1050, 1150, unbeaten=True), Point("fast", 100, 900, 850, 950)]
    fast = scatter(two, (60, 20), "T").plain
    ((good_x, good_y),), ((fast_x, fast_y),) = where(fast, "★"), where(fast, "●")
    assert good_y < fast_y
    assert good_x < fast_x
    assert "good" in fast
    small = scatter(two, (60, 20), "T", less_is_better=True).plain
    assert where(small, "★")[0][0] > where(small, "●")[0][0]


def test_no_name_hides_a_point_or_another_name():
    crowd = [Point(f"a long name {n}", 100.0 + 12 * n, 1000.0 + n, 900, 1100) for n in range(4)]
    text = scatter(crowd, (70, 16), "T").plain
    assert text.count("●") == 4
    assert all(point.name in text for point in crowd)


def test_the_staircase_joins_the_unbeaten():
    steps = [Point(str(n), 10.0 * 2**n, 1100 - 50 * n, 1000, 1200, unbeaten=True) for n in range(3)]
    assert scatter(steps, (60, 20), "T").plain.count("·") > 10
    alone = [replace(point, unbeaten=False) for point in steps]
    assert "·" not in scatter(alone, (60, 20), "T").plain


def test_a_figure_that_is_not_known_makes_no_point():
    assert "Nothing measured yet" in scatter([], (60, 20), "T").plain
    assert "Nothing measured yet" in scatter([Point("x", 0.0, 1000, 900, 1100)], (60, 20), "T").plain


# Habits


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(11, 60))
def test_a_share_bar_has_its_width_and_one_point(a, b, c, width):
    low, share, high = sorted((a, b, c))
    bar = share_bar(low, share, high, 0.5, width).plain
    assert len(bar) == width
    assert bar.count("●") == 1


def test_a_habit_stands_out_and_what_was_not_seen_says_so():
    from test_bias import sight

    report = bias_report([sight("a", chars=(90, 10))] * 30)
    text = bias_panel(report, 100)
    plain = text.plain
    assert "the answer on the left" in plain
    assert "100%" in plain
    assert "not seen yet" in plain
    habits = [
        line for line in text.split("\n") if any("bold" in str(span.style) for span in line.spans if span.start == 0)
    ]
    assert any("the answer on the left" in line.plain for line in habits)
    assert f"{ENDPOINT}" not in plain
