"""The replay of the pair rule: fair to both rules, the same for the same seed, and right where the answer is known."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from arena.cli.simulation import as_json, as_text
from arena.core.errors import ArenaError
from arena.core.simulation import SimulationPlan
from arena.core.votes import Stage
from arena.ratings.davidson import fit_davidson
from arena.ratings.simulate import _outcome, _votes_for, _Voting, kendall, rising_curve, simulate


def a_board(models: int = 4, votes: int = 60, gap: float = 1.0) -> list[Stage]:
    """Votes on models of which each is better than the next one by `gap`."""
    rnd = random.Random(1)
    found = []
    for _ in range(votes):
        a, b = rnd.sample(range(models), 2)
        ahead = 1 / (1 + np.exp(gap * (a - b)))
        shown = (f"m{a}", f"m{b}")
        found.append(Stage(shown, shown if rnd.random() < 0.2 else (shown[int(rnd.random() >= ahead)],)))
    return found


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=9, unique=True), st.randoms(use_true_random=False))
def test_tau_is_kendalls(values, rnd):
    other = rnd.sample(values, len(values))
    theirs = kendalltau(values, other).statistic
    assert kendall(np.array(values), np.array(other)) == pytest.approx(theirs, abs=1e-12)


def test_a_board_that_grows_has_the_fit_of_its_votes():
    board, stages = _Voting(("a", "b", "c")), []
    rnd = random.Random(2)
    for _ in range(40):
        seats = tuple(rnd.sample(range(3), 2))
        part = rnd.randrange(3)
        board.vote(seats, part)
        shown = tuple("abc"[seat] for seat in seats)
        stages.append(Stage(shown, shown if part == 2 else (shown[part],)))
        grown = board.update()
    whole = fit_davidson(stages)
    assert grown.theta == pytest.approx(whole.theta, abs=1e-8)
    assert grown.covariance == pytest.approx(whole.covariance, abs=1e-8)
    assert grown.side.value == pytest.approx(whole.side.value, abs=1e-8)


def test_voters_follow_the_model():
    rng = np.random.default_rng(3)
    cast = [_outcome(0.7, 0.8, rng.random()) for _ in range(20_000)]
    weights = np.array([np.exp(0.35), np.exp(-0.35), 0.8])
    assert np.bincount(cast) / len(cast) == pytest.approx(weights / weights.sum(), abs=0.015)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_a_rising_curve_never_falls_and_keeps_the_mean(values):
    found = rising_curve(np.array(values))
    assert len(found) == len(values)
    assert (np.diff(found) >= 0).all()
    assert found.mean() == pytest.approx(np.mean(values), abs=1e-9)
    assert rising_curve(np.sort(values)) == pytest.approx(np.sort(values))


def test_the_votes_for_a_value_are_read_between_the_looks():
    looks = [10, 20, 30]
    assert _votes_for(0.3, looks, np.array([0.2, 0.4, 0.8])) == pytest.approx(15)
    assert _votes_for(0.1, looks, np.array([0.2, 0.4, 0.8])) == pytest.approx(5)
    assert _votes_for(0.9, looks, np.array([0.2, 0.4, 0.8])) is None
    assert _votes_for(0.3, looks, np.array([0.4, 0.2, 0.8])) == pytest.approx(10), "a dip is noise"


def test_the_same_seed_replays_the_same_and_tells_of_each_repeat():
    told: list[int] = []
    plan = SimulationPlan(repeats=3, votes=50, seed=5)
    first = simulate(a_board(), plan, told.append)
    assert told == [1, 2, 3]
    assert simulate(a_board()[::-1], plan) == first
    assert simulate(a_board(), SimulationPlan(repeats=3, votes=50, seed=6)) != first
    assert first.contestants == ("m0", "m1", "m2", "m3")
    assert [at.votes for at in first.milestones] == [50]


def test_where_models_differ_much_both_rules_find_out_and_more_votes_know_more():
    found = simulate(a_board(gap=1.2, votes=400), SimulationPlan(repeats=12, votes=100))
    few, many = found.milestones
    for accuracy in (many.rule, many.random):
        assert accuracy.tau > 0.8
        assert accuracy.top > 0.7
    assert many.rule.tau > few.rule.tau - 0.1
    assert few.rule_votes_for_tau is None or few.rule_votes_for_tau <= 100


def test_without_two_who_have_votes_there_is_nothing_to_replay():
    with pytest.raises(ArenaError, match="nothing to replay"):
        simulate([], SimulationPlan())


def test_what_is_printed_is_what_was_found():
    found = simulate(a_board(), SimulationPlan(repeats=2, votes=50))
    text = as_text(found)
    (at,) = found.milestones
    assert text.splitlines()[1].split()[:3] == ["50", f"{at.random.tau:.2f}", f"{at.rule.tau:.2f}"]
    assert "2 truths drawn from what your 60 votes on 4 contestants allow" in text
    told = json.loads(json.dumps(as_json(found, {"m0": "demo/large"})))
    assert told["contestants"] == ["demo/large", "m1", "m2", "m3"]
    assert told["milestones"][0]["rule"] == {"tau": at.rule.tau, "top": at.rule.top}
    assert (told["repeats"], told["votes"], told["seed"], told["votes_on_board"]) == (2, 50, 0, 60)
