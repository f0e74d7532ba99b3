"""The fit against other people's code, closed forms, exact posteriors and simulated voters."""

from __future__ import annotations

import math
from itertools import combinations

import choix
import evalica
import numpy as np
import pytest

from arena.core.votes import Stage
from arena.ratings.davidson import Fit, Prior, fit_davidson
from arena.ratings.posterior import ELO_PER_THETA, beats, gaps, scores

NO_SIDE = Prior(side_sd=0)
FLAT = Prior(theta_sd=1e4, log_nu_sd=1e4, side_sd=0)
NO_TIES = Prior(log_nu_mean=-40.0, log_nu_sd=1e-3, side_sd=0)
NO_TIES_FLAT = Prior(theta_sd=1e4, log_nu_mean=-40.0, log_nu_sd=1e-3, side_sd=0)


def name(i) -> str:
    return f"m{i:02}"


def parts(shown):
    return [part for size in range(1, len(shown) + 1) for part in combinations(shown, size)]


def utilities(parameters, shown, m, shares=()):
    """The model as it is written down, one vote at a time. `parameters` are theta, log nu_2, log nu_3, side, length."""
    theta, log_nu, (side, length) = parameters[:m], [0.0, *parameters[m : m + 2]], [*parameters[m + 2 :], 0.0, 0.0][:2]
    seats = {2: (0.5, -0.5), 3: (0.5, 0.0, -0.5)}[len(shown)]
    worth = {i: theta[i] + side * seat for i, seat in zip(shown, seats, strict=True)}
    worth |= {i: worth[i] + length * share for i, share in zip(shown, shares, strict=False)}
    return np.array([np.mean([worth[i] for i in part]) + log_nu[len(part) - 1] for part in parts(shown)])


def cast(rng, parameters, m, size) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The set shown to a voter who follows the model, in random seats, and the part picked."""
    shown = tuple(rng.choice(m, size, replace=False).tolist())
    weight = np.exp(utilities(parameters, shown, m))
    return shown, parts(shown)[rng.choice(len(weight), p=weight / weight.sum())]


def stages_of(votes) -> list[Stage]:
    return [Stage(tuple(map(name, shown)), tuple(map(name, chosen))) for shown, chosen in votes]


def pairs_cast(m, votes, nu, seed):
    rng = np.random.default_rng(seed)
    parameters = np.array([*rng.normal(0, 0.6, m), math.log(nu) if nu else -math.inf, -math.inf])
    return [cast(rng, parameters, m, 2) for _ in range(votes)]


def gap(found: Fit, i=0, j=1) -> tuple[float, float]:
    mean, sd = gaps(found)
    return float(mean[i, j]), float(sd[i, j])


# Other people's code


@pytest.mark.parametrize("seed", range(3))
def test_newmans_maximum_likelihood_is_the_fit_with_a_flat_prior(seed):
    votes = pairs_cast(6, 400, nu=0.8, seed=seed)
    outcome = {True: evalica.Winner.X, False: evalica.Winner.Y}
    theirs = evalica.newman(
        [name(shown[0]) for shown, _ in votes],
        [name(shown[1]) for shown, _ in votes],
        [evalica.Winner.Draw if len(part) == 2 else outcome[part[0] == shown[0]] for shown, part in votes],
        tolerance=1e-13,
        limit=100_000,
    )
    found = fit_davidson(stages_of(votes), prior=FLAT)
    strengths = np.log([theirs.scores[key] for key in found.keys])
    assert found.theta - found.theta.mean() == pytest.approx(strengths - strengths.mean(), abs=1e-7)
    assert found.nu[0] == pytest.approx(2 * theirs.v, rel=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_bradley_terry_is_the_fit_without_ties(seed):
    votes = pairs_cast(6, 400, nu=0.0, seed=seed)
    wins = [(part[0], next(i for i in shown if i != part[0])) for shown, part in votes]
    flat = fit_davidson(stages_of(votes), prior=NO_TIES_FLAT)
    theirs = choix.ilsr_pairwise(6, wins, tol=1e-12)
    assert flat.theta - flat.theta.mean() == pytest.approx(theirs - theirs.mean(), abs=1e-7)

    # choix writes the prior as alpha |theta|^2: 0.5 is N(0, 1).
    regular = fit_davidson(stages_of(votes), prior=NO_TIES)
    assert regular.theta == pytest.approx(choix.opt_pairwise(6, wins, alpha=0.5, tol=1e-12), abs=1e-7)


def test_plackett_luce_is_the_fit_of_full_rankings_without_ties():
    rng = np.random.default_rng(5)
    theta = rng.normal(0, 0.6, 6)
    picks = [rng.choice(6, 3, replace=False) for _ in range(200)]
    rankings = [tuple(shown[np.argsort(-theta[shown] - rng.gumbel(size=3))].tolist()) for shown in picks]
    stages = [stage for a, b, c in rankings for stage in (((a, b, c), (a,)), ((c, b), (b,)))]
    theirs = choix.opt_rankings(6, rankings, alpha=0.5, tol=1e-12)
    assert fit_davidson(stages_of(stages), prior=NO_TIES).theta == pytest.approx(theirs, abs=1e-7)


def test_plackett_luce_of_the_first_place_is_the_fit_of_best_of_three_without_ties():
    rng = np.random.default_rng(6)
    parameters = np.array([*rng.normal(0, 0.6, 6), -math.inf, -math.inf])
    votes = [cast(rng, parameters, 6, 3) for _ in range(200)]
    tops = [(part[0], tuple(i for i in shown if i != part[0])) for shown, part in votes]
    theirs = choix.opt_top1(6, tops, alpha=0.5, tol=1e-12)
    assert fit_davidson(stages_of(votes), prior=NO_TIES).theta == pytest.approx(theirs, abs=1e-7)


# The model as it is written down


@pytest.mark.parametrize("length", [False, True], ids=["side", "side and length"])
def test_the_fit_is_at_the_top_of_the_posterior_and_the_covariance_is_its_curvature(length):
    m, prior = 4, Prior()
    rng = np.random.default_rng(7)
    truth = np.array([*rng.normal(0, 0.6, m), math.log(0.8), math.log(0.5), 0.6])
    votes = [(*cast(rng, truth, m, size), rng.integers(0, 900, size)) for size in [2, 3] * 40]
    shares = [chars / chars.sum() for *_, chars in votes]
    usual = math.sqrt(np.mean([(a - b) ** 2 for several in shares for a, b in combinations(several, 2)]))
    sd = np.array([*[prior.theta_sd] * m, prior.log_nu_sd, prior.log_nu_sd, prior.side_sd, prior.length_sd])
    mean = np.array([*[0.0] * m, prior.log_nu_mean, prior.log_nu_mean, 0.0, 0.0])
    p = m + 3 + length

    def log_posterior(parameters) -> float:
        total = -0.5 * float(np.sum(((parameters - mean[:p]) / sd[:p]) ** 2))
        for (shown, part, _), several in zip(votes, shares, strict=True):
            utility = utilities(parameters, shown, m, several / usual)
            total += utility[parts(shown).index(part)] - math.log(np.exp(utility).sum())
        return total

    cast_votes = [
        Stage(tuple(map(name, shown)), tuple(map(name, chosen)), chars=tuple(chars.tolist()))
        for shown, chosen, chars in votes
    ]
    found = fit_davidson(cast_votes, length=length)
    terms = [found.side, found.length][: 1 + length]
    top, steps = np.array([*found.theta, *np.log(found.nu), *(term.value for term in terms)]), np.eye(p) * 1e-3
    slope = [(log_posterior(top + s) - log_posterior(top - s)) / 2e-3 for s in steps]
    assert slope == pytest.approx([0] * p, abs=1e-5)
    curvature = [
        [sum(i * j * log_posterior(top + i * s + j * t) for i in (1, -1) for j in (1, -1)) / 4e-6 for t in steps]
        for s in steps
    ]
    spread = np.linalg.inv(-np.array(curvature))
    assert spread[:m, :m] == pytest.approx(found.covariance, abs=1e-5)
    for term, variance in zip(terms, np.diag(spread)[m + 2 :], strict=True):
        assert (term.high - term.value, term.value - term.low) == pytest.approx(
            [1.96 * math.sqrt(variance)] * 2, rel=1e-3
        )


def test_two_contestants_have_davidsons_closed_form():
    wins, losses, ties = 30, 12, 18
    votes = [((0, 1), (0,))] * wins + [((1, 0), (1,))] * losses + [((0, 1), (0, 1))] * ties
    found = fit_davidson(stages_of(votes), prior=FLAT)
    assert gap(found)[0] == pytest.approx(math.log(wins / losses), abs=1e-6)
    assert found.nu[0] == pytest.approx(ties / math.sqrt(wins * losses), rel=1e-6)


def test_three_equals_have_the_frequencies_of_ties_as_tie_parameters():
    times = {1: 5, 2: 3, 3: 4}
    votes = [((0, 1, 2), part) for part in parts((0, 1, 2)) for _ in range(times[len(part)])]
    found = fit_davidson(stages_of(votes), prior=FLAT)
    assert gaps(found)[0] == pytest.approx(np.zeros((3, 3)), abs=1e-9)
    assert found.nu == pytest.approx((3 / 5, 4 / 5), rel=1e-6)


@pytest.mark.parametrize("record", [(1, 0, 0), (3, 0, 2), (10, 0, 0), (6, 3, 4), (2, 9, 1), (12, 11, 30)])
def test_the_normal_approximation_is_close_to_the_exact_posterior_of_two(record):
    wins, losses, ties = record
    d, log_nu = np.meshgrid(np.linspace(-9, 9, 1201), np.linspace(-6, 6, 401))
    total = np.log(np.exp(d / 2) + np.exp(-d / 2) + np.exp(log_nu))
    log_density = (wins - losses) * d / 2 + ties * log_nu - sum(record) * total
    log_density -= d**2 / 4 + (log_nu - math.log(0.8)) ** 2 / 2
    density = np.exp(log_density - log_density.max())
    density /= density.sum()
    mean = (density * d).sum()
    sd = math.sqrt((density * (d - mean) ** 2).sum())

    votes = [((0, 1), (0,))] * wins + [((0, 1), (1,))] * losses + [((0, 1), (0, 1))] * ties
    found = fit_davidson(stages_of(votes), [name(0), name(1)], NO_SIDE)
    assert beats(found)[0, 1] == pytest.approx(density[d > 0].sum() + density[d == 0].sum() / 2, abs=0.02)
    assert gap(found)[1] == pytest.approx(sd, rel=0.05)


# Figures


@pytest.mark.parametrize(
    ("wins", "prior", "elo", "half_width", "chance"),
    [
        (0, NO_SIDE, 0, 482, 0.50),
        (1, NO_SIDE, 127, 415, 0.73),
        (10, NO_SIDE, 415, 301, 0.997),
        (1, Prior(log_nu_mean=0.0, side_sd=0), 128, 417, 0.73),
        (10, Prior(log_nu_mean=0.0, side_sd=0), 421, 304, 0.997),
    ],
)
def test_a_few_votes_say_a_little(wins, prior, elo, half_width, chance):
    found = fit_davidson(stages_of([((0, 1), (0,))] * wins), [name(0), name(1)], prior)
    mean, sd = gap(found)
    assert mean * ELO_PER_THETA == pytest.approx(elo, abs=0.5)
    assert sd * 1.96 * ELO_PER_THETA == pytest.approx(half_width, abs=0.5)
    assert beats(found)[0, 1] == pytest.approx(chance, abs=0.005)
    assert scores(found)[0] == pytest.approx([1000 + elo / 2, 1000 - elo / 2], abs=0.5)


# Simulated voters


@pytest.mark.parametrize(
    ("votes", "size", "lowest", "highest"),
    [(10, 2, 0.97, 1.0), (30, 2, 0.955, 0.99), (100, 2, 0.94, 0.98), (30, 3, 0.945, 0.99)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(votes, size, lowest, highest):
    """150 fields of five, spread 104 points, 30 % ties between two equals; one standard error is about 0.006."""
    rng = np.random.default_rng(8)
    pairs = np.triu_indices(5, 1)
    held: list[float] = []
    for _ in range(150):
        theta = rng.normal(0, 0.6, 5)
        parameters = np.array([*theta, math.log(6 / 7), math.log(6 / 7)])
        found = fit_davidson(
            stages_of(cast(rng, parameters, 5, size) for _ in range(votes)), [name(i) for i in range(5)]
        )
        mean, sd = gaps(found)
        off = np.abs(mean - (theta[:, None] - theta[None, :]))
        held.append(float((off <= 1.96 * sd)[pairs].mean()))
    assert lowest <= np.mean(held) <= highest
