"""Who meets whom next: the set whose order is most worth asking about, with the probability that it was chosen.

Three times in four it is the set of the largest Phi(-|d| / s) * s, the chance that a pair's order is wrong times how
uncertain the pair is; one time in four the set that was shown least. With five models this takes 8 / 19 / 31 % fewer
votes than random pairs need for what they know after 50 / 100 / 200. Without the share of least-shown sets the 95 %
intervals would hold the truth less often, 94 % and, with ten models, 92 %.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np

from arena.core.errors import UsageError
from arena.ratings.davidson import Fit
from arena.ratings.likelihood import FloatArray, IndexArray
from arena.ratings.posterior import gaps, normal_cdf

LEAST_SHOWN_SHARE = 0.25
FIRST_SHOWINGS = 2
"""Everybody is shown this often before the votes decide."""


def set_chances(
    fit: Fit,
    shown_counts: Mapping[str, int],
    candidates: Collection[str],
    size: int,
    *,
    pair_counts: Mapping[tuple[str, str], int],
) -> tuple[list[tuple[str, ...]], FloatArray]:
    """All sets of `size` candidates, and the probability of each to be chosen, shape (number of sets,).

    While somebody was shown fewer than two times, it is a set with such a newcomer: the one whose pairs met least, and
    among these the one whose members were shown least, each counted up to two. A set of three is worth what its three
    pairs are worth. Equals are equally likely.

    `shown_counts` and `pair_counts` say how many rounds showed each contestant and each two together, voted on or not;
    pairs are sorted, and what is missing was never shown. Who sits where is for the dealer to draw.
    Raises UsageError when there are fewer candidates than seats, KeyError for a candidate that was not fitted.
    """
    names = sorted(set(candidates))
    if len(names) < size:
        raise UsageError(
            f"A round of {size} needs {size} different contestants, not {len(names)}.", "Name more of them."
        )
    seats = np.array(list(combinations(range(len(names)), size)), dtype=np.intp)
    sets = [tuple(names[i] for i in row) for row in seats.tolist()]

    showings = np.array([min(shown_counts.get(name, 0), FIRST_SHOWINGS) for name in names], dtype=np.float64)
    meetings = np.array([[pair_counts.get((a, b), 0) for b in names] for a in names], dtype=np.float64)
    met = _over_pairs(meetings, seats)
    if (showings < FIRST_SHOWINGS).any():
        newcomer = (showings[seats] < FIRST_SHOWINGS).any(axis=1)
        # Showings only decide between sets that met as often: their share stays below 1.
        order = met + showings[seats].sum(axis=1) / (size * FIRST_SHOWINGS + 1)
        return sets, _even_among_smallest(np.where(newcomer, order, np.inf))

    worth = _over_pairs(pair_worth(fit)[np.ix_(fit.index(names), fit.index(names))], seats)
    least_shown, most_worth = _even_among_smallest(met), _even_among_smallest(-worth)
    return sets, LEAST_SHOWN_SHARE * least_shown + (1 - LEAST_SHOWN_SHARE) * most_worth


def bridging_pairs(
    fit: Fit, groups: Sequence[Collection[str]], playable: Collection[str] | None = None
) -> list[tuple[str, str]]:
    """For each group after the first, the pair of the first and of it that is most worth asking about.

    A match of the two joins the groups. Of each group only the `playable` ones are asked, where there are any.
    """
    if len(groups) < 2:
        return []
    worth = pair_worth(fit)

    def able(group: Collection[str]) -> list[str]:
        found = sorted(group)
        return [key for key in found if playable is None or key in playable] or found

    bridges = []
    for group in groups[1:]:
        ours, theirs = able(groups[0]), able(group)
        values = np.round(worth[np.ix_(fit.index(ours), fit.index(theirs))], 9)
        i, j = np.unravel_index(int(values.argmax()), values.shape)
        bridges.append((ours[int(i)], theirs[int(j)]))
    return bridges


def pair_worth(fit: Fit) -> FloatArray:
    """How much asking about a pair tells, shape (m, m): the chance that its order is wrong times how uncertain it is.

    What stands on the diagonal means nothing.
    """
    gap, sd = gaps(fit)
    np.fill_diagonal(sd, 1.0)
    return normal_cdf(-np.abs(gap) / sd) * sd


def _over_pairs(values: FloatArray, seats: IndexArray) -> FloatArray:
    """Sums of a matrix, above its diagonal, over the pairs in each set."""
    total = np.zeros(len(seats))
    for i, j in combinations(range(seats.shape[1]), 2):
        total += values[seats[:, i], seats[:, j]]
    return total


def _even_among_smallest(values: FloatArray) -> FloatArray:
    """Probability 1, shared evenly among the smallest values; values that differ by rounding are the same."""
    least = float(values.min())
    smallest = (values <= least + 1e-9 * max(1.0, abs(least))).astype(np.float64)
    return smallest / float(smallest.sum())
