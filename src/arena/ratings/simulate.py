"""Replays of the pair rule against random pairs, on truths that the votes on one's own board allow.

Each repeat draws strengths from the posterior, takes the tie rate and the leaning to a side as they were fitted, and
casts votes from an empty board on, once on pairs by the rule and once on random ones. The same draw is the truth of
both, so that their difference is seen in fewer repeats.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np

from arena.core.errors import ArenaError
from arena.core.simulation import Accuracy, Milestone, Simulation, SimulationPlan
from arena.core.votes import Stage
from arena.ratings.davidson import Fit, fit_blocks, fit_davidson
from arena.ratings.likelihood import ROUND_SEATS, FloatArray, Layout, block_of
from arena.ratings.pairing import set_chances
from arena.ratings.posterior import draw
from arena.ratings.records import keep_records

_STEP = 10
"""Votes between two looks at the board."""
_MILESTONES = (50, 100, 200, 400, 800)
_RULE, _RANDOM = 0, 1


def simulate(stages: Sequence[Stage], plan: SimulationPlan, tell: Callable[[int], None] = lambda _: None) -> Simulation:
    """Replay by that plan; `tell` hears after each repeat how many are done. Raises ArenaError without two contestants.

    The same votes and the same seed give the same figures.
    """
    records = keep_records(stages)
    keys = tuple(sorted(records.contestants))
    if len(keys) < 2:
        raise ArenaError("There is nothing to replay: no two models have votes.", "Vote on a few rounds first.")
    known = fit_davidson(stages)
    truths = draw(known, plan.repeats, plan.seed)
    looks = sorted({*range(_STEP, plan.votes + 1, _STEP), plan.votes})
    right = np.zeros((2, len(looks), 2))
    for repeat, theta in enumerate(truths):
        for way in (_RULE, _RANDOM):
            rng = np.random.default_rng([plan.seed, repeat, way])
            right[way] += _replay(known, theta, looks, rng, by_rule=way == _RULE)
        tell(repeat + 1)
    right /= plan.repeats
    at = [votes for votes in _MILESTONES if votes <= plan.votes] or [plan.votes]
    milestones = [_milestone(votes, looks, right) for votes in at if votes in looks]
    return Simulation(plan, keys, records.votes, tuple(milestones))


class _Voting:
    """A board that grows vote by vote."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        """An empty one."""
        self.keys = keys
        self.layout = Layout(keys, ROUND_SEATS - 1, side=True, length=False)
        self.seats = list(permutations(range(len(keys)), 2))
        self._row = {pair: row for row, pair in enumerate(self.seats)}
        self._block = block_of(np.array(self.seats, dtype=np.intp), np.zeros((len(self.seats), 3)), self.layout)
        self.fit = fit_blocks([self._block], self.layout)

    def vote(self, seats: tuple[int, int], part: int) -> None:
        """Count a vote: for the left (0), the right (1), or a tie (2)."""
        row = self._row[seats]
        self._block.counts[row, part] += 1
        self._block.totals[row] += 1

    def update(self) -> Fit:
        """The fit of all votes so far, from the last one on."""
        self.fit = fit_blocks([self._block], self.layout, start=self.fit.mode)
        return self.fit


def _replay(
    known: Fit, theta: FloatArray, looks: Sequence[int], rng: np.random.Generator, *, by_rule: bool
) -> FloatArray:
    """Kendall's tau, and whether the first place is right, at each look: shape (looks, 2)."""
    board = _Voting(known.keys)
    side = known.side.value if known.side else 0.0
    shown: Counter[str] = Counter()
    met: Counter[tuple[str, str]] = Counter()
    found = np.zeros((len(looks), 2))
    for vote in range(1, looks[-1] + 1):
        if by_rule:
            sets, chances = set_chances(board.fit, shown, board.keys, 2, pair_counts=met)
            names = sets[int(rng.choice(len(sets), p=chances))]
            shown.update(names)
            met[names[0], names[1]] += 1
            pair = board.fit.index(names)
            left, right = pair if rng.random() < 0.5 else pair[::-1]
        else:
            left, right = board.seats[int(rng.integers(len(board.seats)))]
        board.vote((left, right), _outcome(float(theta[left] - theta[right]) + side, known.nu[0], float(rng.random())))
        if by_rule or vote in looks:
            board.update()
        if vote in looks:
            found[looks.index(vote)] = kendall(board.fit.theta, theta), board.fit.theta.argmax() == theta.argmax()
    return found


def _outcome(log_odds: float, nu: float, dice: float) -> int:
    """What a voter says, by Davidson's model: 0 the left, 1 the right, 2 a tie."""
    left, right = math.exp(log_odds / 2), math.exp(-log_odds / 2)
    dice *= left + right + nu
    return 0 if dice < left else 1 if dice < left + right else 2


def kendall(a: FloatArray, b: FloatArray) -> float:
    """Kendall's tau of two rankings by strength, both of shape (m,), without ties: from -1 to 1."""
    upper = np.triu_indices(len(a), 1)
    orders = (np.sign(values[:, None] - values[None, :])[upper] for values in (a, b))
    return float(np.mean(next(orders) * next(orders)))


def _milestone(votes: int, looks: Sequence[int], right: FloatArray) -> Milestone:
    i = looks.index(votes)
    rule, random = (Accuracy(*right[way, i].tolist()) for way in (_RULE, _RANDOM))
    needed = [_votes_for(right[_RANDOM, i, which], looks, right[_RULE, :, which]) for which in (0, 1)]
    return Milestone(votes, random, rule, *needed)


def _votes_for(wanted: float, looks: Sequence[int], curve: FloatArray) -> float | None:
    """With how many votes a curve reaches a value; None: with more than there were.

    Knowledge grows with the votes and the rest is noise, so it is the closest rising curve that is asked.
    """
    rising = rising_curve(curve)
    if wanted > rising[-1]:
        return None
    return float(np.interp(wanted, [0.0, *np.maximum(rising, 0.0)], [0, *looks]))


def rising_curve(values: FloatArray) -> FloatArray:
    """The closest curve by least squares that never falls: neighbours that fall are pooled to their mean."""
    pools: list[tuple[float, int]] = []
    for value in values.tolist():
        mean, count = value, 1
        while pools and pools[-1][0] >= mean:
            before, several = pools.pop()
            mean, count = (before * several + mean * count) / (several + count), several + count
        pools.append((mean, count))
    return np.repeat([mean for mean, _ in pools], [count for _, count in pools])
