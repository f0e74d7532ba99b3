"""The bias report: how often the left, the longer, the first or the prettier answer was chosen, with intervals.

The intervals are Wilson's: the shares that a test at 5 % would not reject. They hold their promise from a handful of
votes on, never leave [0, 1], and need no table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from arena.core.bias import BiasReport, Rate, Sight
from arena.core.votes import stages
from arena.ratings.davidson import Z95, fit_davidson

_Outcome = tuple[bool, int]
"""Whether the answer in question was chosen, and how many there were to choose from."""


def bias_report(rated: Sequence[Sight], controls: Sequence[Sight] = ()) -> BiasReport:
    """The report on these judged rounds; the rates are over those with one winner, side and length over all."""
    decisive = [sight for sight in rated if len(sight.verdict.winners) == 1]
    noise = [outcome for outcome in map(_noise, controls) if outcome is not None]
    fit = None
    if rated:
        cast = [
            stage for i, sight in enumerate(rated) for stage in stages(sight.verdict, sight.keys, str(i), sight.chars)
        ]
        fit = fit_davidson(cast, length=True)
    return BiasReport(
        votes=len(decisive),
        left=rate((sight.verdict.winners == (0,), len(sight.keys)) for sight in decisive),
        longer=rate(_most(decisive, [sight.chars for sight in decisive])),
        first_finished=rate(_most(decisive, [tuple(-moment for moment in sight.ended) for sight in decisive])),
        markdown=rate(_most(decisive, [sight.marks for sight in decisive])),
        noise=replace(rate((decided, seats) for decided, _, seats in noise), chance=None),
        noise_left=rate((left, seats) for decided, left, seats in noise if decided),
        side=fit.side if fit else None,
        length=fit.length if fit else None,
    )


def rate(outcomes: Iterable[_Outcome]) -> Rate:
    """The rate of these outcomes, with Wilson's interval."""
    found = list(outcomes)
    count = sum(happened for happened, _ in found)
    chance = sum(1 / seats for _, seats in found) / len(found) if found else 0.5
    return Rate(count, len(found), *wilson(count, len(found)), chance)


def wilson(count: int, of: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's interval of a share: both solutions p of (count / of - p)^2 = z^2 p (1 - p) / of; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, spread = count / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _most(sights: Sequence[Sight], figures: Sequence[tuple[float, ...]]) -> Iterable[_Outcome]:
    """Whether the one answer with the largest figure was chosen; where several share it, there is none such."""
    for sight, values in zip(sights, figures, strict=True):
        if values and values.count(max(values)) == 1:
            yield sight.verdict.winners == (values.index(max(values)),), len(values)


def _noise(sight: Sight) -> tuple[bool, bool, int] | None:
    """Whether a control was decided between the twins, whether for the leftmost one, and how many twins there are."""
    twins = sight.twins
    if not twins:
        return None
    place = {seat: i for i, group in enumerate(sight.verdict.ranking) for seat in group}
    levels = [place.get(seat, len(place)) for seat in twins]
    return len(set(levels)) > 1, levels[0] < min(levels[1:]), len(twins)
