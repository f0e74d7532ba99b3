"""Who meets whom next, and that the stored propensity is the true one."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.errors import UsageError
from arena.core.votes import Stage
from arena.ratings.davidson import fit_davidson
from arena.ratings.pairing import LEAST_SHOWN_SHARE, set_chances
from arena.ratings.posterior import beats, gaps

KEYS = ("a", "b", "c", "d", "e")
SEEN = dict.fromkeys(KEYS, 2)
"""Nobody is a newcomer."""


def wins(pair: str, times: int) -> list[Stage]:
    return [Stage(tuple(pair), (pair[0],))] * times


def even(pair: str, times: int) -> list[Stage]:
    return wins(pair, times) + wins(pair[::-1], times)


def chance(found, wanted: str) -> float:
    sets, chances = found
    return float(chances[sets.index(tuple(wanted))])


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), st.integers(0, 4)),
    st.dictionaries(st.sampled_from(list(combinations(KEYS, 2))), st.integers(0, 9)),
    st.lists(st.sampled_from(list(combinations(KEYS, 2))), max_size=20),
    st.sampled_from([2, 3]),
)
def test_the_chances_of_all_sets_are_one_probability(shown, met, won, size):
    found = fit_davidson([Stage(pair, pair[:1]) for pair in won], KEYS)
    sets, chances = set_chances(found, shown, KEYS, size, pair_counts=met)
    assert sets == list(combinations(KEYS, size))
    assert chances.sum() == pytest.approx(1)
    assert (chances >= 0).all()
    again = set_chances(found, shown, KEYS[::-1], size, pair_counts=met)
    assert again[0] == sets
    assert np.array_equal(again[1], chances)


def test_three_quarters_go_to_the_pair_of_the_largest_worth_and_one_to_the_least_shown():
    # a and b are known to be equal, c and d known to be apart, a and c are close and hardly known.
    # Contestants that are no candidates stand before and between them.
    found = fit_davidson(even("ab", 40) + wins("cd", 40) + even("ac", 2), ["a", "a retired one", "b", "c", "d", "0"])
    met = {("a", "b"): 80, ("a", "c"): 4, ("a", "d"): 1, ("b", "c"): 1, ("b", "d"): 2, ("c", "d"): 40}
    axes = np.ix_(found.index("abcd"), found.index("abcd"))
    gap, sd = gaps(found)[0][axes], gaps(found)[1][axes]
    chance_of_a = beats(found)[axes]
    wrong = np.minimum(chance_of_a, chance_of_a.T)
    worth = {pair: wrong[i, j] * sd[i, j] for (i, j), pair in zip(combinations(range(4), 2), met, strict=True)}
    best = max(worth, key=worth.get)
    assert best == ("b", "c")
    assert worth["a", "b"] < worth["b", "c"] > worth["c", "d"]
    assert abs(gap[0, 1]) < abs(gap[2, 3])

    chances = set_chances(found, dict.fromkeys("abcd", 9), "abcd", 2, pair_counts=met)
    assert chance(chances, "bc") == pytest.approx(1 - LEAST_SHOWN_SHARE / 2)
    assert chance(chances, "ad") == pytest.approx(LEAST_SHOWN_SHARE / 2)


def test_equals_are_equally_likely():
    _, chances = set_chances(fit_davidson([], KEYS), SEEN, KEYS, 2, pair_counts={})
    assert chances == pytest.approx([0.1] * 10)


def test_equals_are_equal_but_for_rounding():
    # Everybody beats the next in a ring: in exact arithmetic no two pairs at this distance differ.
    ring = [pair for a, b in zip(KEYS, KEYS[1:] + KEYS[:1], strict=True) for pair in wins(a + b, 7)]
    sets, chances = set_chances(
        fit_davidson(ring, KEYS), SEEN, KEYS, 2, pair_counts=dict.fromkeys(combinations(KEYS, 2), 7)
    )
    apart = [keys not in {("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("a", "e")} for keys in sets]
    assert chances[apart] == pytest.approx([(1 - LEAST_SHOWN_SHARE) / 5 + LEAST_SHOWN_SHARE / 10] * 5)


def test_a_set_of_three_is_worth_what_its_pairs_are_worth():
    found = fit_davidson(even("ab", 40) + even("cd", 40) + even("ac", 40), KEYS)
    met = {pair: 1 for pair in combinations(KEYS, 2) if pair != ("a", "d")}
    chances = set_chances(found, SEEN, KEYS, 3, pair_counts=met)
    # The one that was never shown, with the two that are furthest from each other in the chain of meetings.
    assert chance(chances, "bde") == pytest.approx(1 - LEAST_SHOWN_SHARE)
    assert [chance(chances, f"a{key}d") for key in "bc"] == pytest.approx([LEAST_SHOWN_SHARE / 3] * 2)
    assert chance(chances, "ade") == pytest.approx(LEAST_SHOWN_SHARE / 3)


@pytest.mark.parametrize(("size", "rounds"), [(2, 6), (3, 5)])
def test_everybody_is_shown_twice_before_anybody_is_shown_often(size, rounds):
    for seed in range(20):
        rng = random.Random(seed)
        shown: Counter[str] = Counter()
        met: Counter[tuple[str, str]] = Counter()
        while min(shown[key] for key in KEYS) < 2:
            sets, chances = set_chances(fit_davidson([], KEYS), shown, KEYS, size, pair_counts=met)
            (chosen,) = rng.choices(sets, chances.tolist())
            shown.update(chosen)
            met.update(combinations(chosen, 2))
        assert shown.total() <= rounds * size
        if size == 2:
            assert max(met.values()) == 1


def test_a_newcomer_meets_the_others_with_equal_chances():
    found = fit_davidson(even("ab", 40) + wins("cd", 40), KEYS)
    sets, chances = set_chances(found, {"a": 80, "b": 80, "c": 40, "d": 40}, KEYS, 2, pair_counts={})
    assert {keys: p for keys, p in zip(sets, chances.tolist(), strict=True) if p} == {(k, "e"): 0.25 for k in "abcd"}


def test_a_newcomer_plays_next_whatever_the_pairs_say():
    met = dict.fromkeys([(key, "e") for key in "abcd"], 5)
    for size in (2, 3):
        sets, chances = set_chances(fit_davidson([], KEYS), {**SEEN, "e": 1}, KEYS, size, pair_counts=met)
        assert all("e" in keys for keys, p in zip(sets, chances.tolist(), strict=True) if p)


def test_only_candidates_play():
    found = fit_davidson(even("ab", 3), KEYS)
    sets, chances = set_chances(found, SEEN, {"b", "d"}, 2, pair_counts={})
    assert (sets, chances.tolist()) == ([("b", "d")], [1])


def test_too_few_candidates_are_a_fault_of_the_arguments():
    with pytest.raises(UsageError, match="A round of 3 needs 3 different contestants, not 2"):
        set_chances(fit_davidson([], KEYS), SEEN, ["a", "b", "a"], 3, pair_counts={})
