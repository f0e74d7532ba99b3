"""What `arena board` prints, and what it is narrowed to: played through the facade, printed as the command prints."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arena.backends.scripted import Script
from arena.cli.boards import BoardOptions, boards_of
from arena.cli.simulation import as_json
from arena.core.bias import BiasReport
from arena.core.errors import UsageError
from arena.core.loads import Load
from arena.core.periods import begin_of
from arena.core.prompts import Prompt
from arena.core.ratings import Board, Effect, Lead, PairStanding
from arena.core.simulation import SimulationPlan
from arena.core.telling import adjusted_hint, beats_next, bias_lines, bridge_hints, pair_hint, undecided_hints
from arena.core.votes import Stage, Verdict
from arena.ratings.bias import bias_report
from arena.ratings.board import compute_board
from stage import CAST, ENDPOINT, arena_on, info

ZEPHYR, KESTREL, OCELOT = CAST


def play(arena, verdict: str, *names: str, text: str, tags: tuple[str, ...] = ("general",)) -> None:
    """A round whose best answer, by `verdict`, is that of the first name ('a'), the second one ('b'), or none."""
    infos = [arena.lineup.find(f"{ENDPOINT}/{name}").result() for name in names]
    view = arena.table.deal(Prompt(text, tags=tags), infos).result()
    arena.table.play(view.id, lambda _: None).result()
    # The test may know who sits where; a person may not.
    seats = arena._desk.do(lambda ledger: ledger.round(view.id)).result().round.seats
    order = [seat.contestant.ref.name for seat in seats]
    word = "abc"[order.index(names["ab".index(verdict)])] if verdict in "ab" else verdict
    arena.cast(view.id, Verdict.parse(word, len(names))).result()


@pytest.fixture
def played(tmp_path: Path):
    with arena_on(tmp_path) as arena:
        for n in range(6):
            play(arena, "a", ZEPHYR, KESTREL, text=f"question {n}")
        play(arena, "bad", ZEPHYR, KESTREL, text="한국의 수도는?", tags=("korean",))
        yield arena


def test_the_table_says_what_is_known_and_how_sure_it_is(played):
    text = boards_of(played, BoardOptions()).as_text()
    head, first, second, *_ = text.splitlines()
    assert head.split()[:2] == ["rank", "model"]
    assert first.split()[:2] == ["1", f"{ENDPOINT}/{ZEPHYR}"]
    assert "leaning" in first
    assert "6/1/0" in first
    assert "14%" in first
    assert f"{ENDPOINT}/{KESTREL}" in second
    assert "Your 7 votes in 7 rounds." in text
    assert "would settle it" not in text
    assert "the longest answer" in text


def test_a_narrow_terminal_gets_the_most_telling_columns(played):
    report = boards_of(played, BoardOptions())
    wide, narrow = (report.as_text(width=width).splitlines() for width in (None, 80))
    assert max(map(len, wide[:3])) > 80 >= max(map(len, narrow[:3]))
    assert "status" in wide[0]
    assert "status" not in narrow[0]
    assert narrow[0].startswith("rank  model")
    assert "beats next" in narrow[0]
    assert narrow[1].split()[1] == f"{ENDPOINT}/{ZEPHYR}"


def test_votes_can_be_narrowed_by_tag_language_and_period(played):
    for options, votes in (
        (BoardOptions(tag="korean"), 1),
        (BoardOptions(language="ko"), 1),
        (BoardOptions(language="en"), 6),
        (BoardOptions(tag="general", language="ko"), 0),
        (BoardOptions(since="1h"), 7),
        (BoardOptions(since="2999-01-01"), 0),
    ):
        report = boards_of(played, options)
        assert report.board.votes == votes, options
    assert played.scores.facets().result() == (["general", "korean"], ["en", "ko"])
    assert "(tag korean, since 1h)" in boards_of(played, BoardOptions(tag="korean", since="1h")).as_text()
    with pytest.raises(UsageError, match="no period"):
        boards_of(played, BoardOptions(since="soon"))


def test_json_has_every_field_and_the_report_on_bias(played):
    found = json.loads(json.dumps(boards_of(played, BoardOptions()).as_json()))
    line = found["standings"][0]
    wanted = {"model", "score", "low", "high", "rank", "rank_low", "rank_high", "status", "votes", "wins", "ties"}
    wanted |= {
        "losses",
        "both_bad",
        "tok_s",
        "chars_s",
        "ttft_ms",
        "vram_bytes",
        "fingerprint",
        "p_best",
        "here",
        "fit",
    }
    assert wanted <= set(line)
    assert "key" not in line
    assert {"a", "b", "votes", "p_a_beats_b", "votes_needed", "lead", "p_even"} == set(found["pairs"][0])
    assert found["bias"]["votes"] == 6
    assert found["bias"]["left"]["of"] == 6
    assert found["bias"]["left"]["share"] == found["bias"]["left"]["count"] / 6
    assert found["side"]["low"] < found["side"]["high"]
    assert found["length"] is None
    assert found["unbeaten"]["memory"] == []


def test_pairs_costs_and_markdown_are_there_on_request(played):
    text = boards_of(played, BoardOptions(pairs=True, pareto=True)).as_text(markdown=True)
    assert text.startswith("| rank | model |")
    assert "## Pairs" in text
    assert f"| {ENDPOINT}/{ZEPHYR} | {ENDPOINT}/{KESTREL} | 7 |" in text
    assert "## Quality against cost" in text
    assert "nothing you own beats this on both" in text
    assert "## What else may have moved your votes" in text


def test_csv_has_a_column_for_each_figure(played):
    rows = list(csv.DictReader(io.StringIO(boards_of(played, BoardOptions(here=True)).as_csv())))
    assert [row["model"] for row in rows] == [f"{ENDPOINT}/{ZEPHYR}", f"{ENDPOINT}/{KESTREL}"]
    assert [row["wins"] for row in rows] == ["6", "0"]
    assert [row["here"] for row in rows] == ["true", "true"]
    assert all(None not in row for row in rows)


def test_who_is_gone_still_counts_and_can_be_hidden(tmp_path):
    with arena_on(tmp_path) as arena:
        for n in range(3):
            play(arena, "a", ZEPHYR, KESTREL, text=f"{n}")
        whole = arena.board().result()
    left = {name: script for name, script in CAST.items() if name != ZEPHYR}
    with arena_on(tmp_path, left) as arena:
        seen = boards_of(arena, BoardOptions(here=True))
        assert {line.model: line.here for line in seen.board.standings} == {
            f"{ENDPOINT}/{ZEPHYR}": False,
            f"{ENDPOINT}/{KESTREL}": True,
        }
        assert "archived" in seen.as_text()
        hidden = boards_of(arena, BoardOptions(no_archived=True))
        (line,) = hidden.board.standings
        (same,) = [line for line in whole.standings if KESTREL in line.model]
        assert (line.score, line.low, line.rank, line.votes) == (same.score, same.low, 2, 3)
        assert hidden.as_json()["pairs"] == []
        assert f"{ENDPOINT}/{ZEPHYR}" not in hidden.as_text()


def test_groups_are_joined_by_those_who_are_here(tmp_path):
    others = {f"fox-{n}": Script(["x"], info=info(f"fox-{n}")) for n in range(2)}
    with arena_on(tmp_path, {**CAST, **others}) as arena:
        play(arena, "a", ZEPHYR, KESTREL, text="1")
        play(arena, "a", "fox-0", "fox-1", text="2")
    with arena_on(tmp_path, {KESTREL: CAST[KESTREL], "fox-1": others["fox-1"]}) as arena:
        text = boards_of(arena, BoardOptions(here=True)).as_text()
        names = {f"{ENDPOINT}/{KESTREL}", f"{ENDPOINT}/fox-1"}
        (told,) = [line for line in text.splitlines() if "to join the two groups" in line]
        assert set(told.removeprefix("Play ").split(" to join")[0].split(" against ")) == names
        assert "No rank" not in text.splitlines()[0]
        assert "no rank holds between them" in text


def a_load(arena, name: str, measured: int, at: str = "2026-01-01T00:00:00.000+00:00") -> Load:
    ref = arena.lineup.find(f"{ENDPOINT}/{name}").result().ref
    return Load(at, "gpu:x", "card", "embedded", "b", ref, 4096, "f16", -1, 1, 1, "exact", measured, 1)


def test_memory_is_that_of_the_last_load_and_else_what_is_predicted(played):
    def note(load: Load) -> None:
        played._desk.do(lambda ledger: ledger.note_load(load)).result()

    note(a_load(played, ZEPHYR, 5 << 30))
    note(a_load(played, ZEPHYR, 6 << 30, at="2026-02-01T00:00:00.000+00:00"))
    by_name = {line.model: line for line in played.board().result().standings}
    assert by_name[f"{ENDPOINT}/{ZEPHYR}"].tally.vram_bytes == 6 << 30
    assert by_name[f"{ENDPOINT}/{KESTREL}"].tally.vram_bytes is None
    infos = played.lineup.models().result()
    fits = played.watch.fits(infos).result()
    needed = {str(info.ref): fit.need_bytes for info, fit in zip(infos, fits, strict=True)}
    home = played.scores.board(infos=infos, fits=fits).result()
    for line in home.standings:
        measured = 6 << 30 if ZEPHYR in line.model else needed[line.model]
        assert line.tally.vram_bytes == measured
        assert line.fit is not None


def test_a_load_after_a_sealed_round_began_moves_no_figure(played):
    play(played, "a", ZEPHYR, KESTREL, text="before")
    infos = [played.lineup.find(f"{ENDPOINT}/{name}").result() for name in (ZEPHYR, KESTREL)]
    view = played.table.deal(Prompt("sealed"), infos).result()
    played.table.play(view.id, lambda _: None).result()
    later = datetime.now(UTC) + timedelta(days=1)
    load = a_load(played, ZEPHYR, 6 << 30, at=later.isoformat(timespec="milliseconds"))
    played._desk.do(lambda ledger: ledger.note_load(load)).result()
    assert {line.tally.vram_bytes for line in played.board().result().standings} == {None}


def test_a_round_that_waits_for_its_vote_changes_not_a_digit(played):
    everything = BoardOptions(pairs=True, pareto=True)

    def told() -> tuple[str, str, str]:
        report = boards_of(played, everything)
        replayed, names = played.scores.simulate(SimulationPlan(repeats=1, votes=10), lambda _: None)
        return report.as_text(), json.dumps(report.as_json()), json.dumps(as_json(replayed, names))

    before = told()
    infos = [played.lineup.find(f"{ENDPOINT}/{name}").result() for name in (ZEPHYR, KESTREL)]
    view = played.table.deal(Prompt("sealed", tags=("secret",)), infos).result()
    played.table.play(view.id, lambda _: None).result()
    assert told() == before
    assert "secret" not in played.scores.facets().result()[0]


def test_an_empty_board_says_what_to_do(tmp_path):
    with arena_on(tmp_path) as arena:
        assert "play a round" in boards_of(arena, BoardOptions()).as_text()


# Words


def pair(**facts: object) -> PairStanding:
    known = {"a": "a", "b": "b", "votes": 3, "p_a_beats_b": 0.9, "votes_needed": 20, "lead": Lead.LEANING, **facts}
    return PairStanding(**known)  # type: ignore[arg-type]


def test_hints_say_how_many_votes_are_missing():
    names = {"a": "Ann", "b": "Ben"}
    likely = "It is 90% likely that Ann is better than Ben"
    assert pair_hint(pair(), names) == f"{likely}; about 20 more votes of this pair would settle it."
    assert "hundreds of votes more" in pair_hint(pair(votes_needed=500), names)
    assert pair_hint(pair(votes_needed=None, lead=Lead.AHEAD), names) == f"{likely}: ahead."
    even = pair_hint(pair(lead=Lead.EVEN, p_even=0.83), names)
    assert even == "Between Ann and Ben there is no practical difference (83% sure)."


def test_bridges_are_named_once_and_only_where_both_are_shown():
    board = Board(0, 0, (), (), (), bridges=(("a", "x"), ("a", "y")))
    names = {"a": "Ann", "x": "Xi"}
    assert bridge_hints(board, names) == ["Play Ann against Xi to join their groups."]


def test_who_beats_the_next_one_skips_those_who_are_hidden():
    board = compute_board([Stage(("a", "b"), ("a",)), Stage(("b", "c"), ("b",))], {"a": "a", "b": "b", "c": "c"})
    assert [(p.a, p.b) for p in beats_next(board).values()] == [("a", "b"), ("b", "c")]
    hidden = replace(board, standings=tuple(line for line in board.standings if line.key != "b"))
    assert [(p.a, p.b) for p in beats_next(hidden).values()] == [("a", "c")]


def test_the_neighbours_that_need_the_fewest_votes_come_first():
    lines = compute_board([Stage(("a", "b"), ("a",)), Stage(("b", "c"), ("b",))], dict.fromkeys("abc", "x")).standings
    pairs = (pair(a="a", b="b", votes_needed=50), pair(a="b", b="c", votes_needed=10), pair(a="a", b="c"))
    board = Board(2, 2, (("a", "b", "c"),), lines, pairs)
    names = {key: key for key in "abc"}
    assert [told.split(";")[0] for told in undecided_hints(board, names, 5)] == [
        "It is 90% likely that b is better than c",
        "It is 90% likely that a is better than b",
    ]
    assert len(undecided_hints(board, names, 1)) == 1


def test_an_effect_is_a_share_of_votes_between_equals():
    told = adjusted_hint(Effect(0.0, -1.0986, 1.0986))
    assert told.endswith("you take the longer of two equals 50 % of the time (25 to 75 %).")


def test_what_was_never_seen_has_no_line_in_the_bias_report():
    empty: BiasReport = bias_report([])
    assert bias_lines(empty) == []


# Periods


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("", ""),
        ("all", ""),
        ("12h", "2026-06-30T12:00:00.000+00:00"),
        ("30d", "2026-06-01T00:00:00.000+00:00"),
        ("2W", "2026-06-17T00:00:00.000+00:00"),
        ("1m", "2026-06-01T00:00:00.000+00:00"),
        ("1 y", "2025-07-01T00:00:00.000+00:00"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.000+00:00"),
    ],
)
def test_periods_are_read_as_people_write_them(text, begin):
    assert begin_of(text, datetime(2026, 7, 1, tzinfo=UTC)) == begin


def test_a_day_begins_at_midnight_here():
    here = datetime(2026, 10, 1).astimezone()
    assert begin_of("2026-10-01") == here.astimezone(UTC).isoformat(timespec="milliseconds")


@pytest.mark.parametrize("text", ["soon", "30", "d", "-3d", "99999y", "2026-13-01", "3d ago", "\x1b[31m"])
def test_what_is_no_period_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="Write 12h") as fault:
        begin_of(text)
    assert "\x1b" not in str(fault.value)
