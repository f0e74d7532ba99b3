"""Rounds that wait for a vote, in a random order, and the queue that makes more of them while they are read."""

from __future__ import annotations

import random
from asyncio import wrap_future
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from arena.core.errors import ArenaError
from arena.core.rounds import RoundState, SealedRound
from arena.series import Step
from arena.tui.language import _, plural
from arena.wiring import Arena

if TYPE_CHECKING:
    from arena.store.dealing import QueueState


class Judging:
    """What there is to judge. Belongs to the screen; only `_heard` is filled from the engine's thread."""

    def __init__(self, arena: Arena, rng: random.Random | None = None) -> None:
        """Nothing is looked up yet."""
        self._arena = arena
        self._rng = rng or random.SystemRandom()
        self._waiting: list[SealedRound] = []
        self._heard: deque[Step] = deque()
        self._queues: list[QueueState] = []
        self.playing = False
        """Whether a queue is being played now."""
        self.to_come = 0
        """Rounds that are still to be played."""
        self.left_s: float | None = None
        """About how long these take, in seconds."""
        self.fresh = False
        """Whether there may be a round that was not there when somebody last looked."""

    @property
    def waiting(self) -> int:
        """Rounds that can be judged now."""
        return len(self._waiting)

    async def look(self) -> None:
        """Look for rounds that wait. Each time in another order: who plays a whole evening would learn the old one."""
        self.fresh = False
        self._waiting = await wrap_future(self._arena.waiting())
        self._rng.shuffle(self._waiting)

    async def take(self) -> SealedRound | None:
        """The next round to judge; None: there is none now. What was judged or deleted meanwhile is passed over."""
        if not self._waiting:
            await self.look()
        while self._waiting:
            key = self._waiting.pop().view.id
            with suppress(ArenaError):
                found = await wrap_future(self._arena.look(key))
                if isinstance(found, SealedRound) and found.state is RoundState.READY:
                    return found
        return None

    async def left_over(self) -> str:
        """A sentence about what the last time left to be judged or played; '' when that is nothing."""
        rounds = await wrap_future(self._arena.waiting())
        waiting = len(rounds)
        left = sum(queue.left for queue in await wrap_future(self._arena.series.states()))
        told = [plural("{n} round to judge", "{n} rounds to judge", waiting)] if waiting else []
        told += [plural("{n} round of a queue to play", "{n} rounds of a queue to play", left)] if left else []
        return _("Left to do: {rounds}.").format(rounds=_(" and ").join(told)) if told else ""

    async def find_queues(self) -> bool:
        """Whether queues have something left that nobody plays yet here; `play_queues` has to be called then."""
        if self.playing:
            return False
        self._queues = [queue for queue in await wrap_future(self._arena.series.states()) if queue.left]
        self.playing = bool(self._queues)
        return self.playing

    async def play_queues(self) -> None:
        """Play everything that queues have left. Raises ArenaError."""
        tried: set[int] = set()
        try:
            while self._queues:
                for queue in self._queues:
                    self.to_come = queue.left
                    await wrap_future(self._arena.series.play(queue.id, self._heard.append))
                    tried.add(queue.id)
                # Meanwhile another pack may have been taken.
                states = await wrap_future(self._arena.series.states())
                self._queues = [queue for queue in states if queue.left and queue.id not in tried]
        finally:
            self.playing, self.to_come, self.fresh = False, 0, True

    def news(self) -> bool:
        """Whether a round of a queue is over since the last call."""
        heard = [self._heard.popleft() for __ in range(len(self._heard))]
        if heard:
            self.to_come, self.left_s, self.fresh = heard[-1].left, heard[-1].left_s, True
        return bool(heard)
