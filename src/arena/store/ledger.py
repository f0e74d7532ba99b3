"""The ledger: the life of a round, written down. Every call is one transaction, on disk when it returns.

    planned -> generating -> ready -> voted (-> names revealed)
                                   -> unblinded, when the names were seen first; such a vote is stored and never rated
    any -> void

A vote may be taken back or replaced until the names of its round are out (`rounds.revealed_at`, which `mark_revealed`
sets). Whoever shows names after a vote calls `mark_revealed` first: only then does anything else name them.

One ledger belongs to one thread. A second thread, or a second arena, opens its own on the same file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Self

from arena.core.errors import ArenaError, SealedError
from arena.core.models import Contestant, ModelInfo, ModelRef
from arena.core.rounds import Answer, Outcome, Round, RoundState
from arena.core.text import storable
from arena.core.votes import Kind, Vote
from arena.store import rows
from arena.store.loads import LedgerLoads
from arena.store.owner import in_good_hands, owner
from arena.store.reading import SEALED, HistoryLine

__all__ = ["HistoryLine", "SqliteLedger"]

REPEATED = "repeated"
"""The flag of a round whose prompt was put to the same contestants before."""
_IN_WORK = (RoundState.PLANNED, RoundState.GENERATING)
_TELLING = {Outcome.FAILED, Outcome.EMPTY, Outcome.CANCELLED, Outcome.TRUNCATED}
_PROMPT_AGAIN = """
INSERT INTO prompts (sha256, slug, title, text, system, tags, language)
VALUES (:sha256, :slug, :title, :text, :system, :tags, :language)
ON CONFLICT (sha256) DO UPDATE SET slug = excluded.slug, title = excluded.title, tags = excluded.tags,
    language = excluded.language
WHERE excluded.slug <> '' AND (slug, title, tags, language)
    IS NOT (excluded.slug, excluded.title, excluded.tags, excluded.language)
"""


class SqliteLedger(LedgerLoads):
    """The Ledger of core.ports in one SQLite file. Close it, or use it as a context manager."""

    @property
    def path(self) -> Path:
        """The database file."""
        return self._connection.path

    def close(self) -> None:
        """Give the file back. May be called twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def open_round(self, round_: Round, infos: Mapping[ModelRef, ModelInfo] = MappingProxyType({})) -> None:
        """Store a dealt round as planned, in the hands of this process. Raises ArenaError when its id is taken.

        `infos`: what is known of the models beside their identity, see `describe`.
        """
        prompt = rows.storable_prompt(round_.prompt)
        with self._connection.writing() as db:
            if db.execute("SELECT 1 FROM rounds WHERE id = ?", [storable(round_.id)]).fetchone():
                raise ArenaError(f"There is a round {round_.id} already.", "Deal another one.")
            # A prompt typed again keeps the name it has in its pack; the pack's newest tags hold for old rounds too.
            db.execute(_PROMPT_AGAIN, rows.prompt_row(prompt))
            for seat in round_.seats:
                self._know(db, seat.contestant, infos.get(seat.contestant.ref))
            row = rows.round_row(round_, prompt, RoundState.PLANNED)
            self._connection.insert("rounds", row | owner())
            for seat in round_.seats:
                self._connection.insert("seats", rows.seat_row(round_.id, seat))

    def begin_round(self, round_id: str) -> None:
        """Say that its answers are being generated, by this process; so a round that a crash left is taken over.

        Raises ArenaError unless it is planned or generating.
        """
        with self._connection.writing() as db:
            self._in_work(round_id)
            db.execute(
                "UPDATE rounds SET state = 'generating', owner_pid = :owner_pid, owner_token = :owner_token,"
                " owned_at = :owned_at WHERE id = :id",
                owner() | {"id": round_id},
            )

    def save_answer(self, round_id: str, answer: Answer, *, ran_alongside: Iterable[str] = ()) -> None:
        """Store the answer of a seat, in place of one that it has.

        `ran_alongside`: fingerprints of those that answered on the same machine meanwhile. Raises ArenaError unless the
        round is planned or generating and has that seat.
        """
        with self._connection.writing() as db:
            row = self._in_work(round_id)
            if row["state"] == RoundState.PLANNED:
                db.execute("UPDATE rounds SET state = 'generating' WHERE id = ?", [round_id])
            db.execute("DELETE FROM answers WHERE round = ? AND seat = ?", [round_id, answer.seat])
            try:
                self._connection.insert("answers", rows.answer_row(round_id, answer, ran_alongside))
            except sqlite3.IntegrityError as error:
                raise ArenaError(f"Round {round_id} has no seat {answer.seat}.") from error

    def close_round(self, round_id: str, state: RoundState, flags: Sequence[str] = ()) -> None:
        """Say how generation ended: ready or void. Raises ArenaError unless the round is planned or generating.

        The flags of its answers' outcomes (failed, empty, cancelled, truncated) and `repeated` are added to `flags`, so
        that none is lost silently. A round that was open from the start, or looked into meanwhile, becomes unblinded,
        not ready.
        """
        if state not in (RoundState.READY, RoundState.VOID):
            raise ArenaError(f"A round ends ready or void, not {state}.")
        with self._connection.writing() as db:
            row = self._in_work(round_id)
            found = db.execute("SELECT outcome FROM answers WHERE round = ?", [round_id]).fetchall()
            seats = db.execute("SELECT count(*) FROM seats WHERE round = ?", [round_id]).fetchone()[0]
            if state is RoundState.READY and len(found) < seats:
                raise ArenaError(f"Round {round_id} has {len(found)} of {seats} answers.", "It can't be voted on yet.")
            told = sorted({outcome for (outcome,) in found} & _TELLING)
            again = [REPEATED] if self._repeated(row) else []
            ended = RoundState.UNBLINDED if state is RoundState.READY and not row["blind"] else state
            _set_state(db, round_id, ended, [*rows.names(row["flags"]), *flags, *told, *again])

    def cast(self, vote: Vote) -> None:
        """Store a vote, in place of an earlier one of the same voter.

        Raises ArenaError when the round is unknown, void, not ready, or revealed already, or when the verdict names
        seats that the round has not. A vote on an unblinded round is stored as not blind, whatever it says of itself.
        """
        with self._connection.writing() as db:
            row = self._exactly(vote.round_id)
            state = RoundState(row["state"])
            if state is RoundState.VOID:
                raise ArenaError(f"Round {vote.round_id} is void.", "There is nothing to judge; take another one.")
            if state in _IN_WORK:
                raise ArenaError(
                    f"Round {vote.round_id} is not ready.", "Its answers are not complete; try again later."
                )
            if row["revealed_at"] is not None:
                raise ArenaError(
                    f"The models of round {vote.round_id} were revealed; its vote is locked.", "Play another round."
                )
            seats = {seat for (seat,) in db.execute("SELECT seat FROM seats WHERE round = ?", [vote.round_id])}
            _check(vote, seats)
            open_already = state is RoundState.UNBLINDED
            stored = rows.vote_row(vote, blind=vote.blind and bool(row["blind"]) and not open_already)
            db.execute(
                "UPDATE votes SET retracted_at = ? WHERE round = ? AND voter = ? AND retracted_at IS NULL",
                [rows.now(), vote.round_id, stored["voter"]],
            )
            self._connection.insert("votes", stored)
            if not open_already:
                db.execute("UPDATE rounds SET state = 'voted' WHERE id = ?", [vote.round_id])

    def retract(self, round_id: str) -> None:
        """Take the newest vote of a round back; it waits for a vote again.

        Raises ArenaError when it has none, is void, or was revealed.
        """
        with self._connection.writing() as db:
            row = self._exactly(round_id)
            if row["revealed_at"] is not None:
                raise ArenaError(f"The models of round {round_id} were revealed; its vote is locked.")
            found = self._standing(round_id)
            if not found or row["state"] == RoundState.VOID:
                raise ArenaError(f"Round {round_id} has no vote to take back.")
            db.execute("UPDATE votes SET retracted_at = ? WHERE id = ?", [rows.now(), found[0]])
            if len(found) == 1 and row["state"] == RoundState.VOTED:
                db.execute("UPDATE rounds SET state = 'ready' WHERE id = ?", [round_id])

    def mark_revealed(self, round_id: str) -> None:
        """Say that the names of a voted (or void) round are shown: its vote is locked from now on. May be said twice.

        A round that was unblinded before has no seal to break: without a vote it stays open to one, which is not rated.
        Raises SealedError for a round that waits for its vote: looking into that one is `reveal_unvoted`.
        """
        with self._connection.writing() as db:
            row = self._exactly(round_id)
            if row["state"] == RoundState.UNBLINDED and not self._standing(round_id):
                return
            if row["state"] in SEALED:
                raise SealedError(f"Round {round_id} has no vote yet.", "Vote first; the names come after it.")
            db.execute("UPDATE rounds SET revealed_at = coalesce(revealed_at, ?) WHERE id = ?", [rows.now(), round_id])

    def reveal_unvoted(self, round_id: str) -> None:
        """Peek: the names are seen before the vote, and the round is never rated. May be said twice.

        A round in work becomes unblinded when it is closed. Raises ArenaError for a round that has a vote or is void.
        """
        with self._connection.writing() as db:
            state = RoundState(self._exactly(round_id)["state"])
            if state in (RoundState.VOTED, RoundState.VOID):
                raise ArenaError(f"Round {round_id} is {state}: there is no vote to forestall.")
            after = state if state in _IN_WORK else RoundState.UNBLINDED
            db.execute("UPDATE rounds SET blind = 0, state = ? WHERE id = ?", [after, round_id])

    def void(self, round_id: str, flag: str) -> None:
        """Take a round out of everything, and say why in one word. Its answers and votes stay in the file."""
        with self._connection.writing() as db:
            row = self._exactly(round_id)
            _set_state(db, round_id, RoundState.VOID, [*rows.names(row["flags"]), flag])

    def interrupted(self) -> list[str]:
        """The rounds that a crash left planned or generating, oldest first.

        A round in work belongs to a process; while that one lives (another arena on the same file) it is not listed,
        unless a day has passed. On Windows only time tells.
        """
        found = self._connection.rows(
            "SELECT id, owner_pid, owner_token, owned_at FROM rounds WHERE state IN ('planned', 'generating')"
            " ORDER BY created_at, id"
        )
        return [row["id"] for row in found if not in_good_hands(row)]

    def describe(self, contestant: Contestant, info: ModelInfo) -> None:
        """Note the family, parameters and size of a contestant's model, which are no part of its identity."""
        with self._connection.writing() as db:
            self._know(db, contestant, info)

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

    def _exactly(self, round_id: str) -> sqlite3.Row:
        found = self._connection.rows("SELECT * FROM rounds WHERE id = :id", id=storable(round_id))
        if not found:
            raise ArenaError(f"There is no round '{round_id}'.", "arena history lists them.")
        return found[0]

    def _in_work(self, round_id: str) -> sqlite3.Row:
        row = self._exactly(round_id)
        if row["state"] not in _IN_WORK:
            raise ArenaError(f"Round {round_id} is {row['state']}: its answers are final.")
        return row

    def _standing(self, round_id: str) -> list[int]:
        """The ids of the votes that stand, newest first."""
        found = self._connection.rows(
            "SELECT id FROM votes WHERE round = :round AND retracted_at IS NULL ORDER BY id DESC", round=round_id
        )
        return [row["id"] for row in found]

    def _repeated(self, row: sqlite3.Row) -> bool:
        """Whether its prompt was put to the same contestants in another round that is not void.

        Merges are not asked: they can be undone, and the flag stays.
        """
        mine = [
            seat["contestant"]
            for seat in self._connection.rows("SELECT contestant FROM seats WHERE round = :round", round=row["id"])
        ]
        others = self._dealt(row["prompt"], besides=row["id"]).values()
        return any(sorted(keys) == sorted(mine) for keys in others)


def _set_state(db: sqlite3.Connection, round_id: str, state: RoundState, flags: Collection[str]) -> None:
    once = rows.dumps(list(dict.fromkeys(flags)))
    db.execute("UPDATE rounds SET state = ?, flags = ? WHERE id = ?", [state, once, round_id])


def _check(vote: Vote, seats: set[int]) -> None:
    """Raise ArenaError unless the verdict can be one on a round with these seats."""
    named = [seat for group in vote.verdict.ranking for seat in group]
    wanted = vote.verdict.kind is Kind.RANKING
    if wanted != bool(named) or len(set(named)) < len(named) or not set(named) <= seats:
        raise ArenaError(
            f"'{vote.verdict}' is no verdict for round {vote.round_id} with {len(seats)} answers.",
            "Say a letter, tie, bad, skip, or a ranking such as b>a.",
        )
