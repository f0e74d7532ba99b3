"""How rounds come into the store: dealt one by one, as a further turn of another one, or ahead in a queue.

A round of a queue waits as planned, whoever dealt it and however often the machine restarts, until somebody takes it
and plays it. Where a crash left one half played it is planned again: its answers are had anew, by clocks that nothing
has disturbed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from arena.core.errors import ArenaError
from arena.core.models import Contestant, ModelInfo, ModelRef
from arena.core.rounds import Round, RoundState
from arena.core.text import storable
from arena.store import rows
from arena.store.loads import LedgerLoads
from arena.store.owner import in_good_hands, owner

Infos = Mapping[ModelRef, ModelInfo]
NOBODY: Infos = MappingProxyType({})
_PROMPT_AGAIN = """
INSERT INTO prompts (sha256, slug, title, text, system, tags, language)
VALUES (:sha256, :slug, :title, :text, :system, :tags, :language)
ON CONFLICT (sha256) DO UPDATE SET slug = excluded.slug, title = excluded.title, tags = excluded.tags,
    language = excluded.language
WHERE excluded.slug <> '' AND (slug, title, tags, language)
    IS NOT (excluded.slug, excluded.title, excluded.tags, excluded.language)
"""
_QUEUES = """
SELECT queues.id, queues.title, queues.created_at, queues.ended_at IS NOT NULL AS ended,
    count(*) AS rounds,
    sum(rounds.state = 'planned') AS planned,
    sum(rounds.state = 'generating') AS generating,
    sum(rounds.state = 'ready') AS ready,
    sum(rounds.state = 'void') AS void
FROM queues JOIN rounds ON rounds.queue = queues.id
{} GROUP BY queues.id ORDER BY queues.id
"""


@dataclass(frozen=True, slots=True)
class QueueState:
    """How far a queue is. Nothing of it tells who plays."""

    id: int
    title: str
    created_at: str
    """UTC, ISO 8601."""
    ended: bool
    """It was called off: what was planned and not begun is gone."""
    rounds: int
    planned: int
    """Not begun."""
    generating: int
    ready: int
    """They wait for a vote."""
    void: int

    @property
    def left(self) -> int:
        """Rounds that are still to be played."""
        return self.planned + self.generating


class LedgerDealing(LedgerLoads):
    """The part of the ledger that takes rounds in."""

    def open_round(self, round_: Round, infos: Infos = NOBODY) -> None:
        """Store a dealt round as planned, in the hands of this process.

        `infos`: what is known of the models beside their identity, see `describe`. A further turn takes the place of
        the round that it continues, which waits until that one is judged. Raises ArenaError when the id is taken, or
        when the round to be continued does not wait for a vote.
        """
        with self._connection.writing() as db:
            self._take_in(db, round_, infos)

    def plan_queue(self, title: str, rounds: Sequence[Round], infos: Infos = NOBODY) -> int:
        """Store rounds that are to be played one after another, in this order. Returns the id of their queue.

        Raises ArenaError where a prompt is not to be stored.
        """
        if not all(round_.prompt.stored for round_ in rounds):
            raise ArenaError("A queue is on the disk with its prompts.", "Play private prompts one at a time.")
        with self._connection.writing() as db:
            told = [storable(title), rows.now()]
            queue = db.execute("INSERT INTO queues (title, created_at) VALUES (?, ?)", told).lastrowid
            for round_ in rounds:
                self._insert_round(db, round_, infos, queue)
        return int(queue or 0)

    def queue(self, queue: int) -> QueueState:
        """How far a queue is. Raises ArenaError when there is none of that number."""
        found = self._states("WHERE queues.id = :queue", queue=queue)
        if not found:
            raise ArenaError(f"There is no queue {queue}.", "`arena run --queues` lists them.")
        return found[0]

    def queues(self) -> list[QueueState]:
        """All queues, the oldest first."""
        return self._states()

    def _states(self, which: str = "", **values: int) -> list[QueueState]:
        found = self._connection.rows(_QUEUES.format(which), **values)
        return [QueueState(**dict(row) | {"ended": bool(row["ended"])}) for row in found]

    def take_planned(self, queue: int) -> Round | None:
        """The next round of a queue, in the hands of this process from now on; None: there is none to take.

        Another program that plays this queue has it alone: two at once would spoil each other's clocks. What a crash
        left half played comes first.
        """
        with self._connection.writing() as db:
            for row in self._connection.rows(
                "SELECT * FROM rounds WHERE queue = :queue AND state = 'generating'", queue=queue
            ):
                if not in_good_hands(row):
                    self._plan_again(db, row["id"])
                elif row["owner_token"] != owner()["owner_token"]:
                    return None
            found = self._connection.rows(
                "SELECT * FROM rounds WHERE queue = :queue AND state = 'planned' ORDER BY rowid LIMIT 1", queue=queue
            )
            if not found:
                return None
            taken = owner() | {"id": found[0]["id"]}
            db.execute(
                "UPDATE rounds SET state = 'generating', owner_pid = :owner_pid, owner_token = :owner_token,"
                " owned_at = :owned_at WHERE id = :id",
                taken,
            )
            return rows.round_of(found[0], self._prompt(found[0]), self._seats(found[0]["id"]))

    def put_back(self, round_id: str) -> None:
        """Plan a round of a queue again that was taken and not finished; its answers go."""
        with self._connection.writing() as db:
            self._plan_again(db, round_id)

    def end_queue(self, queue: int) -> int:
        """Call a queue off: rounds that were not begun are deleted, all others stay. Returns how many were left.

        Raises ArenaError when there is no such queue.
        """
        with self._connection.writing() as db:
            self.queue(queue)
            db.execute("UPDATE queues SET ended_at = coalesce(ended_at, ?) WHERE id = ?", [rows.now(), queue])
            begun = self._connection.rows(
                "SELECT * FROM rounds WHERE queue = :queue AND state = 'generating'", queue=queue
            )
            half = [row["id"] for row in begun if not in_good_hands(row)]
            for key in half:
                self._plan_again(db, key)
            waiting = "SELECT id FROM rounds WHERE queue = ? AND state = 'planned'"
            db.execute(f"DELETE FROM seats WHERE round IN ({waiting})", [queue])  # noqa: S608 - no value in it
            gone = db.execute("DELETE FROM rounds WHERE queue = ? AND state = 'planned'", [queue]).rowcount
            return gone + len(half)

    @staticmethod
    def _plan_again(db: sqlite3.Connection, round_id: str) -> None:
        """Of a queue that goes on; of one that was called off the round is void, with what was said."""
        begun = "id = ? AND state = 'generating' AND queue IN (SELECT id FROM queues WHERE ended_at IS {} NULL)"
        off = """UPDATE rounds SET state = 'void', flags = '["cancelled"]' WHERE """
        db.execute(off + begun.format("NOT"), [round_id])
        if db.execute(f"UPDATE rounds SET state = 'planned' WHERE {begun.format('')}", [round_id]).rowcount:  # noqa: S608
            db.execute("DELETE FROM answers WHERE round = ?", [round_id])

    def interrupted(self) -> list[str]:
        """The rounds that a crash left planned or generating, oldest first; those of queues are not lost, only late.

        A round in work belongs to a process; while that one lives (another arena on the same file) it is not listed,
        unless a day has passed. On Windows only time tells.
        """
        found = self._connection.rows(
            "SELECT id, owner_pid, owner_token, owned_at FROM rounds"
            " WHERE state IN ('planned', 'generating') AND queue IS NULL ORDER BY created_at, id"
        )
        return [row["id"] for row in found if not in_good_hands(row)]

    def _take_in(self, db: sqlite3.Connection, round_: Round, infos: Infos) -> None:
        if round_.continues:
            going_on = "UPDATE rounds SET state = 'continued' WHERE id = ? AND state = 'ready'"
            if not db.execute(going_on, [round_.continues]).rowcount:
                raise ArenaError(
                    f"Round {round_.continues} does not wait for a vote.", "Only such a round takes a further turn."
                )
        self._insert_round(db, round_, infos)

    def _insert_round(self, db: sqlite3.Connection, round_: Round, infos: Infos, queue: int | None = None) -> None:
        prompt = rows.kept_prompt(round_)
        if db.execute("SELECT 1 FROM rounds WHERE id = ?", [storable(round_.id)]).fetchone():
            raise ArenaError(f"There is a round {round_.id} already.", "Deal another one.")
        # A prompt typed again keeps the name it has in its pack; the pack's newest tags hold for old rounds too.
        db.execute(_PROMPT_AGAIN, rows.prompt_row(prompt))
        for seat in round_.seats:
            self._know(db, seat.contestant, infos.get(seat.contestant.ref))
        row = rows.round_row(round_, prompt, RoundState.PLANNED)
        self._connection.insert("rounds", row | owner() | {"queue": queue})
        for seat in round_.seats:
            self._connection.insert("seats", rows.seat_row(round_.id, seat))

    def _know(self, db: sqlite3.Connection, contestant: Contestant, info: ModelInfo | None) -> None:
        """Add a contestant unless it is known: its first sight stands, what is no part of its identity is renewed."""
        row = rows.contestant_row(contestant, info)
        self._connection.insert("contestants", row, unless_known=True)
        if info is not None:
            db.execute(
                "UPDATE contestants SET family = :family, parameters = :parameters, size_bytes = :size_bytes"
                " WHERE fingerprint = :fingerprint",
                row,
            )
