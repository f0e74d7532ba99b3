"""The leaderboard: what is counted, what is in a group, and in which order it stands."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from itertools import cycle, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.ratings import Board, Standing, Status, Tally
from arena.core.votes import Stage, Verdict, stages
from arena.ratings.board import compute_board, trust
from arena.ratings.records import compared_groups, keep_records, opening_stages

NAMES = {"a": "demo/large", "b": "demo/small", "c": "demo/tiny", "d": "demo/new"}

a_vote = st.one_of(
    st.tuples(st.sampled_from(["a", "b", "tie", "bad", "skip"]), st.permutations("abcd").map(lambda k: tuple(k[:2]))),
    st.tuples(
        st.sampled_from(["a", "c", "tie", "bad", "skip", "b>a=c", "a=c", "c>a>b", "c>b"]),
        st.permutations("abcd").map(lambda k: tuple(k[:3])),
    ),
)


def cast(*votes: tuple[str, str]) -> list[Stage]:
    """Stages of (verdict, keys in seat order), each a round of its own."""
    return [
        stage
        for i, (verdict, keys) in enumerate(votes)
        for stage in stages(Verdict.parse(verdict, len(keys)), tuple(keys), f"round {i}")
    ]


def line(board: Board, key: str) -> Standing:
    (found,) = [standing for standing in board.standings if standing.key == key]
    return found


def record(board: Board, key: str) -> tuple[int, int, int, int, float]:
    found = line(board, key)
    return found.votes, found.wins, found.ties, found.losses, found.both_bad


def test_wins_ties_and_losses_are_counted_once_a_vote():
    votes = [("a", "ab"), ("tie", "ba"), ("bad", "ab"), ("bad", "ab"), ("b>c>a", "abc"), ("a=b", "acb"), ("skip", "ab")]
    board = compute_board(cast(*votes), NAMES)
    assert board.votes == 6
    assert record(board, "a") == (6, 1, 4, 1, 2 / 6)
    assert record(board, "b") == (6, 1, 3, 2, 2 / 6)
    assert record(board, "c") == (2, 0, 1, 1, 0)
    assert record(board, "d") == (0, 0, 0, 0, 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(a_vote, max_size=15), st.randoms(use_true_random=False))
def test_nothing_is_dropped_and_the_order_of_votes_does_not_matter(votes, rnd):
    found = cast(*votes)
    board = compute_board(found, NAMES)
    voted = [(verdict, keys) for verdict, keys in votes if verdict != "skip"]
    assert board.votes == board.rounds == len(voted)
    assert sorted(standing.key for standing in board.standings) == sorted(NAMES)
    for standing in board.standings:
        assert standing.votes == sum(standing.key in keys for _, keys in voted)
        assert standing.wins + standing.ties + standing.losses == standing.votes
        assert standing.low < standing.score < standing.high
        assert standing.rank_low <= standing.rank <= standing.rank_high
        assert (standing.status is Status.NO_VOTES) == (standing.votes == 0) == (standing.rank == 0)
    for pair in board.pairs:
        assert pair.votes == sum(pair.a in keys and pair.b in keys for _, keys in voted)
        assert 0.5 - 1e-6 <= pair.p_a_beats_b < 1
        assert (pair.votes_needed is None) == (pair.p_a_beats_b >= 0.95)
    assert compute_board(rnd.sample(found, len(found)), dict(reversed(NAMES.items()))) == board


def test_places_follow_the_scores_and_say_how_sure_they_are():
    board = compute_board(cast(*[("a", "ab")] * 20, *[("a", "bc")] * 20), NAMES)
    assert [standing.key for standing in board.standings] == ["a", "b", "c", "d"]
    assert [standing.rank for standing in board.standings] == [1, 2, 3, 0]
    first, second, third, _ = board.standings
    assert first.score > second.score > third.score
    assert first.model == "demo/large"
    assert (first.rank_low, first.rank_high) == (1, 1)
    assert first.p_best > 0.95
    assert sum(standing.p_best for standing in board.standings) == pytest.approx(1)
    indirect = board.pairs[1]
    assert (indirect.a, indirect.b, indirect.votes, indirect.votes_needed) == ("a", "c", 0, None)


def test_groups_that_never_met_are_ranked_apart_on_one_scale_with_the_larger_group_first():
    votes = [*[("a", "xy")] * 9, ("a", "ab"), ("a", "bc")]
    board = compute_board(cast(*votes), NAMES)
    assert board.components == (("a", "b", "c"), ("x", "y"))
    assert [(standing.key, standing.rank) for standing in board.standings] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
        ("x", 1),
        ("y", 2),
        ("d", 0),
    ]
    assert line(board, "x").score > line(board, "a").score
    assert line(board, "a").p_best + line(board, "b").p_best + line(board, "c").p_best == pytest.approx(1)
    assert line(board, "x").p_best + line(board, "y").p_best == pytest.approx(1)
    assert {(pair.a, pair.b) for pair in board.pairs} == {("a", "b"), ("a", "c"), ("b", "c"), ("x", "y")}


def test_groups_join_through_any_chain_of_meetings():
    assert compared_groups(["ab", "cd", "ef", "de"]) == [("c", "d", "e", "f"), ("a", "b")]
    assert compared_groups(["abc", "dc"]) == [("a", "b", "c", "d")]
    assert compared_groups([]) == []


def test_equal_scores_share_a_rank_and_stand_by_name():
    board = compute_board(
        cast(("tie", "ca"), ("tie", "ac"), ("a", "ab"), ("a", "cb")), {"a": "zephyr", "b": "qwen", "c": "llama"}
    )
    assert [(standing.key, standing.rank) for standing in board.standings] == [("c", 1), ("a", 1), ("b", 3)]


def test_a_rank_is_inside_its_range_even_when_the_draws_disagree():
    # The sharp scores of a and b are the best and the worst by a hair; of the vague ones between them some are above a
    # and some below b more often than not.
    vague = [("tie", (key, f"n{i}")) for i in range(8) for key in "ab"]
    *_, last = first, *_ = compute_board(cast(*[("a", "ab")] * 60, *[("b", "ab")] * 57, *vague), {}).standings
    assert (first.key, first.rank, first.rank_low) == ("a", 1, 1)
    assert (last.key, last.rank, last.rank_high) == ("b", 10, 10)
    assert first.rank_high > 3
    assert last.rank_low < 7


def test_a_model_at_two_fingerprints_has_two_lines():
    board = compute_board(cast(("a", "ab")), {"a": "demo/large", "b": "demo/large"})
    assert [(standing.key, standing.model) for standing in board.standings] == [
        ("a", "demo/large"),
        ("b", "demo/large"),
    ]


def test_tallies_names_and_rounds_are_passed_on():
    board = compute_board(cast(("a", "az"), ("skip", "az")), NAMES, {"a": Tally(tok_s=12.5)}, rounds=2)
    assert (board.votes, board.rounds) == (1, 2)
    assert line(board, "a").tally == Tally(tok_s=12.5)
    assert line(board, "b").tally == Tally()
    assert line(board, "z").model == "z"


@settings(max_examples=50, deadline=None)
@given(st.lists(a_vote, max_size=8), st.lists(st.integers(1, 50), min_size=8, max_size=8), st.booleans())
def test_a_stage_said_n_times_is_n_stages_to_everything_that_counts(votes, times, of_rounds):
    found = [stage if of_rounds else replace(stage, round_id="") for stage in cast(*votes)]
    counted = [replace(stage, times=n) for stage, n in zip(found, cycle(times))]
    repeated = [replace(stage, times=1) for stage in counted for _ in range(stage.times)]
    assert compute_board(counted, NAMES) == compute_board(repeated, NAMES)
    assert keep_records(counted) == keep_records(repeated)
    openings = opening_stages(repeated)
    assert len(openings) == sum(stage.times for stage in opening_stages(counted)) == keep_records(counted).votes


def test_an_empty_board_is_a_board():
    assert compute_board([], {}) == Board(0, 0, (), (), ())
    (alone,) = compute_board([], {"a": "demo/large"}).standings
    assert (alone.score, alone.status, alone.rank) == (1000, Status.NO_VOTES, 0)


def test_stages_without_a_round_are_votes_of_their_own_and_two_voters_of_a_round_are_two_votes():
    nameless = [Stage(("a", "b"), ("a",)), Stage(("a", "b"), ("a",)), Stage(("a", "b", "c"), ("c",))]
    assert (keep_records(nameless).votes, keep_records(nameless).rounds) == (3, 3)
    ranked = [*stages(Verdict.parse("a>b>c", 3), tuple("abc"), "r"), *stages(Verdict.parse("b", 3), tuple("abc"), "r")]
    assert (keep_records(ranked).votes, keep_records(ranked).rounds) == (2, 1)


@pytest.mark.parametrize(
    ("votes", "half_width", "status"),
    [
        (0, 340, Status.NO_VOTES),
        (9, 60, Status.TOO_EARLY),
        (10, 200, Status.USABLE),
        (10, 201, Status.TOO_EARLY),
        (29, 60, Status.USABLE),
        (30, 75, Status.ESTABLISHED),
        (300, 76, Status.USABLE),
    ],
)
def test_trust_needs_votes_and_a_narrow_interval(votes, half_width, status):
    assert trust(votes, half_width) is status


def test_trust_grows_with_the_votes():
    order = list(Status)
    found = [line(compute_board(cast(*[("a", "ab"), ("a", "ba"), ("tie", "ab")] * n), {}), "a") for n in (1, 4, 40)]
    assert [standing.status for standing in found] == order[1:]
    for few, many in pairwise(found):
        assert many.high - many.low < few.high - few.low


def test_a_board_of_a_thousand_votes_is_timed():
    rnd = random.Random(1)
    keys = [f"model {i}" for i in range(10)]
    votes = cast(*((rnd.choice(["a", "b", "tie", "bad"]), rnd.sample(keys, 2)) for _ in range(1000)))
    start = time.perf_counter()
    board = compute_board(votes, dict.fromkeys(keys, "demo/large"))
    elapsed_ms = (time.perf_counter() - start) * 1000
    print(f"a board of 1,000 votes on 10 contestants: {elapsed_ms:.1f} ms")  # noqa: T201 - for `pytest -s`
    assert board.votes == 1000
