"""What is counted rather than estimated: records of wins and losses, who met whom, and groups that never met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from arena.core.votes import Stage


@dataclass(slots=True)
class Record:
    """What the votes on one contestant were."""

    votes: int = 0
    wins: int = 0
    """Alone at the top of its round."""
    ties: int = 0
    """At the top with somebody else: a shared first place, all equal, or all bad."""
    losses: int = 0
    """Below the top."""
    all_bad: int = 0
    """Of the ties, those in which every answer was bad."""


@dataclass(slots=True)
class Records:
    """The counts of a whole board."""

    votes: int
    rounds: int
    """Rounds that were voted on."""
    contestants: dict[str, Record] = field(default_factory=dict)
    """By key; who never took part has none."""
    meetings: Counter[frozenset[str]] = field(default_factory=Counter)
    """Votes in which both of a pair took part."""


def opening_stages(stages: Sequence[Stage]) -> list[Stage]:
    """The first stage of each vote, which shows all the seats of its round; later stages only order the rest.

    In a round the widest stages are the first ones, so the order of the stages does not matter, and a round that
    several people judged has several. A stage without a round is as many votes of their own as it was cast times.
    """
    seats: dict[str, int] = {}
    for stage in stages:
        if len(stage.shown) > seats.get(stage.round_id, 2):
            seats[stage.round_id] = len(stage.shown)
    return [stage for stage in stages if not stage.round_id or len(stage.shown) >= seats.get(stage.round_id, 2)]


def keep_records(stages: Sequence[Stage]) -> Records:
    """Count the votes that these stages come from."""
    openings = opening_stages(stages)
    named = {stage.round_id for stage in openings if stage.round_id}
    kinds: Counter[tuple[tuple[str, ...], tuple[str, ...], bool]] = Counter()
    for stage in openings:
        kinds[stage.shown, stage.chosen, stage.both_bad] += stage.times
    nameless = sum(stage.times for stage in openings if not stage.round_id)
    records = Records(votes=kinds.total(), rounds=len(named) + nameless)
    met: Counter[tuple[str, str]] = Counter()
    for (shown, chosen, all_bad), times in kinds.items():
        for pair in combinations(shown, 2):
            met[pair] += times
        for key in shown:
            record = records.contestants.get(key)
            if record is None:
                record = records.contestants[key] = Record()
            record.votes += times
            if key not in chosen:
                record.losses += times
            elif len(chosen) == 1:
                record.wins += times
            else:
                record.ties += times
            record.all_bad += times * all_bad
    for pair, times in met.items():
        records.meetings[frozenset(pair)] += times
    return records


def compared_groups(meetings: Iterable[Collection[str]]) -> list[tuple[str, ...]]:
    """Groups within which everybody was compared with everybody, if only through others; larger ones first.

    Union-find: every contestant points towards the one that speaks for its group.
    """
    speaker: dict[str, str] = {}

    def find(key: str) -> str:
        speaker.setdefault(key, key)
        while speaker[key] != key:
            speaker[key] = speaker[speaker[key]]
            key = speaker[key]
        return key

    for first, *others in meetings:
        for other in others:
            speaker[find(other)] = find(first)

    groups: dict[str, list[str]] = {}
    for key in sorted(speaker):
        groups.setdefault(find(key), []).append(key)
    return sorted((tuple(group) for group in groups.values()), key=lambda group: (-len(group), group))
