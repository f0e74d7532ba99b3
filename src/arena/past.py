"""The past: rounds looked for, judged again with other labels, annotated, deleted."""

from __future__ import annotations

import random
from concurrent.futures import Future
from typing import TYPE_CHECKING

from arena.core.errors import ArenaError
from arena.core.past import DealtAgain, Going, Wanted
from arena.core.ports import RoundRecord
from arena.core.votes import Strength, Verdict, Vote
from arena.desk import Desk

if TYPE_CHECKING:
    from arena.store.ledger import HistoryLine, SqliteLedger

PAGE = 200
"""Rounds that are listed at once."""


class Past:
    """Works at the desk, like everything that reads or writes the database."""

    def __init__(self, desk: Desk, rng: random.Random) -> None:
        """`desk` stays the caller's to close; `rng` lays answers out anew."""
        self._desk = desk
        self._rng = rng

    def rounds(self, wanted: Wanted, limit: int = PAGE, offset: int = 0) -> Future[list[HistoryLine]]:
        """The rounds that are wanted, newest first, from the one at `offset`; names only of those that are revealed."""
        return self._desk.do(
            lambda ledger: ledger.history(
                limit, wanted.search, offset=offset, tag=wanted.tag, model=wanted.model, ending=wanted.ending
            )
        )

    def facets(self) -> Future[tuple[list[str], dict[str, str]]]:
        """What rounds can be narrowed by: their tags, and the contestants of revealed ones as fingerprint -> name."""
        return self._desk.do(lambda ledger: ledger.past_facets())

    def deal_again(self, round_id: str) -> Future[DealtAgain]:
        """A judged round with its answers laid out anew, names masked. Raises ArenaError where it has no vote."""

        def lay_out(ledger: SqliteLedger) -> DealtAgain:
            record = ledger.revealed(round_id)
            if record.vote is None:
                raise ArenaError(f"Round {record.round.id} has no vote.", "Only what was judged can be judged again.")
            sealed = ledger.sealed(record.round.id)
            return DealtAgain.of(sealed, self._rng.sample(range(len(record.round.seats)), len(record.round.seats)))

        return self._desk.do(lay_out)

    def judge_again(
        self, dealt: DealtAgain, shown: Verdict, decided_ms: int | None = None, strength: Strength | None = None
    ) -> Future[RoundRecord]:
        """Keep a verdict on such a round, over its places as they were shown, beside the vote that rates.

        The future raises ArenaError.
        """
        key = dealt.sealed.view.id
        vote = Vote(key, dealt.verdict(shown), blind=False, decided_ms=decided_ms, strength=strength)

        def keep(ledger: SqliteLedger) -> RoundRecord:
            ledger.judge_again(vote, dealt.order)
            return ledger.round(key)

        return self._desk.do(keep)

    def going(self, round_id: str) -> Future[Going]:
        """What goes when a round is deleted. The future raises ArenaError where it can't be."""
        return self._desk.do(lambda ledger: ledger.going(round_id))

    def delete(self, round_id: str) -> Future[None]:
        """Delete a round, with all that `going` says. The future raises ArenaError."""
        return self._desk.do(lambda ledger: ledger.delete(round_id))
