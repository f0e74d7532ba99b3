"""The Davidson-Luce model: one softmax regression for every kind of vote.

A stage shows a set S of contestants, and the voter picks a non-empty part C of it: one is a winner, several are a tie
for the first place, all of S is 'all equal' or 'all bad'. Every part that could have been picked has a utility, and the
votes follow a softmax of the utilities:

    u(C) = mean of theta_i over i in C + log nu_|C|,  nu_1 = 1
    P(C) = exp u(C) / sum of exp u over all parts of S

Over pairs this is Davidson's model of ties (1970), without ties it is Bradley-Terry and Plackett-Luce; the general form
is Firth, Kosmidis and Turner, arXiv:1909.07123. theta_a - theta_b is the log odds of a over b among decisive votes.

Two more things may add to a utility, each in equal parts over C: the seat, from 1/2 for the leftmost to -1/2 for the
rightmost, and the length of the answer, as its share of the characters of the set in units of the usual difference
between two of them (for pairs that is (a - b) / (a + b), as the public arena's style control has it). Voters who lean
to one side or to long answers are known by these terms, and the strengths are what is left.

Normal priors keep the estimate finite whatever the votes are: nobody has to have won, lost, or been compared at all.
The posterior is approximated by a normal at its mode (Laplace), which covers honestly from ten votes on, where
bootstrap and sandwich intervals do not.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from arena.core.ratings import Effect
from arena.core.votes import Stage
from arena.ratings.likelihood import ROUND_SEATS, Block, FloatArray, Layout, blocks_of, count_picks

_MAX_STEPS = 200
"""Lopsided votes by the million took 61."""
_TOLERANCE = 1e-9
"""Newton stops with a step of this many posterior standard deviations: what is then left is rounding."""
Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Prior:
    """Independent normal priors on every parameter."""

    theta_sd: float = 1.0
    """In units of theta: 1 is 174 Elo, close to the spread of the public arena's models (0.96)."""
    log_nu_mean: float = math.log(0.8)
    """0.8 makes 2 in 7 votes between equals a tie."""
    log_nu_sd: float = 1.0
    side_sd: float = 0.5
    """Around 0, as for the length. 0: there is no such term, and the order of the seats is of no interest."""
    length_sd: float = 0.5


STANDARD_PRIOR = Prior()


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The posterior of the strengths: normal, with this mode and covariance. m is the number of contestants."""

    keys: tuple[str, ...]
    """The contestants, sorted; the order of every axis below."""
    theta: FloatArray
    """Shape (m,): log strengths at the mode. Their mean is 0: votes say nothing of a common shift."""
    covariance: FloatArray
    """Shape (m, m): posterior covariance of theta, everything else integrated out."""
    nu: tuple[float, ...]
    """nu_2, nu_3, ...: how readily 2, 3, ... equal answers are called equal, against picking one of them."""
    side: Effect | None = None
    """Log odds of the leftmost answer over the rightmost one of equals; None: not fitted."""
    length: Effect | None = None
    """Log odds of the longer answer over the shorter one of equals, at the usual difference; None: not fitted."""
    mode: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Shape (p,): all parameters at the mode, in the order of the layout."""

    def index(self, keys: Iterable[str]) -> list[int]:
        """Where these contestants are on the axes. Raises KeyError for one that was not fitted."""
        axis = {key: i for i, key in enumerate(self.keys)}
        return [axis[key] for key in keys]


def fit_davidson(
    stages: Iterable[Stage],
    contestants: Collection[str] = (),
    prior: Prior = STANDARD_PRIOR,
    *,
    length: bool = False,
    near: Fit | None = None,
) -> Fit:
    """The posterior of all `contestants`, and of whoever else is in `stages`; with a term for the length if wanted.

    `near`: a fit of the same contestants without that term, whose mode will not be far away.

    It depends on what was voted, not on the order: equal stages are counted together, and the counts are summed in
    the order of the keys. Raises ValueError when a stage shows somebody twice, or picks nobody, or somebody who was
    not shown, or was never said.
    """
    side = prior.side_sd > 0
    picked = count_picks(stages, seats=side, lengths=length)
    shown = {key for key, _ in picked}
    keys = tuple(sorted({*contestants, *(key for several in shown for key in several)}))
    layout = Layout(keys, max([ROUND_SEATS, *map(len, shown)]) - 1, side, length)
    start = np.append(near.mode, 0.0) if near and length and len(near.mode) == layout.size - 1 else None
    return fit_blocks(blocks_of(picked, layout), layout, prior, start)


def fit_blocks(
    blocks: Sequence[Block], layout: Layout, prior: Prior = STANDARD_PRIOR, start: FloatArray | None = None
) -> Fit:
    """The posterior of counted sets; `start`: parameters to begin with, such as those of a fit with a vote less."""
    mean, sd = _prior(layout, prior)
    mode, covariance = _mode(blocks, mean, sd**-2.0, mean if start is None else start)
    m = len(layout.keys)
    terms = [
        Effect(v, v - Z95 * s, v + Z95 * s)
        for v, s in zip(mode.tolist(), np.sqrt(np.diag(covariance)).tolist(), strict=True)
    ]
    return Fit(
        layout.keys,
        mode[:m],
        covariance[:m, :m],
        tuple(np.exp(mode[m : m + layout.nus]).tolist()),
        side=terms[m + layout.nus] if layout.side else None,
        length=terms[-1] if layout.length else None,
        mode=mode,
    )


def _prior(layout: Layout, prior: Prior) -> tuple[FloatArray, FloatArray]:
    """Means and standard deviations of every parameter."""
    m, nus = len(layout.keys), layout.nus
    extra = [prior.side_sd] * layout.side + [prior.length_sd] * layout.length
    mean = np.array([0.0] * m + [prior.log_nu_mean] * nus + [0.0] * len(extra))
    return mean, np.array([prior.theta_sd] * m + [prior.log_nu_sd] * nus + extra)


def _mode(
    blocks: Sequence[Block], mean: FloatArray, precision: FloatArray, start: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Where the posterior is highest, and the inverse of its curvature there: Newton's method, damped."""
    mode = start.copy()
    for _ in range(_MAX_STEPS):
        gradient, information = -precision * (mode - mean), np.diag(precision)
        for block in blocks:
            slope, curvature = block.slopes(mode)
            gradient += slope
            information += curvature
        step = np.linalg.solve(information, gradient).astype(np.float64, copy=False)
        mode += _damping(blocks, step) * step
        if gradient @ step < _TOLERANCE**2:
            break
    covariance = np.linalg.inv(information)
    return mode, (covariance + covariance.T) / 2


def _damping(blocks: Sequence[Block], step: FloatArray) -> float:
    """The share of a Newton step, in (0, 1], that is sure to climb.

    Along a step the third derivative of a softmax is at most r times the second, r being the largest difference that
    the step makes inside one set. The lower bound on the ascent that follows from it (Bach, "Self-concordant analysis
    for logistic regression", 2010, proposition 1) is greatest at log(1 + r) / r. Near the mode that is a whole step.
    """
    r = max((block.widest_change(step) for block in blocks), default=0.0)
    return math.log1p(r) / r if r else 1.0
