"""What is done with a round afterwards: it is judged again, or deleted.

A second verdict never takes the place of the vote. That one was cast before its voter had seen a name, so it is the one
that rates; the second stands beside it, and says how steady a verdict is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace

from arena.core.errors import ArenaError, SealedError
from arena.core.models import distinct_names
from arena.core.past import Going
from arena.core.rounds import RoundState
from arena.core.votes import Kind, Verdict, Vote
from arena.store import rows
from arena.store.dealing import LedgerDealing
from arena.store.reading import IN_WORK

_MET = """
SELECT DISTINCT contestants.* FROM seats_revealed
JOIN contestants ON contestants.fingerprint = seats_revealed.fingerprint ORDER BY contestants.endpoint, contestants.name
"""
_TAGS = """
SELECT DISTINCT tag.value AS tag FROM rounds JOIN prompts ON prompts.sha256 = rounds.prompt
JOIN json_each(prompts.tags) AS tag ORDER BY tag
"""
# The turns before a round, and whatever goes on from one of them: of a turn that was had anew, the void one too.
_TURNS = """
WITH RECURSIVE
    before(id) AS (
        SELECT :id UNION SELECT rounds.continues FROM rounds JOIN before ON before.id = rounds.id
        WHERE rounds.continues IS NOT NULL),
    turns(id) AS (SELECT id FROM before UNION SELECT rounds.id FROM rounds JOIN turns ON rounds.continues = turns.id)
SELECT rounds.id, rounds.state FROM rounds JOIN turns ON turns.id = rounds.id ORDER BY rounds.id
"""
_COUNTED = """
SELECT (SELECT count(*) FROM answers WHERE round IN ({turns})) AS answers,
    (SELECT count(*) FROM votes WHERE round IN ({turns}) AND retracted_at IS NULL)
    + (SELECT count(*) FROM choices WHERE round IN ({turns}) AND retracted_at IS NULL)
    + (SELECT count(*) FROM revotes WHERE round IN ({turns})) AS votes
"""
OF_A_ROUND = ("revotes", "choices", "votes", "answers", "seats")
"""The tables with rows of a round, each before those that it points to."""
_UNASKED = "DELETE FROM prompts WHERE NOT EXISTS (SELECT 1 FROM rounds WHERE rounds.prompt = prompts.sha256)"


class LedgerAfterwards(LedgerDealing):
    """The part of the ledger that looks back."""

    def past_facets(self) -> tuple[list[str], dict[str, str]]:
        """The tags of every round there is, and the contestants of those whose names are out: fingerprint -> name."""
        with self._connection.reading():
            tags, met = self._connection.rows(_TAGS), self._connection.rows(_MET)
        return [row["tag"] for row in tags], distinct_names(map(rows.contestant_of, met))

    def judge_again(self, vote: Vote, dealt: Sequence[int]) -> None:
        """Store a further verdict on a round whose names are out, beside the vote that rates.

        `dealt`: its seats in the order in which they were shown. Raises ArenaError where the round has no vote, or the
        verdict names seats that did not answer; SealedError where its names are not out.
        """
        with self._connection.writing():
            key = self._find(vote.round_id)["id"]
            if not self._connection.rows("SELECT 1 FROM open_rounds WHERE id = :id", id=key):
                raise SealedError(f"Round {key} is sealed.", "Vote on it first.")
            if not self._connection.rows("SELECT 1 FROM votes WHERE round = :id AND retracted_at IS NULL", id=key):
                raise ArenaError(f"Round {key} has no vote.", "Only what was judged can be judged again.")
            check_verdict(key, vote.verdict, {answer.seat for answer in self._answers(key) if answer.there})
            self._connection.insert("revotes", rows.revote_row(replace(vote, round_id=key), dealt))

    def going(self, round_id: str) -> Going:
        """What `delete` of a round takes along. Raises ArenaError as `delete` does."""
        turns = self._turns(round_id)
        (found,) = self._connection.rows(
            _COUNTED.format(turns=", ".join(f":t{at}" for at in range(len(turns)))),
            **{f"t{at}": key for at, key in enumerate(turns)},
        )
        rated = any(judged.round_id in turns for judged in self.verdicts())
        return Going(tuple(turns), found["answers"], found["votes"], rated)

    def delete(self, round_id: str) -> None:
        """Delete a round with its answers and votes; of a conversation all turns, and the prompt if it stands nowhere.

        Only a void turn goes alone. Raises ArenaError where there is none, or where it is still to be played.
        """
        with self._connection.writing() as db:
            turns = [(key,) for key in self._turns(round_id)]
            for table in OF_A_ROUND:
                db.executemany(f"DELETE FROM {table} WHERE round = ?", turns)  # noqa: S608 - names of this file
            marks = ", ".join("?" * len(turns))
            db.execute(f"DELETE FROM rounds WHERE id IN ({marks})", [key for (key,) in turns])  # noqa: S608
            db.execute(_UNASKED)

    def _turns(self, round_id: str) -> list[str]:
        """The rounds that go together."""
        row = self._find(round_id)
        family = self._connection.rows(_TURNS, id=row["id"])
        goes_on = self._connection.rows("SELECT 1 FROM rounds WHERE continues = :id LIMIT 1", id=row["id"])
        turns: list[sqlite3.Row] = [row] if row["state"] == RoundState.VOID and not goes_on else family
        if any(turn["state"] in IN_WORK for turn in turns):
            raise ArenaError(
                f"Round {row['id']} is still to be played.", "Wait for it, or call its queue off: arena run --drop."
            )
        return [turn["id"] for turn in turns]


def check_verdict(round_id: str, verdict: Verdict, seats: Collection[int]) -> None:
    """Raise ArenaError unless the verdict can be one on a round in which these seats answered."""
    named = [seat for group in verdict.ranking for seat in group]
    wanted = verdict.kind is Kind.RANKING
    if wanted != bool(named) or len(set(named)) < len(named) or not set(named) <= set(seats):
        raise ArenaError(
            f"'{verdict}' is no verdict for round {round_id} with {len(seats)} answers.",
            "Say a letter, tie, bad, skip, or a ranking such as b>a.",
        )
