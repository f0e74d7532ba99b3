"""The ledger: the life of a round, written down. Every call is one transaction, on disk when it returns.

    planned -> generating -> ready -> voted (-> names revealed)
                                   -> unblinded, when the names were seen first; such a vote is stored and never rated
                                   -> continued, when a further turn was asked: that one takes the vote for both
    any -> void; of a further turn, the one before it waits for its vote again

A vote may be taken back or replaced until the names of its round are out (`rounds.revealed_at`, which `mark_revealed`
sets). Whoever shows names after a vote calls `mark_revealed` first: only then does anything else name them.

One ledger belongs to one thread. A second thread, or a second arena, opens its own on the same file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Self

from arena.core.errors import ArenaError, SealedError
from arena.core.rounds import Answer, Outcome, Round, RoundState
from arena.core.text import storable
from arena.core.votes import Verdict, Vote
from arena.store import rows
from arena.store.afterwards import LedgerAfterwards, check_verdict
from arena.store.dealing import NOBODY, Infos
from arena.store.owner import owner
from arena.store.reading import IN_WORK, SEALED, HistoryLine

__all__ = ["HistoryLine", "SqliteLedger"]

REPEATED = "repeated"
"""The flag of a round whose prompt was put to the same contestants before."""
REROLLED = "rerolled"
"""The flag of a round whose answers were had anew."""
_TELLING = {Outcome.FAILED, Outcome.EMPTY, Outcome.CANCELLED, Outcome.TRUNCATED}
_NOT_THERE = (Outcome.FAILED, Outcome.CANCELLED)
_CONVERSATION = """
WITH RECURSIVE turns(id) AS (
    SELECT :id UNION SELECT rounds.continues FROM rounds JOIN turns ON turns.id = rounds.id
    WHERE rounds.continues IS NOT NULL)
"""


class SqliteLedger(LedgerAfterwards):
    """Rounds and votes in one SQLite file. Close it, or use it as a context manager."""

    @property
    def path(self) -> Path:
        """The database file."""
        return self._connection.path

    def damage(self) -> str:
        """What is wrong with the file, in SQLite's words; '' where it is whole. Reads all of it."""
        return self._connection.damage()

    def close(self) -> None:
        """Give the file back. May be called twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

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
            again = [REPEATED] if row["continues"] is None and self._repeated(row) else []
            again += ["named"] if self._named_before(row) else []
            ended = RoundState.UNBLINDED if state is RoundState.READY and not row["blind"] else state
            _set_state(db, round_id, ended, [*rows.names(row["flags"]), *flags, *told, *again])

    def cast(self, vote: Vote, *, reveal: bool = False) -> None:
        """Store a vote, in place of an earlier one of the same voter; with `reveal` its names are out with it.

        Raises ArenaError when the round is unknown, void, not ready, or revealed already, or when the verdict names
        seats that the round has not. A vote on an unblinded round is stored as not blind, whatever it says of itself.
        """
        with self._connection.writing() as db:
            row = self._exactly(vote.round_id)
            state = RoundState(row["state"])
            if state is RoundState.VOID:
                raise ArenaError(f"Round {vote.round_id} is void.", "There is nothing to judge; take another one.")
            if state in IN_WORK:
                raise ArenaError(
                    f"Round {vote.round_id} is not ready.", "Its answers are not complete; try again later."
                )
            if row["revealed_at"] is not None:
                raise ArenaError(
                    f"The models of round {vote.round_id} were revealed; its vote is locked.", "Play another round."
                )
            if state is RoundState.CONTINUED:
                raise ArenaError(f"Round {vote.round_id} goes on in a further turn.", "Vote on that one.")
            check_verdict(vote.round_id, vote.verdict, self._judgeable(vote.round_id))
            open_already = state is RoundState.UNBLINDED
            stored = rows.vote_row(vote, blind=vote.blind and bool(row["blind"]) and not open_already)
            db.execute(
                "UPDATE votes SET retracted_at = ? WHERE round = ? AND voter = ? AND retracted_at IS NULL",
                [rows.now(), vote.round_id, stored["voter"]],
            )
            self._connection.insert("votes", stored)
            if not open_already:
                db.execute("UPDATE rounds SET state = 'voted' WHERE id = ?", [vote.round_id])
            if reveal:
                _open(db, vote.round_id, whole=True)

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
            # Of a further turn that is void, the turns before it wait for a vote again.
            _open(db, round_id, whole=row["state"] != RoundState.VOID)

    def reveal_unvoted(self, round_id: str) -> None:
        """Peek: the names are seen before the vote, and the round is never rated. May be said twice.

        A round in work becomes unblinded when it is closed. Raises ArenaError for a round that has a vote or is void.
        """
        with self._connection.writing() as db:
            state = RoundState(self._exactly(round_id)["state"])
            if state in (RoundState.VOTED, RoundState.VOID, RoundState.CONTINUED):
                raise ArenaError(f"Round {round_id} is {state}: there is no vote to forestall.")
            after = state if state in IN_WORK else RoundState.UNBLINDED
            db.execute("UPDATE rounds SET blind = 0, state = ? WHERE id = ?", [after, round_id])
            db.execute(
                f"{_CONVERSATION} UPDATE rounds SET blind = 0, revealed_at = coalesce(revealed_at, :now)"  # noqa: S608
                " WHERE id IN (SELECT id FROM turns) AND id <> :id",
                {"id": round_id, "now": rows.now()},
            )

    def void(self, round_id: str, flag: str) -> None:
        """Take a round out of everything, and say why in one word. Its answers and votes stay in the file.

        Raises ArenaError when there is none.
        """
        with self._connection.writing() as db:
            row = self._exactly(round_id)
            _set_state(db, round_id, RoundState.VOID, [*rows.names(row["flags"]), flag])

    def open_again(self, round_id: str, fresh: Round, infos: Infos = NOBODY) -> None:
        """Store a dealt round in place of one that waits for its vote, which is void from then on; or neither.

        Raises ArenaError when that one does not wait, and as `open_round` does.
        """
        with self._connection.writing() as db:
            row = self._exactly(round_id)
            if row["state"] != RoundState.READY:
                raise ArenaError(f"Round {round_id} does not wait for a vote.", "Only such a round can be had again.")
            _set_state(db, round_id, RoundState.VOID, [*rows.names(row["flags"]), REROLLED])
            self._take_in(db, fresh, infos)

    def choose(self, round_id: str, verdict: Verdict, voter: str = "me") -> None:
        """Store a second vote: which one the voter would use, knowing names and speeds. It is never rated.

        In place of an earlier one of the same voter. Raises ArenaError unless the names of the round are out, or when
        the verdict names seats that did not answer.
        """
        with self._connection.writing() as db:
            row = self._exactly(round_id)
            if row["revealed_at"] is None and row["state"] != RoundState.UNBLINDED:
                raise SealedError(f"The names of round {round_id} are not out.", "The second vote comes after them.")
            check_verdict(round_id, verdict, self._judgeable(round_id))
            db.execute(
                "UPDATE choices SET retracted_at = ? WHERE round = ? AND voter = ? AND retracted_at IS NULL",
                [rows.now(), round_id, storable(voter)],
            )
            self._connection.insert("choices", rows.choice_row(round_id, verdict, voter))

    def annotate(self, round_id: str, note: str) -> None:
        """Write a note on the newest vote of a round, in place of the one it has. Raises ArenaError without a vote."""
        with self._connection.writing() as db:
            found = self._standing(self._exactly(round_id)["id"])
            if not found:
                raise ArenaError(f"Round {round_id} has no vote to note something on.", "Vote first.")
            db.execute("UPDATE votes SET note = ? WHERE id = ?", [storable(note), found[0]])

    def reveal_voted(self) -> int:
        """Open what was voted on and not opened, because the program ended in between. Returns how many there were."""
        with self._connection.writing() as db:
            shut = "SELECT id FROM rounds WHERE state = 'voted' AND revealed_at IS NULL"
            left = [key for (key,) in db.execute(shut)]
            for key in left:
                _open(db, key, whole=True)
        return len(left)

    def _exactly(self, round_id: str) -> sqlite3.Row:
        found = self._connection.rows("SELECT * FROM rounds WHERE id = :id", id=storable(round_id))
        if not found:
            raise ArenaError(f"There is no round '{round_id}'.", "arena history lists them.")
        return found[0]

    def _in_work(self, round_id: str) -> sqlite3.Row:
        row = self._exactly(round_id)
        if row["state"] not in IN_WORK:
            raise ArenaError(f"Round {round_id} is {row['state']}: its answers are final.")
        return row

    def _judgeable(self, round_id: str) -> set[int]:
        """The seats that a verdict can name: those that answered."""
        found = self._connection.rows(
            "SELECT seats.seat, answers.outcome FROM seats LEFT JOIN answers"
            " ON answers.round = seats.round AND answers.seat = seats.seat WHERE seats.round = :round",
            round=round_id,
        )
        return {row["seat"] for row in found if row["outcome"] not in _NOT_THERE}

    def _standing(self, round_id: str) -> list[int]:
        """The ids of the votes that stand, newest first."""
        found = self._connection.rows(
            "SELECT id FROM votes WHERE round = :round AND retracted_at IS NULL ORDER BY id DESC", round=round_id
        )
        return [row["id"] for row in found]

    def _named_before(self, row: sqlite3.Row) -> bool:
        """Whether an answer of an earlier turn told its model's name."""
        while row["continues"] is not None:
            row = self._exactly(row["continues"])
            if "named" in rows.names(row["flags"]):
                return True
        return False

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


def _open(db: sqlite3.Connection, round_id: str, *, whole: bool) -> None:
    """Say that the names of a round are out; `whole`: of the turns before it too."""
    turns = " OR id IN (SELECT id FROM turns)" if whole else ""
    db.execute(
        f"{_CONVERSATION} UPDATE rounds SET revealed_at = coalesce(revealed_at, :now) WHERE id = :id{turns}",  # noqa: S608 - no value in it
        {"id": round_id, "now": rows.now()},
    )


def _set_state(db: sqlite3.Connection, round_id: str, state: RoundState, flags: Collection[str]) -> None:
    once = rows.dumps(list(dict.fromkeys(flags)))
    db.execute("UPDATE rounds SET state = ?, flags = ? WHERE id = ?", [state, once, round_id])
    if state is RoundState.VOID:
        back = "SELECT continues FROM rounds WHERE id = ?"
        ready = "UPDATE rounds SET state = 'ready'"
        db.execute(f"{ready} WHERE id = ({back}) AND state = 'continued' AND revealed_at IS NULL", [round_id])
