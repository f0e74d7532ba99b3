"""The series: rounds dealt ahead and played one after another, while nobody looks or while others are being read.

A queue is in the store before its first round begins. So it goes on after a crash, a reboot or a closed lid where it
was, and two that play one queue take turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from arena.core.errors import ArenaError, MissingModelError
from arena.core.models import ModelInfo
from arena.core.ports import RoundRecord
from arena.core.prompts import Prompt
from arena.core.rounds import Pace, Played, Round, RoundState, Schedule, SealedRound
from arena.core.text import counted
from arena.desk import Desk
from arena.engine.room import Room
from arena.lineup import Lineup
from arena.picking import Chosen
from arena.table import Table

if TYPE_CHECKING:
    from arena.store.dealing import QueueState
    from arena.store.ledger import SqliteLedger

T = TypeVar("T")
RECENT = 20
"""The time left is told from so many rounds: models get warm, and prompts differ."""
GIVE_UP_AFTER = 3
"""So many rounds in a row that can't be voted on, and the queue waits for somebody to look: a server may be down."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a queue is made of."""

    prompts: tuple[Prompt, ...]
    """Taken in turn, from the beginning again where they are fewer than the rounds."""
    infos: tuple[ModelInfo, ...]
    rounds: int
    seats: int = 2
    title: str = ""
    pace: Pace | None = None
    schedule: Schedule | None = None
    blind: bool = True
    again: bool = False
    """Whether a prompt may be put to contestants that had it already, once nothing else is left."""


@dataclass(frozen=True, slots=True)
class Step:
    """A round of a queue is over. But for `played` it tells nothing of who played."""

    found: RoundRecord | SealedRound
    """The round as far as it is open."""
    played: Played | None
    """With all figures: not for a screen before the vote. None: it could not even begin."""
    done: int
    """Rounds that were played since the queue was taken up."""
    left: int
    """Rounds that are still to be played."""
    left_s: float | None
    """About how long these take, in seconds."""


class Series:
    """Plans queues, and plays them in the engine room."""

    def __init__(self, room: Room, desk: Desk, lineup: Lineup, table: Table) -> None:
        """Nothing is planned or played yet."""
        self._room = room
        self._desk = desk
        self._lineup = lineup
        self._table = table
        self.playing = False
        """Whether a queue is being played: what the machine does then would tell of rounds that nobody has judged."""

    def plan(self, order: Order) -> Future[QueueState]:
        """Deal the rounds of a queue and store them: as many as were ordered, or as there is anything new to ask.

        The future raises ArenaError when there is nothing new at all, UsageError for an order that makes no round.
        """

        def deal_all(ledger: SqliteLedger) -> QueueState:
            rounds = self._dealt(ledger, order)
            if not rounds:
                raise ArenaError(
                    "Each of these prompts was put to each set of these models already.",
                    "Add models or prompts, or say --again: such rounds are counted once.",
                )
            return ledger.queue(ledger.plan_queue(order.title, rounds, {info.ref: info for info in order.infos}))

        return self._desk.do(deal_all)

    def play(self, queue: int, tell: Callable[[Step], None] = lambda _: None) -> Future[int]:
        """Play what is left of a queue. Returns how many of its rounds can't be voted on.

        `tell` is called in the engine's thread after each round and must not wait. Cancel the future to stop: the round
        that is being played is planned again. The future raises ArenaError after three in a row that can't be voted on.
        """
        self._lineup.stop_warming()
        return self._room.submit(self._play(queue, tell))

    def states(self) -> Future[list[QueueState]]:
        """All queues, the oldest first."""
        return self._desk.do(lambda ledger: ledger.queues())

    def end(self, queue: int) -> Future[int]:
        """Call a queue off; what was played stays. Returns how many rounds were left. The future raises ArenaError."""
        return self._desk.do(lambda ledger: ledger.end_queue(queue))

    def _dealt(self, ledger: SqliteLedger, order: Order) -> list[Round]:
        picker = self._table.picker(ledger, order.infos, order.seats)
        played = {prompt.sha256: ledger.played(prompt) for prompt in order.prompts}

        def new_to_somebody(prompts: Iterable[Prompt]) -> tuple[Prompt, Chosen] | None:
            picked = ((prompt, picker.pick(played[prompt.sha256])) for prompt in prompts)
            return next(((prompt, chosen) for prompt, chosen in picked if chosen is not None), None)

        rounds: list[Round] = []
        for number in range(order.rounds):
            at = number % len(order.prompts)
            found = new_to_somebody([*order.prompts[at:], *order.prompts[:at]])
            if found is None and order.again:
                prompt = order.prompts[at]
                found = (chosen := picker.pick()) and (prompt, chosen)
            if found is None:
                break
            prompt, (infos, propensity) = found
            played[prompt.sha256].add(picker.keys(infos))
            rounds.append(
                self._table.make(
                    prompt, infos, pace=order.pace, schedule=order.schedule, blind=order.blind, propensity=propensity
                )
            )
        return rounds

    async def _play(self, queue: int, tell: Callable[[Step], None]) -> int:
        self.playing = True
        try:
            return await self._play_all(queue, tell)
        finally:
            self.playing = False

    async def _play_all(self, queue: int, tell: Callable[[Step], None]) -> int:
        void = in_a_row = done = 0
        took: list[float] = []
        while (round_ := await self._take_one(queue)) is not None:
            began = time.monotonic()
            played = await self._play_one(round_)
            took.append(time.monotonic() - began)
            judgeable = played is not None and played.state is not RoundState.VOID
            void, in_a_row, done = void + (not judgeable), 0 if judgeable else in_a_row + 1, done + 1
            found = await self._at_desk(partial(_as_found, round_.id))
            left = (await self._at_desk(lambda ledger: ledger.queue(queue))).left
            tell(Step(found, played, done, left, median(took[-RECENT:]) * left))
            if in_a_row >= GIVE_UP_AFTER and left:
                raise ArenaError(
                    f"{in_a_row} rounds in a row can't be voted on: a seat failed in each.",
                    f"`arena doctor` may help. {counted(left, 'round')} wait; `arena run --resume` goes on.",
                )
        return void

    async def _take_one(self, queue: int) -> Round | None:
        """The next round; None: there is none to take. Called off meanwhile, it is planned again."""
        taking = self._desk.do(lambda ledger: ledger.take_planned(queue))

        def back(ledger: SqliteLedger) -> None:
            if (taken := taking.result()) is not None:  # the desk does what it is asked, also when nobody waits for it
                ledger.put_back(taken.id)

        try:
            return await asyncio.wrap_future(taking)
        except asyncio.CancelledError:
            self._desk.do(back)
            raise

    async def _play_one(self, round_: Round) -> Played | None:
        """None: a model of it is gone, and so the round is void."""
        try:
            infos = await self._lineup.find_seated(round_)
            hand = await self._at_desk(lambda _: self._table.hand(round_, infos))
        except MissingModelError:
            await self._at_desk(lambda ledger: ledger.void(round_.id, "missing"))
            return None
        except BaseException:
            self._desk.do(lambda ledger: ledger.put_back(round_.id))
            raise
        return await self._table.story(hand, lambda _: None, queued=True)

    async def _at_desk(self, work: Callable[[SqliteLedger], T]) -> T:
        return await asyncio.wrap_future(self._desk.do(work))


def _as_found(round_id: str, ledger: SqliteLedger) -> RoundRecord | SealedRound:
    """A round that was played just now, as far as it is open; a void one has nothing to seal."""
    if ledger.sealed(round_id).state is RoundState.VOID:
        ledger.mark_revealed(round_id)
    return ledger.as_far_as_open(round_id)
