"""The table: who plays next, how a round is dealt and sealed, and how it is played and kept.

The engine plays, the desk keeps, the line-up reaches the models; here they meet. Names leave the table only through the
store, after the vote.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from arena.config import Settings
from arena.core.errors import ArenaError
from arena.core.events import StreamEvent
from arena.core.models import Contestant, ModelInfo
from arena.core.naming import NamingWords, mask
from arena.core.ports import RoundRecord
from arena.core.prompts import Prompt, Turn
from arena.core.rounds import Answer, Pace, Played, Round, RoundState, RoundView, Schedule, SealedRound
from arena.desk import Desk
from arena.engine.deal import deal, deal_further
from arena.engine.room import Room
from arena.lineup import Lineup
from arena.picking import Chosen, Picker

if TYPE_CHECKING:
    from arena.engine.play import Clock
    from arena.store.ledger import SqliteLedger

T = TypeVar("T")
Emit = Callable[[StreamEvent], None]
_HANDS = 16
"""Rounds that are remembered with their models; those of others are looked up again."""


@dataclass(frozen=True, slots=True)
class Hand:
    """A dealt round with all that it takes to play it."""

    round: Round
    infos: tuple[ModelInfo, ...] = field(repr=False)
    words: NamingWords = field(repr=False)
    """What would name somebody in its answers."""
    earlier: dict[int, tuple[Turn, ...]] = field(default_factory=dict, repr=False)
    """What was said before on each seat."""
    private: dict[int, Answer] = field(default_factory=dict, repr=False)
    """The answers by seat where they are not stored: here alone they can be read."""


class Table:
    """Rounds from the deal to the last answer."""

    def __init__(
        self, settings: Settings, room: Room, desk: Desk, lineup: Lineup, rng: random.Random, clock: Clock
    ) -> None:
        """`clock` in ns."""
        self._settings = settings
        self.sampling = settings.sampling
        """How the rounds to come are sampled."""
        self._room = room
        self._desk = desk
        self._lineup = lineup
        self._rng = rng
        self._clock = clock
        self._playing = asyncio.Lock()
        """Two rounds at once would spoil each other's clocks."""
        self._hands: dict[str, Hand] = {}
        self.dropped = False
        """Whether nobody wants what is called off now: the next start finds the round in work then, and says so."""

    def choose(self, infos: Sequence[ModelInfo], seats: int) -> Future[Chosen]:
        """Who plays next of the chosen ones, and with which probability the rule chose them; None: no choice.

        Now and then it is one model on every seat: a control, which shows how much of a vote is noise. Models that do
        not fit at all are left out while others are there.
        """

        async def pick() -> Chosen:
            able = await self._lineup.able(infos, seats)
            found = await self._at_desk(lambda ledger: self.picker(ledger, able, seats).pick())
            return found or (list(able[:seats]), None)

        return self._room.submit(pick())

    def picker(self, ledger: SqliteLedger, infos: Sequence[ModelInfo], seats: int) -> Picker:
        """Picks sets of these models; at the desk."""
        settings = self._settings
        return Picker(ledger, infos, seats, self.sampling, self._rng, settings.controls)

    def twins(self, infos: Sequence[ModelInfo]) -> str:
        """A sentence about models that count as one contestant; '' where all differ."""
        seen: dict[str, ModelInfo] = {}
        for info in infos:
            other = seen.setdefault(Contestant.of(info, self.sampling).fingerprint, info)
            if other is not info:
                return f"{other} and {info} count as one contestant: a round between them is a control, and not rated."
        return ""

    def make(
        self,
        prompt: Prompt,
        infos: Sequence[ModelInfo],
        *,
        pace: Pace | None = None,
        schedule: Schedule | None = None,
        blind: bool = True,
        propensity: float | None = None,
    ) -> Round:
        """A round, dealt and not yet stored. Raises UsageError."""
        sampling = self.sampling
        return deal(
            prompt,
            [Contestant.of(info, sampling) for info in infos],
            sampling,
            schedule=schedule or self._settings.schedule,
            pace=pace or self._settings.pace,
            blind=blind,
            propensity=propensity,
            rng=self._rng,
        )

    def deal(
        self,
        prompt: Prompt,
        infos: Sequence[ModelInfo],
        *,
        pace: Pace | None = None,
        schedule: Schedule | None = None,
        blind: bool = True,
        propensity: float | None = None,
    ) -> Future[RoundView]:
        """Deal, seal and store a round; what comes back names nobody. Raises UsageError."""
        dealt = self.make(prompt, infos, pace=pace, schedule=schedule, blind=blind, propensity=propensity)
        return self._desk.do(lambda ledger: self._seal(ledger, dealt, infos))

    def deal_further(self, round_id: str, text: str) -> Future[RoundView]:
        """Go on with the sealed contestants of a round that waits for its vote. The future raises ArenaError."""

        async def go_on() -> RoundView:
            before = await self._at_desk(lambda ledger: ledger.round(round_id))
            self._refuse_private(round_id)
            infos = await self._seated(before.round)
            dealt = deal_further(before.round, text, self._rng)
            return await self._at_desk(lambda ledger: self._seal(ledger, dealt, infos, before))

        return self._room.submit(go_on())

    def deal_again(self, round_id: str) -> Future[RoundView]:
        """Answer a round that waits for its vote anew: the same contestants, seated anew; the old answers are void.

        Only the last turn of a conversation is had again. The future raises ArenaError.
        """

        async def again() -> RoundView:
            old = await self._at_desk(lambda ledger: ledger.round(round_id))
            if old.state is not RoundState.READY:
                raise ArenaError(f"Round {round_id} does not wait for a vote.", "Only such a round can be had again.")
            self._refuse_private(round_id)
            infos = await self._seated(old.round)
            return await self._at_desk(lambda ledger: self._reseal(ledger, old.round, infos))

        return self._room.submit(again())

    def play(self, round_id: str, emit: Emit) -> Future[Played]:
        """Play a dealt round. `emit` is called in the engine's thread and must not wait. Cancel to stop it."""
        self._lineup.stop_warming()
        return self._room.submit(self.story(self._hands[round_id], emit))

    async def story(self, hand: Hand, emit: Emit, *, queued: bool = False) -> Played:
        """Play a round and keep it; in the engine room. `queued`: where it is called off, its queue plans it again."""
        from arena.engine.play import Play, verdict_on  # noqa: PLC0415 - patterns that the first frame can do without

        key = hand.round.id
        # What is asked of the desk is done, whatever becomes of this story.
        kept = [self._desk.do(lambda ledger: ledger.begin_round(key))]

        stored = hand.round.prompt.stored

        def keep(answer: Answer, company: Iterable[str]) -> None:
            beside = tuple(company)
            if not stored:
                hand.private[answer.seat] = answer
                answer = replace(answer, text="", thought="", error="")
            kept.append(self._desk.do(lambda ledger: ledger.save_answer(key, answer, ran_alongside=beside)))

        state: RoundState = RoundState.VOID
        flags: tuple[str, ...] = ("cancelled",)
        over = False
        try:
            async with self._playing:
                roomy = await self._lineup.make_room(hand.infos)
                play = Play(
                    hand.round,
                    self._lineup.backends,
                    emit,
                    keep,
                    self._clock,
                    keep_loaded=roomy,
                    words=hand.words,
                    devices=self._lineup.devices(hand.round, hand.infos),
                    earlier=hand.earlier,
                )
                answers = await play.run()
            state, flags = verdict_on(answers, hand.words)
            over = True
        finally:
            flags = flags if stored else (*flags, "private")
            if queued and not over:
                kept.append(self._desk.do(lambda ledger: ledger.put_back(key)))
            elif over or not self.dropped:
                kept.append(self._desk.do(lambda ledger: ledger.close_round(key, state, flags)))
        for saved in kept:
            await asyncio.wrap_future(saved)
        return Played(state, answers)

    def recall(self, found: RoundRecord) -> RoundRecord:
        """A round with the prompt and the answers that were not stored, as long as they are remembered."""
        hand = self._private(found.round.id)
        if hand is None:
            return found
        answers = []
        for answer in found.answers:
            said = hand.private.get(answer.seat, answer)
            answers.append(replace(answer, text=said.text, thought=said.thought, error=said.error))
        return replace(found, round=replace(found.round, prompt=hand.round.prompt), answers=tuple(answers))

    def recall_sealed(self, found: SealedRound) -> SealedRound:
        """The same before the vote: what names somebody is masked."""
        hand = self._private(found.view.id)
        if hand is None:
            return found
        answers = [
            replace(answer, text=mask(hand.private.get(answer.seat, answer).text, hand.words))
            for answer in found.answers
        ]
        return replace(found, view=replace(found.view, prompt=hand.round.prompt), answers=tuple(answers))

    def _private(self, round_id: str) -> Hand | None:
        """The hand of a round that is not stored; None: it is stored, or forgotten."""
        hand = self._hands.get(round_id)
        return None if hand is None or hand.round.prompt.stored else hand

    def hand(self, round_: Round, infos: Sequence[ModelInfo], before: RoundRecord | None = None) -> Hand:
        """All that it takes to play a round. `before`: the one that it continues.

        Its patterns take a while: neither the screen nor the clocks of the engine should wait for them.
        """
        asked = [round_.prompt.text]
        earlier: dict[int, tuple[Turn, ...]] = {}
        if before is not None:
            turns = [(turn.question, turn.answers) for turn in before.earlier]
            turns.append((before.round.prompt.text, before.answers))
            asked += [question for question, _ in turns]
            for question, answers in turns:
                for answer in answers:
                    earlier[answer.seat] = (*earlier.get(answer.seat, ()), Turn(question, answer.text))
        families = (info.family for info in infos)
        words = NamingWords.of((seat.contestant for seat in round_.seats), families, "\n".join(asked))
        return Hand(round_, tuple(infos), words, earlier)

    def _seal(
        self, ledger: SqliteLedger, dealt: Round, infos: Sequence[ModelInfo], before: RoundRecord | None = None
    ) -> RoundView:
        """Store a round and keep its hand; at the desk."""
        ledger.open_round(dealt, {info.ref: info for info in infos})
        return self._keep(self.hand(dealt, infos, before))

    def _keep(self, hand: Hand) -> RoundView:
        """Remember a stored round, and forget the oldest."""
        self._hands[hand.round.id] = hand
        for old in list(self._hands)[:-_HANDS]:
            del self._hands[old]
        return RoundView.of(hand.round)

    def _reseal(self, ledger: SqliteLedger, old: Round, infos: Sequence[ModelInfo]) -> RoundView:
        """Store a round in place of an old one, with the same contestants; at the desk."""
        before = ledger.round(old.continues) if old.continues else None
        fresh = self._dealt_anew(old) if before is None else deal_further(before.round, old.prompt.text, self._rng)
        ledger.open_again(old.id, fresh, {info.ref: info for info in infos})
        return self._keep(self.hand(fresh, infos, before))

    def _dealt_anew(self, old: Round) -> Round:
        return deal(
            old.prompt,
            [seat.contestant for seat in old.seats],
            replace(old.sampling, seed=self.sampling.seed),
            schedule=old.schedule,
            pace=old.pace,
            propensity=old.propensity,
            rng=self._rng,
        )

    def _refuse_private(self, round_id: str) -> None:
        """Raise ArenaError for a round of which nothing is stored that could go on."""
        if self._private(round_id) is not None:
            raise ArenaError("A private round does not go on: it is not stored.", "Vote on it, and ask anew.")

    async def _seated(self, round_: Round) -> Sequence[ModelInfo]:
        """The models of a round; of one that was dealt long ago as the line-up finds them. Raises ArenaError."""
        hand = self._hands.get(round_.id)
        return hand.infos if hand is not None else await self._lineup.find_seated(round_)

    async def _at_desk(self, work: Callable[[SqliteLedger], T]) -> T:
        return await asyncio.wrap_future(self._desk.do(work))
