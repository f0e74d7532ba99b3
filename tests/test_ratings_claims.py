"""What the leaderboard claims: who leads, which pair joins groups, what length changes, what nothing beats."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.ratings import Board, Lead, Tally
from arena.core.votes import Stage, Verdict, stages
from arena.ratings.board import compute_board
from arena.ratings.davidson import fit_davidson
from arena.ratings.pareto import unbeaten, with_frontiers
from arena.ratings.posterior import ELO_PER_THETA, draw, even, lead

NAMES = {key: f"demo/{key}" for key in "abcdxy"}


def cast(*votes: tuple[str, str]) -> list[Stage]:
    """Stages of (verdict, keys in seat order), each a round of its own."""
    return [
        stage
        for i, (verdict, keys) in enumerate(votes)
        for stage in stages(Verdict.parse(verdict, len(keys)), tuple(keys), f"round {i}")
    ]


def both_ways(verdict: str, keys: str, times: int) -> list[tuple[str, str]]:
    """A verdict over two so many times, with the seats changed each time."""
    mirrored = {"a": "b", "b": "a"}.get(verdict, verdict)
    return [(verdict, keys) if n % 2 else (mirrored, keys[::-1]) for n in range(times)]


def leads(board: Board) -> dict[str, Lead]:
    return {pair.a + pair.b: pair.lead for pair in board.pairs}


# Words


@pytest.mark.parametrize(
    ("p_ahead", "p_even", "votes", "word"),
    [
        (0.79, 0.1, 100, Lead.TOO_EARLY),
        (0.80, 0.1, 100, Lead.LEANING),
        (0.949, 0.1, 100, Lead.LEANING),
        (0.95, 0.1, 100, Lead.AHEAD),
        (0.95, 0.1, 10, Lead.AHEAD),
        (0.999, 0.1, 9, Lead.LEANING),
        (0.04, 0.1, 10, Lead.AHEAD),
        (0.5, 0.80, 100, Lead.EVEN),
        (0.96, 0.81, 100, Lead.EVEN),
    ],
)
def test_words_are_no_stronger_than_the_votes(p_ahead, p_even, votes, word):
    assert lead(p_ahead, p_even, votes) is word


def test_the_votes_of_a_lead_are_those_in_which_either_took_part():
    clear = both_ways("a", "ab", 9)
    assert leads(compute_board(cast(*clear), NAMES)) == {"ab": Lead.LEANING}
    assert leads(compute_board(cast(*clear, ("tie", "bc")), NAMES))["ab"] is Lead.AHEAD


def test_equals_are_called_so_once_the_votes_suffice():
    few, many = ([*both_ways("a", "ab", n), *both_ways("b", "ab", n), *both_ways("tie", "ab", n)] for n in (4, 60))
    assert leads(compute_board(cast(*few), NAMES)) == {"ab": Lead.TOO_EARLY}
    assert leads(compute_board(cast(*many), NAMES)) == {"ab": Lead.EVEN}


def test_the_chance_of_no_practical_difference_is_that_of_the_draws():
    found = fit_davidson(cast(*both_ways("a", "ab", 30), *both_ways("b", "ab", 25), *both_ways("tie", "bc", 9)), NAMES)
    drawn = draw(found, 40_000) * ELO_PER_THETA
    share = (np.abs(drawn[:, :, None] - drawn[:, None, :]) < 50).mean(axis=0)
    off_diagonal = ~np.eye(len(found.keys), dtype=bool)
    assert even(found)[off_diagonal] == pytest.approx(share[off_diagonal], abs=0.01)


# Groups


def test_a_group_is_bridged_by_the_pair_that_tells_most():
    votes = [*both_ways("a", "ab", 8), *both_ways("a", "bc", 8), *both_ways("a", "xy", 8)]
    board = compute_board(cast(*votes), NAMES)
    assert board.components == (("a", "b", "c"), ("x", "y"))
    ((ours, theirs),) = board.bridges
    assert ours in "abc"
    assert theirs in "xy"
    by_key = {line.key: line for line in board.standings}
    closest = min(abs(by_key[i].score - by_key[j].score) for i in board.components[0] for j in board.components[1])
    assert abs(by_key[ours].score - by_key[theirs].score) == pytest.approx(closest)
    joined = compute_board(cast(*votes, ("a", ours + theirs)), NAMES)
    assert len(joined.components) == 1
    assert joined.bridges == ()


def test_only_those_who_can_play_are_asked_to_bridge():
    votes = cast(*both_ways("a", "ab", 8), *both_ways("a", "bc", 8), *both_ways("a", "xy", 8))
    for ours in "abc":
        for theirs in "xy":
            assert compute_board(votes, NAMES, playable={ours, theirs, "d"}).bridges == ((ours, theirs),)
    nobody = compute_board(votes, NAMES, playable=()).bridges
    assert nobody == compute_board(votes, NAMES).bridges


# Side and length


def lengthy(votes: int, seed: int = 1) -> list[Stage]:
    """a writes at length and b briefly; the voter takes the longer answer three times in four, whoever wrote it."""
    rnd = random.Random(seed)
    found = []
    for n in range(votes):
        chars = {"a": rnd.randrange(200, 1500), "b": rnd.randrange(100, 900)}
        shown = "ab" if n % 2 else "ba"
        longer = max("ab", key=chars.__getitem__)
        chosen = longer if rnd.random() < 0.75 else ("b" if longer == "a" else "a")
        found.append(Stage(tuple(shown), (chosen,), f"r{n}", chars=tuple(chars[key] for key in shown)))
    return found


def test_the_adjusted_score_is_there_from_a_hundred_votes_and_takes_the_length_out():
    short, enough = compute_board(lengthy(99), NAMES), compute_board(lengthy(100), NAMES)
    assert short.length is None
    assert [line.adjusted for line in short.standings] == [None] * len(NAMES)
    many = compute_board(lengthy(600), NAMES)
    assert enough.length is not None
    assert many.length.low > 0
    a, b = (next(line for line in many.standings if line.key == key) for key in "ab")
    assert a.score - b.score > 60
    assert abs(a.adjusted - b.adjusted) < 0.5 * (a.score - b.score)
    without = [replace(stage, chars=()) for stage in lengthy(600)]
    assert compute_board(without, NAMES).length is None
    assert [line.score for line in compute_board(without, NAMES).standings] == [line.score for line in many.standings]


def test_a_board_says_how_much_the_left_seat_is_worth():
    left = compute_board(cast(*[("a", "ab"), ("a", "ba")] * 20), NAMES)
    assert left.side.low > 0
    right = compute_board(cast(*[("b", "ab"), ("b", "ba")] * 20), NAMES)
    assert right.side.value == pytest.approx(-left.side.value)
    assert compute_board([], NAMES).side is None


# Quality against cost

points = st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(points)
def test_the_unbeaten_are_all_those_whom_no_other_beats(points):
    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one != other and one[0] >= other[0] and one[1] >= other[1]

    wanted = {key for key, own in points.items() if not any(beats(other, own) for other in points.values())}
    found = unbeaten(points)
    assert set(found) == wanted
    assert [points[key][0] for key in found] == sorted((points[key][0] for key in found), reverse=True)


def test_frontiers_are_of_those_here_with_votes_and_known_costs_and_only_beside_those_they_were_compared_with():
    tallies = {
        "a": Tally(chars_s=10, vram_bytes=8),
        "b": Tally(chars_s=30, vram_bytes=4),
        "c": Tally(chars_s=20, vram_bytes=4),
        "d": Tally(chars_s=999),  # no votes
        "x": Tally(chars_s=1),
        "y": Tally(vram_bytes=9),
    }
    votes = [*both_ways("a", "ab", 8), *both_ways("a", "bc", 8), *both_ways("a", "xy", 8)]
    board = compute_board(cast(*votes), NAMES, tallies)
    assert board.unbeaten_for_speed == ("a", "b", "x")
    assert board.unbeaten_for_memory == ("a", "b", "y")
    gone = [replace(line, here=line.key != "b") for line in board.standings]
    without_b = with_frontiers(replace(board, standings=tuple(gone)))
    assert without_b.unbeaten_for_speed == ("a", "c", "x")
    assert without_b.unbeaten_for_memory == ("a", "c", "y")
    away = [replace(line, here=False) for line in board.standings]
    assert with_frontiers(replace(board, standings=tuple(away))).unbeaten_for_speed == board.unbeaten_for_speed


def test_one_thread_is_enough_for_a_board_and_nobody_else_is_told_so():
    code = "import os, arena.ratings.board; print(os.environ.get('OPENBLAS_NUM_THREADS'))"
    for given_, seen in ((None, "None"), ("2", "2")):
        environ = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
        environ |= {} if given_ is None else {"OPENBLAS_NUM_THREADS": given_}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
        assert done.stdout.strip() == seen
