"""The Davidson-Luce model: one softmax regression for every kind of vote.

A stage shows a set S of contestants, and the voter picks a non-empty part C of it: one is a winner, several are a tie
for the first place, all of S is 'all equal' or 'all bad'. Every part that could have been picked has a utility, and the
votes follow a softmax of the utilities:

    u(C) = mean of theta_i over i in C + log nu_|C|,  nu_1 = 1
    P(C) = exp u(C) / sum of exp u over all parts of S

Over pairs this is Davidson's model of ties (1970), without ties it is Bradley-Terry and Plackett-Luce; the general form
is Firth, Kosmidis and Turner, arXiv:1909.07123. theta_a - theta_b is the log odds of a over b among decisive votes.

Normal priors keep the estimate finite whatever the votes are: nobody has to have won, lost, or been compared at all.
The posterior is approximated by a normal at its mode (Laplace), which covers honestly from ten votes on, where
bootstrap and sandwich intervals do not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from arena.core.votes import Stage

FloatArray: TypeAlias = NDArray[np.float64]
IndexArray: TypeAlias = NDArray[np.intp]
Picks: TypeAlias = Counter[tuple[str, ...]]
"""How often each part of one set was picked, under its sorted keys."""

_ROUND_SEATS = 3
"""A fit has a nu for ties of up to so many, whether or not anybody met in such a set."""
_MAX_STEPS = 200
"""Lopsided votes by the million took 61."""
_TOLERANCE = 1e-9
"""Newton stops with a step of this many posterior standard deviations: what is then left is rounding."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Independent normal priors on every theta and every log nu."""

    theta_sd: float = 1.0
    """In units of theta: 1 is 174 Elo, close to the spread of the public arena's models (0.96)."""
    log_nu_mean: float = math.log(0.8)
    """0.8 makes 2 in 7 votes between equals a tie."""
    log_nu_sd: float = 1.0


STANDARD_PRIOR = Prior()


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The posterior of the strengths: normal, with this mode and covariance. m is the number of contestants."""

    keys: tuple[str, ...]
    """The contestants, sorted; the order of every axis below."""
    theta: FloatArray
    """Shape (m,): log strengths at the mode. Their mean is 0: votes say nothing of a common shift."""
    covariance: FloatArray
    """Shape (m, m): posterior covariance of theta, the tie parameters integrated out."""
    nu: tuple[float, ...]
    """nu_2, nu_3, ...: how readily 2, 3, ... equal answers are called equal, against picking one of them."""

    def index(self, keys: Iterable[str]) -> list[int]:
        """Where these contestants are on the axes. Raises KeyError for one that was not fitted."""
        axis = {key: i for i, key in enumerate(self.keys)}
        return [axis[key] for key in keys]


def fit_davidson(stages: Iterable[Stage], contestants: Collection[str] = (), prior: Prior = STANDARD_PRIOR) -> Fit:
    """The posterior of all `contestants`, and of whoever else is in `stages`.

    It depends on what was voted, not on the order: equal stages are counted together, and the counts are summed in
    the order of the keys. Raises ValueError when a stage shows somebody twice, or picks nobody, or somebody who was
    not shown, or was never said.
    """
    picked = _count(stages)
    keys = tuple(sorted({*contestants, *chain.from_iterable(picked)}))
    sizes = max([_ROUND_SEATS, *map(len, picked)])
    prior_mean = np.array([0.0] * len(keys) + [prior.log_nu_mean] * (sizes - 1))
    prior_precision = np.array([prior.theta_sd] * len(keys) + [prior.log_nu_sd] * (sizes - 1)) ** -2.0

    likelihood = _Likelihood.of(picked, keys, len(prior_mean))
    mode = prior_mean.copy()
    for _ in range(_MAX_STEPS):
        gradient, information = likelihood.slopes(mode)
        gradient -= prior_precision * (mode - prior_mean)
        information += np.diag(prior_precision)
        step = np.linalg.solve(information, gradient).astype(np.float64, copy=False)
        mode += likelihood.damping(step) * step
        if gradient @ step < _TOLERANCE**2:
            break

    m = len(keys)
    covariance = np.linalg.inv(information)[:m, :m]
    return Fit(keys, mode[:m], (covariance + covariance.T) / 2, tuple(np.exp(mode[m:]).tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class _Likelihood:
    """A softmax regression over sets: L parts in R sets, p parameters; the parts of a set are neighbours."""

    features: FloatArray
    """Shape (L, p): u = features @ parameters."""
    counts: FloatArray
    """Shape (L,): how often the part was picked."""
    totals: FloatArray
    """Shape (R,): how often the set was shown."""
    starts: IndexArray
    """Shape (R,): where each set begins."""
    owner: IndexArray
    """Shape (L,): the set of each part."""

    @classmethod
    def of(cls, picked: Mapping[tuple[str, ...], Picks], keys: tuple[str, ...], parameters: int) -> _Likelihood:
        """Every part of every set that was shown; the last columns are log nu_2, log nu_3, ..."""
        index = {key: i for i, key in enumerate(keys)}
        features: list[FloatArray] = []
        counts: list[int] = []
        sizes: list[int] = []
        for shown in sorted(picked):
            parts = list(_parts(shown))
            sizes.append(len(parts))
            for part in parts:
                row = np.zeros(parameters)
                row[[index[key] for key in part]] = 1 / len(part)
                if len(part) > 1:
                    row[len(keys) + len(part) - 2] = 1
                features.append(row)
                counts.append(picked[shown][part])
        starts = np.cumsum([0, *sizes], dtype=np.intp)[:-1]
        return cls(
            features=np.array(features).reshape(len(features), parameters),
            counts=np.array(counts, dtype=np.float64),
            totals=np.array([picked[shown].total() for shown in sorted(picked)], dtype=np.float64),
            starts=starts,
            owner=np.repeat(np.arange(len(sizes), dtype=np.intp), sizes),
        )

    def slopes(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient, shape (p,), and negative Hessian, shape (p, p), of the log likelihood."""
        utility = self.features @ parameters
        weight = np.exp(utility - np.maximum.reduceat(utility, self.starts)[self.owner])
        chance = weight / np.add.reduceat(weight, self.starts)[self.owner]
        expected = chance * self.totals[self.owner]
        mean = np.add.reduceat(chance[:, None] * self.features, self.starts)
        gradient = self.features.T @ (self.counts - expected)
        information = (self.features.T * expected) @ self.features - (mean.T * self.totals) @ mean
        return gradient, information

    def damping(self, step: FloatArray) -> float:
        """The share of a Newton step, in (0, 1], that is sure to climb.

        Along a step the third derivative of a softmax is at most r times the second, r being the largest difference
        that the step makes inside one set. The lower bound on the ascent that follows from it (Bach, "Self-concordant
        analysis for logistic regression", 2010, proposition 1) is greatest at log(1 + r) / r. Near the mode that is a
        whole step.
        """
        change = self.features @ step
        ranges = np.maximum.reduceat(change, self.starts) - np.minimum.reduceat(change, self.starts)
        r = float(ranges.max(initial=0.0))
        return math.log1p(r) / r if r else 1.0


def _count(stages: Iterable[Stage]) -> dict[tuple[str, ...], Picks]:
    """What was picked of each set that was shown, whatever the seats and the order."""
    picked: dict[tuple[str, ...], Picks] = {}
    said: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    for stage in stages:
        said[stage.shown, stage.chosen] += stage.times
        if stage.times < 1:
            raise ValueError(f"No stage of a vote: cast {stage.times} times.")
    for (shown, chosen), times in said.items():
        if not chosen or not set(chosen) <= set(shown) or len(set(shown)) < len(shown):
            raise ValueError(f"No stage of a vote: {chosen} chosen from {shown}.")
        picked.setdefault(tuple(sorted(shown)), Counter())[tuple(sorted(set(chosen)))] += times
    return picked


def _parts(shown: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All non-empty parts of a set, the small ones first."""
    return chain.from_iterable(combinations(shown, size) for size in range(1, len(shown) + 1))
