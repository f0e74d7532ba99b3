"""The bias report: what a voter could see, how often it was chosen, and how sure that is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from arena.core.bias import Sight, markdown_marks
from arena.core.rounds import Answer, Pace, RoundState, Schedule
from arena.core.timing import Metrics
from arena.core.votes import Verdict
from arena.ratings.bias import bias_report, rate, wilson
from arena.store.ledger import SqliteLedger
from test_store import ALPHA, BETA, GAMMA, a_round, decide, ready


def sight(verdict: str, keys: str = "ab", chars=(), marks=(), ended=()) -> Sight:
    seats = len(keys)
    return Sight(tuple(keys), Verdict.parse(verdict, seats), chars or (9,) * seats, marks or (0,) * seats, ended)


# Intervals


@given(st.integers(0, 400), st.integers(1, 400))
def test_the_interval_is_wilsons(count, of):
    count = min(count, of)
    theirs = binomtest(count, of).proportion_ci(0.95, method="wilson")
    assert wilson(count, of) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_of_nothing_nothing_is_known():
    assert wilson(0, 0) == (0, 1)
    nothing = rate([])
    assert (nothing.share, nothing.low, nothing.high) == (None, 0, 1)


# Rates


def test_each_rate_is_over_the_decisive_votes_that_say_something_about_it():
    report = bias_report([
        sight("a", chars=(90, 10), marks=(0, 3), ended=(90, 10)),
        sight("b", chars=(90, 10), marks=(0, 3), ended=(90, 10)),
        sight("a", chars=(90, 90), marks=(1, 1), ended=(5, 5)),  # the same: only the side is told
        sight("a", chars=(90, 10), marks=(5, 0)),  # all came at once
        sight("tie", chars=(90, 10)),
        sight("bad", chars=(90, 10)),
        sight("c>b>a", "abc", chars=(10, 20, 30), marks=(0, 0, 1), ended=(3, 1, 2)),
        sight("a=b", "abc", chars=(10, 20, 30)),
    ])  # fmt: skip
    assert report.votes == 5
    assert (report.left.count, report.left.of) == (3, 5)
    assert (report.longer.count, report.longer.of) == (3, 4)
    assert (report.first_finished.count, report.first_finished.of) == (1, 3)
    assert (report.markdown.count, report.markdown.of) == (3, 4)
    assert report.left.chance == pytest.approx((4 / 2 + 1 / 3) / 5)
    assert report.longer.low < report.longer.share < report.longer.high
    assert report.side.low < report.side.value < report.side.high


def test_without_votes_the_report_is_empty():
    report = bias_report([])
    assert (report.votes, report.left.of, report.noise.of) == (0, 0, 0)
    assert report.side is report.length is None


def test_controls_tell_the_noise_and_where_it_leans():
    controls = [sight(verdict, "aa") for verdict in ("a", "a", "a", "b", "tie", "bad")]
    controls += [sight(verdict, "aba") for verdict in ("a>b>c", "b", "b>c", "c>b>a")]  # of a, b and a
    report = bias_report([], controls)
    assert (report.noise.count, report.noise.of, report.noise.chance) == (7, 10, None)
    assert (report.noise_left.count, report.noise_left.of) == (4, 7)
    assert report.votes == 0
    three = bias_report([], [sight(verdict, "aaa") for verdict in ("tie", "a", "b>a=c", "a=b>c")])
    assert (three.noise.count, three.noise_left.count, three.noise_left.of) == (3, 1, 3)
    assert three.noise_left.chance == pytest.approx(1 / 3)


def test_a_voter_who_always_takes_the_longer_answer_is_told_so():
    rnd = random.Random(1)
    seen = []
    for _ in range(60):
        chars = (rnd.randrange(100, 900), rnd.randrange(1000, 2000))[:: rnd.choice([1, -1])]
        keys = "".join(rnd.sample("abc", 2))
        seen.append(sight("ab"[chars.index(max(chars))], keys, chars, ended=tuple(map(float, chars))))
    report = bias_report(seen)
    assert report.longer.share == 1
    assert report.longer.low > 0.9
    assert report.first_finished.share == 0
    assert report.length.low > 0.5
    assert report.left.low < 0.5 < report.left.high
    assert report.side.low < 0 < report.side.high


# Markdown


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("Plain words - with a dash, 3. of them * and a star.", 0),
        ("# Title\n\nText", 1),
        ("- one\n* two\n  + three\n1. four\n2) five", 5),
        ("**bold** and __also__ but not snake__case__name or 2**3**4 ** no", 3),
        ("use `x` and `y`", 2),
        ("```python\n# no title\n- no item\n```\nafter `this`", 2),
        ("```\nnever closed\n- no item", 1),
        ("| a | b |\n|---|---|\n| 1 | 2 |", 3),
        ("#hashtag\n-5 degrees\n1.5 metres", 0),
        ("**굵게** 그리고\n- 하나", 2),
        ("", 0),
    ],
)
def test_marks_of_markdown_are_counted(text, marks):
    assert markdown_marks(text) == marks


@given(st.text("#-*|`_ a1.\n~", max_size=200))
def test_any_text_has_a_count(text):
    assert 0 <= markdown_marks(text) <= len(text)


# What was on the screen


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened:
        yield opened


def judged(ledger: SqliteLedger, verdict: str = "a", texts=("- short", "much longer"), **facts: object) -> None:
    """A round whose left answer began last and whose right one took long."""
    times = ((200.0, 50.0, 30.0), (0.0, 20.0, 100.0))
    round_ = a_round(ALPHA, BETA, text=str(facts), **facts)
    ledger.open_round(round_)
    for seat, (text, (queue, load, e2e)) in enumerate(zip(texts, times, strict=True)):
        metrics = Metrics(queue_ms=queue, load_ms=load, e2e_ms=e2e, out_chars=len(text))
        ledger.save_answer(round_.id, Answer(seat, text, metrics=metrics))
    ledger.close_round(round_.id, RoundState.READY)
    decide(ledger, round_.id, verdict)


@pytest.mark.parametrize(
    ("pace", "schedule", "ended"),
    [
        (Pace.EVEN, Schedule.TURN, (7, 11)),
        (Pace.LIVE, Schedule.TURN, (280, 120)),
        (Pace.LIVE, Schedule.TOGETHER, (30, 100)),
        (Pace.WHOLE, Schedule.TURN, ()),
    ],
)
def test_what_ends_first_is_what_the_voter_sees_end_first(ledger, pace, schedule, ended):
    judged(ledger, pace=pace, schedule=schedule)
    ((found,), ()) = ledger.sights()
    assert found.ended == ended
    assert (found.chars, found.marks) == ((7, 11), (1, 0))


def test_where_a_time_is_missing_nobody_ended_first(ledger):
    key = ready(ledger, ALPHA, BETA, pace=Pace.LIVE)
    decide(ledger, key, "a")
    assert ledger.sights()[0][0].ended == ()


def test_the_rounds_seen_are_the_rated_ones_and_the_controls_apart(ledger):
    decide(ledger, ready(ledger, ALPHA, BETA, GAMMA, text="1"), "c>a>b")
    decide(ledger, ready(ledger, ALPHA, ALPHA, text="2"), "b")
    decide(ledger, ready(ledger, BETA, ALPHA, text="3"), "skip")
    ready(ledger, BETA, ALPHA, text="4")
    rated, controls = ledger.sights()
    assert [str(found.verdict) for found in rated] == ["c>a>b"]
    assert [str(found.verdict) for found in controls] == ["b"]
    assert controls[0].twins == (0, 1)
    assert bias_report(rated, controls).noise.count == 1
