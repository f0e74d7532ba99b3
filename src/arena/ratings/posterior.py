"""What a fit says: scores with intervals, who beats whom, places, and how many votes are missing.

Scores are on the Davidson scale: 100 more are odds of 10 ** (100 / 400) = 1.78 to 1 among decisive votes. Ratings in
which a tie counts half, such as the public arena's, put the same contestants closer together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from arena.core.ratings import Lead
from arena.ratings.davidson import Z95, Fit
from arena.ratings.likelihood import FloatArray

ELO_PER_THETA = 400 / math.log(10)
"""173.7"""
MEAN_SCORE = 1000.0
DRAWS = 4000
"""A share of the draws is right within 0.008 (one standard error)."""

EVEN_MARGIN = 50.0
"""Points that nobody notices: 57 % against 43 % of the decisive votes."""

_SURE, _VERY_SURE = 0.80, 0.95
_FEW_VOTES = 10
_Z_AHEAD = NormalDist().inv_cdf(_VERY_SURE)
"""A pair is settled when its order is right with a probability of 95 %."""
_VOTE_HINTS = (10, 20, 50, 100, 200, 500, 1000)


def scores(fit: Fit) -> tuple[FloatArray, FloatArray]:
    """Scores, shape (m,), and half-widths of their 95 % intervals, shape (m,).

    A score is a distance from the mean of all contestants. So its variance is the diagonal of C V C with
    C = I - 1/m: the raw diagonal of V also holds the common shift, of which votes say nothing.
    """
    m = len(fit.keys)
    centred = fit.theta - fit.theta.mean() if m else fit.theta
    variance = np.diag(fit.covariance)
    # Nobody is uncertain against a mean of one: that one keeps the width of the prior.
    if m > 1:
        centring = np.eye(m) - 1 / m
        variance = np.diag(centring @ fit.covariance @ centring)
    return MEAN_SCORE + ELO_PER_THETA * centred, ELO_PER_THETA * Z95 * np.sqrt(variance)


def gaps(fit: Fit) -> tuple[FloatArray, FloatArray]:
    """Posterior means and standard deviations, both of shape (m, m), of theta[row] - theta[column]."""
    own = np.diag(fit.covariance)
    variance = own[:, None] + own[None, :] - 2 * fit.covariance
    np.fill_diagonal(variance, 0.0)
    return fit.theta[:, None] - fit.theta[None, :], np.sqrt(variance)


def normal_cdf(z: FloatArray) -> FloatArray:
    """Standard normal distribution function, of any shape, exact far into the tails."""
    values: FloatArray = np.vectorize(math.erfc, otypes=[np.float64])(-z / math.sqrt(2)) / 2
    return values


def beats(fit: Fit) -> FloatArray:
    """Posterior probability that the row is stronger than the column, shape (m, m); 1/2 on the diagonal."""
    gap, sd = gaps(fit)
    np.fill_diagonal(sd, 1.0)
    return normal_cdf(gap / sd)


def even(fit: Fit, margin: float = EVEN_MARGIN) -> FloatArray:
    """Posterior probability that less than `margin` points are between row and column, shape (m, m)."""
    gap, sd = gaps(fit)
    np.fill_diagonal(sd, 1.0)
    edge = margin / ELO_PER_THETA
    return normal_cdf((edge - gap) / sd) - normal_cdf((-edge - gap) / sd)


def lead(p_ahead: float, p_even: float, votes: int) -> Lead:
    """What may be said of a pair; `votes`: those in which either took part.

    Of orders that are claimed with 95 %, 97 % are right at 30 votes in an ordinary field, but 82 % where all are nearly
    equal; under 10 votes such claims are too bold for a word.
    """
    sure = max(p_ahead, 1 - p_ahead)
    if p_even >= _SURE:
        return Lead.EVEN
    if sure < _SURE:
        return Lead.TOO_EARLY
    return Lead.AHEAD if sure >= _VERY_SURE and votes >= _FEW_VOTES else Lead.LEANING


def draw(fit: Fit, count: int = DRAWS, seed: int = 0) -> FloatArray:
    """Draws of theta from the posterior, shape (count, m). The same fit gives the same draws."""
    normal = np.random.default_rng(seed).standard_normal((count, len(fit.keys)))
    return fit.theta + normal @ np.linalg.cholesky(fit.covariance).T


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The posterior of the ranks among k contestants; 1 is best."""

    best: FloatArray
    """Shape (k,): probability of being the best."""
    low: list[int]
    high: list[int]
    """Of each contestant, the ends of a range that holds its rank with a probability of at least 80 %."""


def places(draws: FloatArray) -> Places:
    """The ranks that draws of theta, shape (draws, k), give each of the k contestants."""
    ranks = (-draws).argsort(axis=1).argsort(axis=1) + 1
    low, high = np.quantile(ranks, [0.1, 0.9], axis=0, method="inverted_cdf").astype(int).tolist()
    return Places((ranks == 1).mean(axis=0), low, high)


def votes_needed(gap: float, sd: float, nu: float) -> int | None:
    """About how many more votes on a pair would make its order 95 % sure; None: it is.

    `gap` and `sd` are mean and standard deviation of theta_a - theta_b, `nu` is nu_2 of the fit. n votes add n times
    the information of one vote to the precision 1 / sd^2, and |gap| / sd has to reach 1.645. One vote holds the
    information (p + q - (p - q)^2) / 4, p and q being the chances of a win and of a loss.

    The gap itself will move, so this is right within a factor of 3 only, and rounded to 10, 20, 50, 100, 200, 500 or
    1000. 1000 stands for all that is more, such as a pair with no difference to find.
    """
    if abs(gap) >= _Z_AHEAD * sd:
        return None
    win, loss = math.exp(gap / 2), math.exp(-gap / 2)
    p, q = win / (win + loss + nu), loss / (win + loss + nu)
    information = (p + q - (p - q) ** 2) / 4
    # No gap at all asks for no more votes than a tiny one: both for more than anybody casts.
    votes = ((_Z_AHEAD / max(abs(gap), 1e-6)) ** 2 - sd**-2) / information
    return min(_VOTE_HINTS, key=lambda hint: abs(math.log(hint / max(votes, 1.0))))
