"""The fit and what is read off it, as laws that hold for any votes."""

from __future__ import annotations

import math
import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.votes import Stage, Verdict, stages
from arena.ratings.davidson import Fit, Prior, fit_davidson
from arena.ratings.posterior import ELO_PER_THETA, beats, draw, gaps, places, scores, votes_needed

KEYS = ("a", "b", "c", "d", "e")
PINNED_NU = Prior(log_nu_sd=1e-3, side_sd=0)
NO_SIDE = Prior(side_sd=0)


@st.composite
def a_stage(draw_from):
    shown = tuple(draw_from(st.permutations(KEYS)))[: draw_from(st.sampled_from([2, 2, 3]))]
    chosen = tuple(draw_from(st.lists(st.sampled_from(shown), min_size=1, max_size=len(shown), unique=True)))
    return Stage(shown, chosen)


some_votes = st.lists(a_stage(), max_size=40)
few_examples = settings(max_examples=60, deadline=None)


def gap_and_sd(found: Fit, a: str, b: str) -> tuple[float, float]:
    gap, sd = gaps(found)
    i, j = found.index((a, b))
    return float(gap[i, j]), float(sd[i, j])


@few_examples
@given(some_votes, st.randoms(use_true_random=False))
def test_the_order_of_votes_seats_and_contestants_changes_not_a_digit(votes, rnd):
    shuffled = [Stage(tuple(rnd.sample(s.shown, len(s.shown))), s.chosen[::-1]) for s in rnd.sample(votes, len(votes))]
    first, second = fit_davidson(votes, KEYS, NO_SIDE), fit_davidson(shuffled, KEYS[::-1], NO_SIDE)
    assert first.keys == second.keys
    assert first.nu == second.nu
    assert np.array_equal(first.theta, second.theta)
    assert np.array_equal(first.covariance, second.covariance)


@few_examples
@given(some_votes, st.randoms(use_true_random=False))
def test_the_order_of_votes_changes_not_a_digit_of_the_side_term_either(votes, rnd):
    first, second = fit_davidson(votes, KEYS), fit_davidson(rnd.sample(votes, len(votes)), KEYS[::-1])
    assert first.side == second.side
    assert np.array_equal(first.theta, second.theta)


@few_examples
@given(some_votes)
def test_in_the_mirror_the_voter_leans_to_the_other_side_and_everybody_is_as_strong(votes):
    mirrored = [Stage(stage.shown[::-1], stage.chosen) for stage in votes]
    first, second = fit_davidson(votes, KEYS), fit_davidson(mirrored, KEYS)
    assert first.side.value == pytest.approx(-second.side.value, abs=1e-9)
    assert np.allclose(first.theta, second.theta, rtol=0, atol=1e-9)


def a_field(rnd, votes, side=0.0, length=0.0):
    """Stages of a voter of four models who leans to a side and to long answers, by the definitions of the terms."""
    strength = dict(zip("abcd", (0.6, 0.2, -0.2, -0.6), strict=True))
    found = []
    for _ in range(votes):
        shown, chars = tuple(rnd.sample("abcd", 2)), (rnd.randrange(100, 2000), rnd.randrange(100, 2000))
        lean = side + length * (chars[0] - chars[1]) / sum(chars) / 0.5
        odds = math.exp(strength[shown[0]] - strength[shown[1]] + lean)
        chosen = shown if rnd.random() < 0.2 else (shown[rnd.random() >= odds / (1 + odds)],)
        found.append(Stage(shown, chosen, chars=chars))
    return found


def test_a_voter_who_leans_is_found_out_and_the_strengths_are_what_is_left():
    votes = a_field(random.Random(3), 3000, side=0.8, length=0.5)
    found = fit_davidson(votes, length=True)
    assert found.side.low < 0.8 < found.side.high
    assert found.side.low > 0.6
    # The usual difference is not quite the 0.5 that the voter goes by.
    usual = math.sqrt(np.mean([((a - b) / (a + b)) ** 2 for a, b in (stage.chars for stage in votes)]))
    assert found.length.low < 0.5 * usual / 0.5 < found.length.high
    assert found.length.low > 0.3
    assert found.theta == pytest.approx((0.6, 0.2, -0.2, -0.6), abs=0.15)


def test_a_voter_who_does_not_lean_is_not_said_to():
    found = fit_davidson(a_field(random.Random(4), 3000), length=True)
    assert found.side.low < 0 < found.side.high
    assert found.length.low < 0 < found.length.high


def test_without_lengths_there_is_nothing_to_say_about_long_answers():
    known = a_field(random.Random(5), 60)
    unknown = [Stage(stage.shown, stage.chosen) for stage in known]
    found = fit_davidson(unknown, length=True)
    assert (found.length.value, found.length.high) == pytest.approx((0, 1.96 * 0.5), abs=1e-3)
    assert np.allclose(found.theta, fit_davidson(unknown).theta, rtol=0, atol=1e-9)
    assert fit_davidson(known).length is None
    assert fit_davidson([*known, Stage(("a", "b"), ("a",), chars=(0, 0))], length=True).length is not None


@few_examples
@given(some_votes, st.permutations(KEYS))
def test_names_do_not_matter(votes, others):
    alias = dict(zip(KEYS, others, strict=True))
    renamed = [Stage(tuple(alias[k] for k in s.shown), tuple(alias[k] for k in s.chosen)) for s in votes]
    first, second = fit_davidson(votes, KEYS), fit_davidson(renamed, KEYS)
    axes = second.index(alias[key] for key in first.keys)
    assert np.allclose(first.theta, second.theta[axes], rtol=0, atol=1e-9)
    assert np.allclose(first.covariance, second.covariance[np.ix_(axes, axes)], rtol=0, atol=1e-9)


@few_examples
@given(some_votes, st.sampled_from([1, 30, 3000]))
def test_every_number_is_finite_and_no_interval_has_no_width_or_more_than_the_priors(votes, copies):
    found = fit_davidson(votes * copies, KEYS)
    _, sd = gaps(found)
    between = sd[np.triu_indices(len(KEYS), 1)]
    assert (between > 1e-3).all()
    assert (between <= math.sqrt(2) + 1e-9).all()
    score, half_width = scores(found)
    assert np.isfinite(score).all()
    assert (half_width > 1e-1).all()
    assert (half_width <= 1.96 * ELO_PER_THETA).all()
    assert np.isfinite(beats(found)).all()
    assert np.isfinite(draw(found, 10)).all()
    assert all(math.isfinite(nu) and nu > 0 for nu in found.nu)


@few_examples
@given(some_votes)
def test_the_mean_strength_is_the_priors_and_the_common_shift_stays_as_unknown_as_before(votes):
    found = fit_davidson(votes, KEYS)
    assert abs(found.theta.sum()) < 1e-9
    assert np.allclose(found.covariance.sum(axis=1), 1.0, rtol=0, atol=1e-9)


@few_examples
@given(st.lists(a_stage(), min_size=1, max_size=40))
def test_more_of_the_same_votes_narrow_what_they_are_about_and_widen_nothing(votes):
    once, often = fit_davidson(votes, KEYS), fit_davidson(votes * 8, KEYS)
    for pair in {pair for stage in votes for pair in combinations(stage.shown, 2)}:
        assert gap_and_sd(often, *pair)[1] < gap_and_sd(once, *pair)[1]
    assert (scores(often)[1] <= scores(once)[1] + 1e-6).all()


@few_examples
@given(some_votes, st.sampled_from(list(combinations(KEYS, 2))))
def test_a_win_moves_winner_and_loser_apart(votes, pair):
    a, b = pair
    assert (
        gap_and_sd(fit_davidson([*votes, Stage((b, a), (a,))], KEYS), a, b)[0]
        > gap_and_sd(fit_davidson(votes, KEYS), a, b)[0]
    )


# With nu free this is no law: for two contestants ties say how often they are called equal, and nothing of the rest.
@few_examples
@given(some_votes, st.sampled_from(list(combinations(KEYS, 2))))
def test_a_tie_pulls_two_together_while_ties_are_as_likely_as_before(votes, pair):
    before, after = (fit_davidson([*votes, *tie], KEYS, PINNED_NU) for tie in ([], [Stage(pair, pair)]))
    assert abs(gap_and_sd(after, *pair)[0]) <= abs(gap_and_sd(before, *pair)[0]) + 1e-6


def test_ties_of_two_unequal_rivals_pull_them_together_with_the_standard_prior_too():
    votes = [Stage(("a", "c"), ("a",))] * 8 + [Stage(("c", "b"), ("c",))] * 8
    apart, together = (
        gap_and_sd(fit_davidson(votes + [Stage(("a", "b"), ("a", "b"))] * n), "a", "b")[0] for n in (0, 5)
    )
    assert together < 0.8 * apart


@few_examples
@given(some_votes)
def test_nobody_is_dropped(votes):
    assert fit_davidson(votes).keys == tuple(sorted({key for stage in votes for key in stage.shown}))
    assert fit_davidson(votes, ("z", "y")).keys == tuple(
        sorted({"y", "z", *(key for stage in votes for key in stage.shown)})
    )


def test_all_bad_is_rated_as_a_tie():
    bad, tie = (fit_davidson(stages(Verdict.parse(word, 2), ("a", "b")), "abc") for word in ("bad", "tie"))
    assert bad.nu == tie.nu
    assert np.array_equal(bad.covariance, tie.covariance)


@pytest.mark.parametrize("shown_first", list(combinations("abc", 1)))
def test_of_three_a_full_ranking_orders_the_rest_and_the_best_alone_leaves_it_open(shown_first):
    keys = (*shown_first, *(key for key in "abc" if key not in shown_first))
    best = fit_davidson(stages(Verdict.parse("a", 3), keys) * 10, prior=NO_SIDE)
    assert gap_and_sd(best, keys[1], keys[2])[0] == pytest.approx(0, abs=1e-9)
    full = fit_davidson(stages(Verdict.parse("a>b>c", 3), keys) * 10, prior=NO_SIDE)
    assert gap_and_sd(full, keys[0], keys[1])[0] > 0.5
    assert gap_and_sd(full, keys[1], keys[2])[0] > 0.5
    assert gap_and_sd(full, keys[0], keys[2])[1] < math.sqrt(2)


def test_a_shared_first_place_of_three_beats_the_third():
    found = fit_davidson(stages(Verdict.parse("a=b", 3), tuple("abc")) * 5, prior=NO_SIDE)
    assert gap_and_sd(found, "a", "b")[0] == pytest.approx(0, abs=1e-9)
    assert gap_and_sd(found, "a", "c")[0] > 0.5


@pytest.mark.parametrize(
    "bad",
    [
        Stage(("a", "b"), ()),
        Stage(("a", "b"), ("c",)),
        Stage(("a", "a"), ("a",)),
        Stage(("a", "b"), ("a",), times=0),
    ],
    ids=["nobody", "a stranger", "itself", "never"],
)
def test_what_is_no_stage_is_refused(bad):
    with pytest.raises(ValueError, match="No stage of a vote"):
        fit_davidson([bad])


def test_without_contestants_there_is_nothing_to_say():
    found = fit_davidson([])
    assert found.keys == ()
    assert scores(found)[0].shape == (0,)
    assert draw(found).shape == (4000, 0)


def test_one_contestant_alone_has_the_mean_score_and_the_width_of_the_prior():
    score, half_width = scores(fit_davidson([], ["a"]))
    assert score[0] == 1000
    assert half_width[0] == pytest.approx(1.96 * 173.7, rel=1e-3)


@few_examples
@given(some_votes)
def test_one_of_two_is_the_stronger(votes):
    chance = beats(fit_davidson(votes, KEYS))
    assert np.allclose(chance + chance.T, 1, rtol=0, atol=1e-12)
    assert ((chance > 0) & (chance < 1)).all()


def test_draws_have_the_mean_and_covariance_of_the_fit_and_are_the_same_each_time():
    found = fit_davidson([Stage(("a", "b"), ("a",))] * 5 + [Stage(("b", "c"), ("b", "c"))] * 5)
    drawn = draw(found, 100_000)
    assert np.allclose(drawn.mean(axis=0), found.theta, atol=0.015)
    assert np.allclose(np.cov(drawn.T), found.covariance, atol=0.02)
    assert np.array_equal(draw(found), draw(found))


def test_a_range_of_ranks_holds_80_percent_of_the_draws_and_no_more_than_it_must():
    drawn = draw(fit_davidson([Stage(("a", "b", "c"), ("a",))] * 4, KEYS))
    found = places(drawn)
    ranks = 1 + (drawn[:, None, :] > drawn[:, :, None]).sum(axis=2)
    for i, (low, high) in enumerate(zip(found.low, found.high, strict=True)):
        assert ((ranks[:, i] >= low) & (ranks[:, i] <= high)).mean() >= 0.8
        assert (ranks[:, i] <= low).mean() >= 0.1
        assert (ranks[:, i] >= high).mean() >= 0.1
    assert found.best == pytest.approx((ranks == 1).mean(axis=0))
    assert found.best.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("elo", "votes"), [(25, 1000), (50, 200), (75, 100), (100, 50), (150, 20), (200, 10), (300, 10)]
)
def test_the_hint_of_votes_needed_is_the_formulas_for_a_pair_of_which_nothing_is_known(elo, votes):
    # 746, 186, 82, 46, 20, 10 and 3 votes with 30 % ties between equals.
    assert votes_needed(elo / ELO_PER_THETA, 100.0, 6 / 7) == votes
    assert votes_needed(-elo / ELO_PER_THETA, 100.0, 6 / 7) == votes


def test_a_settled_pair_needs_no_votes_and_an_equal_one_more_than_anybody_casts():
    assert votes_needed(1.645, 1.0, 0.8) is None
    assert votes_needed(-1.645, 1.0, 0.8) is None
    assert votes_needed(1.644, 1.0, 0.8) == 10
    # Without what is known already it would be 62.
    assert votes_needed(0.5, 0.4, 6 / 7) == 20
    # Were a win as informative as between equals, 12.
    assert votes_needed(1.1, 100.0, 6 / 7) == 20
    assert votes_needed(0.0, 1.0, 0.8) == 1000


def test_a_great_many_one_sided_votes_still_give_a_finite_fit():
    rnd = random.Random(1)
    votes = [Stage(("a", "b"), ("a",))] * 200_000 + [Stage(("b", "c"), ("b",))] * 200_000
    rnd.shuffle(votes)
    found = fit_davidson(votes)
    assert 3 < gap_and_sd(found, "a", "b")[0] < 20
    assert 0.1 < gap_and_sd(found, "a", "b")[1] < math.sqrt(2)


def test_newtons_steps_are_damped():
    # Whole steps go back and forth for ever on these.
    votes = [Stage(("a", "b", "c"), ("a", "b", "c"))] * 100 + [Stage(("a", "b", "d"), ("a", "b"))] * 30
    found = fit_davidson(votes, prior=NO_SIDE)
    assert gap_and_sd(found, "a", "b")[0] == pytest.approx(0, abs=1e-9)
    assert gap_and_sd(found, "a", "d")[0] == pytest.approx(7.213, abs=1e-3)
    assert found.nu == pytest.approx((5.852, 87.371), abs=1e-3)
