"""Who meets whom: the next set of contestants for a prompt, by the rule of the ratings, and now and then a control."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from arena.core.models import Contestant, ModelInfo, Sampling

if TYPE_CHECKING:
    from arena.ratings.davidson import Fit
    from arena.store.ledger import SqliteLedger

Chosen = tuple[list[ModelInfo], float | None]
"""Who plays, and the probability with which the rule chose them; None: there was no choice, or it is a control."""
CONTROLS_FROM = 10
"""Rounds that come before the first control: who has just begun should see models, not a test of himself."""


class Picker:
    """Picks sets out of the chosen models. Belongs to the desk; what it has picked counts as shown for the next one."""

    def __init__(
        self,
        ledger: SqliteLedger,
        infos: Sequence[ModelInfo],
        seats: int,
        sampling: Sampling,
        rng: random.Random,
        controls: float,
    ) -> None:
        """`controls`: the share of rounds in which one model sits on every seat."""
        self._ledger = ledger
        self._infos = list(infos)
        self._seats = seats
        self._rng = rng
        self._controls = controls
        self._leaders = ledger.merges()
        self._contestants = {str(info): Contestant.of(info, sampling) for info in infos}
        self._by_key = {self._key(info): info for info in infos}
        self._shown = Counter(ledger.shown_counts())
        self._met = Counter(ledger.pair_counts())

    def pick(self, played: Collection[tuple[str, ...]] = ()) -> Chosen | None:
        """The next set. None: every set there is was `played` already; those are sorted fingerprints."""
        if self._control_is_due():
            varied = [info for info in self._infos if self._varies(info)]
            if varied:
                return [self._rng.choice(varied)] * self._seats, None
        if len(self._by_key) <= self._seats:  # some of them may count as one
            others = [info for info in self._infos if info not in self._by_key.values()]
            chosen = [*self._by_key.values(), *others][: self._seats]
            keys = self.keys(chosen)
            return None if keys in played else (self._seated(keys, chosen), None)
        sets, chances = self._chances()
        left = [(keys, chance) for keys, chance in zip(sets, chances, strict=True) if keys not in played]
        if not left:
            return None
        # Where all that the rule would choose was played, the others are equally good.
        weights = [chance for _, chance in left] if any(chance for _, chance in left) else [1.0] * len(left)
        at = self._rng.choices(range(len(left)), weights)[0]
        keys = left[at][0]
        return self._seated(keys, [self._by_key[key] for key in keys]), weights[at] / sum(weights)

    def keys(self, infos: Sequence[ModelInfo]) -> tuple[str, ...]:
        """A set as `played` has it."""
        return tuple(sorted(map(self._key, infos)))

    def _seated(self, keys: tuple[str, ...], chosen: list[ModelInfo]) -> list[ModelInfo]:
        self._shown.update(set(keys))
        self._met.update(combinations(sorted(set(keys)), 2))
        return chosen

    def _key(self, info: ModelInfo) -> str:
        key = self._contestants[str(info)].fingerprint
        return self._leaders.get(key, key)

    def _control_is_due(self) -> bool:
        enough = sum(self._shown.values()) >= CONTROLS_FROM * self._seats
        return enough and self._rng.random() < self._controls

    def _varies(self, info: ModelInfo) -> bool:
        """Whether it says something else when it is asked again with another seed."""
        return dict(self._contestants[str(info)].sampler).get("temperature", 1.0) > 0

    def _chances(self) -> tuple[list[tuple[str, ...]], list[float]]:
        from arena.ratings.pairing import set_chances  # noqa: PLC0415 - numpy

        sets, chances = set_chances(self._fit, self._shown, self._by_key, self._seats, pair_counts=self._met)
        return sets, chances.tolist()

    @cached_property
    def _fit(self) -> Fit:
        from arena.ratings.davidson import fit_davidson  # noqa: PLC0415 - numpy

        return fit_davidson(self._ledger.stages(), {*self._by_key, *self._ledger.contestants()})
