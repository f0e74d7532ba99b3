"""The leaderboard, recomputed from raw votes each time: nothing of it depends on their order or is ever stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations

from arena.core.ratings import Board, PairStanding, Standing, Status, Tally
from arena.core.votes import Stage
from arena.ratings import posterior
from arena.ratings.davidson import Fit, fit_davidson
from arena.ratings.pairing import bridging_pairs
from arena.ratings.pareto import with_frontiers
from arena.ratings.records import Record, Records, compared_groups, keep_records, opening_stages

_EARLY_VOTES = 10
_EARLY_HALF_WIDTH = 200.0
_ESTABLISHED_VOTES = 30
_ESTABLISHED_HALF_WIDTH = 75.0
_VOTES_WITH_LENGTHS = 100


def compute_board(
    stages: Sequence[Stage],
    contestants: Mapping[str, str],
    tallies: Mapping[str, Tally] | None = None,
    *,
    rounds: int | None = None,
    playable: Collection[str] | None = None,
) -> Board:
    """The leaderboard of these votes.

    `stages` are those of every vote that is to count (`arena.core.votes.stages`). `contestants` maps the key of each
    contestant, also of those without a vote, to the name of its line; somebody who is only in the stages is called by
    the key. A model at two fingerprints is two contestants and has two lines. `tallies` are the speed columns by key.
    `rounds` is how many rounds were played; None: as many as were voted on. `playable` are the keys of those that can
    play now, for the pairs that would join groups; None: all of them.

    Groups that were never compared, not even through others, have no common order: ranks, P(best) and pairs are those
    inside a group, the larger groups come first, and only the scores share one scale. Inside a group the best score
    comes first and equal scores share a rank. Contestants without votes come last and have no place: rank, its range
    and P(best) are 0, and they are in no group.

    Wins, ties and losses are counted once a vote. A win is being alone at the top of the round; a tie is sharing the
    top, which all equal and all bad are too; a loss is anything else, the second place of three included. What the
    second place is worth is in the score.

    In a pair of `Board.pairs` a stands above b; a pair that only met through others is there with 0 votes.

    From 100 votes on whose answers' lengths are known there is a second score, that of answers of equal length. Below
    that the length term is too uncertain to help, and without a leaning of the voter it costs a little accuracy, so
    the order never follows it.
    """
    records = keep_records(stages)
    fit = fit_davidson(stages, contestants)
    long_enough = sum(stage.times for stage in opening_stages(stages) if stage.chars) >= _VOTES_WITH_LENGTHS
    by_length = fit_davidson(stages, contestants, length=True, near=fit) if long_enough else None
    lines = _Lines(fit, records, contestants, tallies or {}, by_length)
    groups = [lines.in_order(group) for group in compared_groups(lines.records.meetings)]
    unvoted = lines.in_order(set(lines.fit.keys) - lines.records.contestants.keys())
    standings = (*chain.from_iterable(map(lines.placed, groups)), *map(lines.unplaced, unvoted))
    return with_frontiers(
        Board(
            votes=records.votes,
            rounds=records.rounds if rounds is None else rounds,
            components=tuple(groups),
            standings=standings,
            pairs=tuple(chain.from_iterable(map(lines.pairs, groups))),
            bridges=tuple(bridging_pairs(fit, groups, playable)),
            side=fit.side if records.votes else None,
            length=by_length.length if by_length else None,
        )
    )


def trust(votes: int, half_width: float) -> Status:
    """How far a score can be trusted that comes of so many votes and has a 95 % interval of +- `half_width`.

    Too early: under 10 votes, or wider than +-200. Established: from 30 votes on, and +-75 or narrower. Usable:
    between. Under 10 votes the claims about near-equal contestants are too bold, whatever the interval says. Widths
    rather than P(beats next) decide, so that equals can get established too: they are known to be equal.

    In simulated fields of five (true spread 104 points) a rank was right within one for 77 % of the standings that had
    just become usable, at about 10 votes each, and for 96 % of those just established, at about 80.
    """
    if votes == 0:
        return Status.NO_VOTES
    if votes < _EARLY_VOTES or half_width > _EARLY_HALF_WIDTH:
        return Status.TOO_EARLY
    if votes >= _ESTABLISHED_VOTES and half_width <= _ESTABLISHED_HALF_WIDTH:
        return Status.ESTABLISHED
    return Status.USABLE


class _Lines:
    """Writes the lines of one board."""

    def __init__(
        self,
        fit: Fit,
        records: Records,
        names: Mapping[str, str],
        tallies: Mapping[str, Tally],
        by_length: Fit | None = None,
    ) -> None:
        """Read off the posterior what every line needs; `by_length`: the fit with a term for the length."""
        self.fit = fit
        self.records = records
        self._names = names
        self._tallies = tallies
        self._score, self._half_width = posterior.scores(fit)
        self._draws = posterior.draw(fit)
        self._adjusted = None if by_length is None else posterior.scores(by_length)[0]

    def in_order(self, keys: Iterable[str]) -> tuple[str, ...]:
        """The best score first; equals by name."""
        level = self._levels(keys)
        return tuple(sorted(level, key=lambda key: (-level[key], self._names.get(key, key), key)))

    def placed(self, group: tuple[str, ...]) -> Iterator[Standing]:
        """The lines of a group in order, with places inside it."""
        level = self._levels(group)
        places = posterior.places(self._draws[:, self.fit.index(group)])
        for key, best, low, high in zip(group, places.best.tolist(), places.low, places.high, strict=True):
            rank = 1 + sum(other > level[key] for other in level.values())
            # One sharp score among vague ones can stand first and still be rarely so in the draws.
            yield replace(
                self.unplaced(key), rank=rank, rank_low=min(low, rank), rank_high=max(high, rank), p_best=best
            )

    def unplaced(self, key: str) -> Standing:
        """The line of a contestant, but for its place."""
        (i,) = self.fit.index([key])
        score, half_width = float(self._score[i]), float(self._half_width[i])
        record = self.records.contestants.get(key, Record())
        return Standing(
            key=key,
            model=self._names.get(key, key),
            score=score,
            low=score - half_width,
            high=score + half_width,
            rank=0,
            rank_low=0,
            rank_high=0,
            p_best=0.0,
            status=trust(record.votes, half_width),
            votes=record.votes,
            wins=record.wins,
            ties=record.ties,
            losses=record.losses,
            both_bad=record.all_bad / record.votes if record.votes else 0.0,
            tally=self._tallies.get(key, Tally()),
            adjusted=None if self._adjusted is None else float(self._adjusted[i]),
        )

    def pairs(self, group: tuple[str, ...]) -> Iterator[PairStanding]:
        """Every pair of a group in order, the one that stands above first."""
        gap, sd = posterior.gaps(self.fit)
        beats, even = posterior.beats(self.fit), posterior.even(self.fit)
        votes = {key: self.records.contestants[key].votes for key in group}
        for (a, i), (b, j) in combinations(zip(group, self.fit.index(group), strict=True), 2):
            met, p_ahead, p_even = self.records.meetings[frozenset((a, b))], float(beats[i, j]), float(even[i, j])
            yield PairStanding(
                a=a,
                b=b,
                votes=met,
                p_a_beats_b=p_ahead,
                votes_needed=posterior.votes_needed(float(gap[i, j]), float(sd[i, j]), self.fit.nu[0]),
                p_even=p_even,
                lead=posterior.lead(p_ahead, p_even, votes[a] + votes[b] - met),
            )

    def _levels(self, keys: Iterable[str]) -> dict[str, float]:
        """Log strengths by key, rounded so that equals are equal."""
        keys = list(keys)
        return {key: round(float(self.fit.theta[i]), 9) for key, i in zip(keys, self.fit.index(keys), strict=True)}
