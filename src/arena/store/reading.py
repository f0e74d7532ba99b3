"""What is read from the store: sealed views before the vote, whole records after it.

One rule runs through all of it: the names of a round are out when it was revealed after its vote, or unblinded. Until
then `waiting`, `view`, `sealed` and `history` give nothing that could name a model. `round` gives everything:
it is for the engine, and for after the reveal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from arena.core.errors import ArenaError, SealedError
from arena.core.naming import NamingWords, mask
from arena.core.past import Ending
from arena.core.ports import RoundRecord
from arena.core.prompts import Prompt
from arena.core.rounds import LABELS, Answer, Exchange, Pace, RoundState, RoundView, SealedRound, seat_names
from arena.core.text import storable
from arena.core.votes import Verdict
from arena.store import rows
from arena.store.connection import Connection

SEALED = (RoundState.PLANNED, RoundState.GENERATING, RoundState.READY, RoundState.CONTINUED)
"""The states before the vote."""
IN_WORK = (RoundState.PLANNED, RoundState.GENERATING)

_HISTORY = """
SELECT rounds.*, prompts.slug, prompts.title, prompts.text, prompts.system, prompts.tags, prompts.language,
    (SELECT count(*) FROM seats WHERE seats.round = rounds.id) AS seats,
    votes.kind, votes.ranking, votes.cast_at, votes.note
FROM rounds
JOIN prompts ON prompts.sha256 = rounds.prompt
LEFT JOIN votes ON votes.id = (
    SELECT max(id) FROM votes WHERE votes.round = rounds.id AND votes.retracted_at IS NULL)
WHERE (:state = '' AND rounds.state <> 'continued' OR rounds.state = :state)
    AND (:tag = '' OR EXISTS (SELECT 1 FROM json_each(prompts.tags) WHERE value = :tag))
    AND (:model = '' OR EXISTS (
        SELECT 1 FROM seats_revealed AS seen
        WHERE seen.round = rounds.id AND (seen.fingerprint = :model OR seen.model = :model)))
"""
_ENDED = {
    Ending.WAITING: "rounds.state = 'ready'",
    Ending.DECIDED: "votes.kind = 'ranking' AND json_array_length(votes.ranking, '$[0]') = 1",
    Ending.TIE: "votes.kind = 'ranking' AND json_array_length(votes.ranking, '$[0]') > 1",
    Ending.BAD: "votes.kind = 'bad'",
    Ending.SKIPPED: "votes.kind = 'skip'",
    Ending.PEEKED: "rounds.state = 'unblinded'",
    Ending.VOID: "rounds.state = 'void'",
    Ending.NOTED: "votes.note <> ''",
}
# An answer that names its model must not be found by it while that is hidden: sealed rounds are found by their prompt.
# What was said in an earlier turn finds the last one, which stands for the conversation.
_SEARCH = """
    AND rounds.id IN (
        WITH RECURSIVE matched(id) AS (
            SELECT rounds.id FROM rounds JOIN prompts ON prompts.sha256 = rounds.prompt
            WHERE prompts.id IN (SELECT rowid FROM prompts_fts WHERE prompts_fts MATCH :words)
            UNION
            SELECT answers.round FROM answers JOIN rounds ON rounds.id = answers.round
            WHERE (rounds.state = 'unblinded' OR rounds.revealed_at IS NOT NULL)
                AND answers.id IN (SELECT rowid FROM answers_fts WHERE answers_fts MATCH :words)
            UNION
            SELECT votes.round FROM votes
            WHERE votes.retracted_at IS NULL AND instr(lower(votes.note), lower(:phrase)) > 0
            UNION
            SELECT rounds.id FROM rounds JOIN matched ON rounds.continues = matched.id)
        SELECT id FROM matched)
"""
_NEWEST_FIRST = """
ORDER BY rounds.created_at DESC, rounds.id DESC LIMIT :limit OFFSET :offset
"""


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A past round in one line. Sealed while its names are not out."""

    id: str
    prompt: Prompt
    state: RoundState
    created_at: str
    """UTC, ISO 8601."""
    labels: tuple[str, ...]
    """A, B and perhaps C: the seats from left to right."""
    models: tuple[str, ...] = ()
    """`ENDPOINT/NAME` in the order of the seats; empty while sealed."""
    verdict: Verdict | None = None
    cast_at: str = ""
    note: str = ""
    flags: tuple[str, ...] = ()
    """Why it is not rated or was marked; empty before the vote, where a flag could tell who sits there."""
    further: bool = False
    """Whether turns came before it; they are shown with it."""

    @property
    def sealed(self) -> bool:
        """Whether its names are hidden."""
        return not self.models


class LedgerReader:
    """The reading half of the ledger. One connection, one thread."""

    def __init__(self, path: Path) -> None:
        """Open or create the database. Raises ArenaError when that can't be done; see `Connection.open`."""
        self._connection = Connection.open(path)

    def round(self, round_id: str) -> RoundRecord:
        """The round with that id, or an unambiguous beginning or end of it, with all that is known of it.

        Raises ArenaError when there is none or several. Names every model: not for a screen before the vote.
        """
        with self._connection.reading():
            row = self._find(round_id)
            key = row["id"]
            votes = self._connection.rows(
                "SELECT * FROM votes WHERE round = :round AND retracted_at IS NULL ORDER BY id DESC LIMIT 1", round=key
            )
            second = self._connection.rows(
                "SELECT * FROM choices WHERE round = :round AND retracted_at IS NULL ORDER BY id DESC LIMIT 1",
                round=key,
            )
            return RoundRecord(
                round=rows.round_of(row, self._prompt(row), self._seats(key)),
                state=RoundState(row["state"]),
                answers=self._answers(key),
                vote=rows.vote_of(votes[0]) if votes else None,
                flags=rows.names(row["flags"]),
                earlier=self._earlier(row),
                second=rows.verdict_of(second[0]) if second else None,
                again=tuple(rows.revote_of(each) for each in self._again(key)),
            )

    def revealed(self, round_id: str) -> RoundRecord:
        """The same for a round whose names are out: what `arena show` and a history screen ask for.

        Raises SealedError for a round whose names are not out, ArenaError as `round` does.
        """
        record = self.round(round_id)
        if not self._connection.rows("SELECT 1 FROM open_rounds WHERE id = :round", round=record.round.id):
            raise SealedError(
                f"Round {record.round.id} is sealed: its models are named after the vote.",
                "Vote on it with arena vote.",
            )
        return record

    def as_far_as_open(self, round_id: str) -> RoundRecord | SealedRound:
        """A past round: whole when its names are out, else sealed. Raises ArenaError as `round` does."""
        try:
            return self.revealed(round_id)
        except SealedError:
            return self.sealed(round_id)

    def view(self, round_id: str) -> RoundView:
        """A round as a screen may know it before the vote. Raises ArenaError as `round` does."""
        with self._connection.reading():
            return self._view(self._find(round_id))

    def sealed(self, round_id: str) -> SealedRound:
        """A round as a voter may read it: text and outcome of its answers, and of the turns before it.

        No figures and no thinking, which tell who wrote it, and no error text, which may name the model. Where an
        answer names a model it is masked; the raw text is in `round`. While it is in work there are no answers: which
        seats have answered already would tell the running order. Raises ArenaError as `round` does.
        """
        with self._connection.reading():
            row = self._find(round_id)
            view, earlier, seats = self._view(row), self._earlier(row), self._seats(row["id"])
            state = RoundState(row["state"])
            found = () if state in IN_WORK else self._answers(row["id"])
        seated, families = [rows.seat_of(seat).contestant for seat in seats], [seat["family"] for seat in seats]
        asked, turns = "", list[Exchange]()
        for turn in earlier:  # what is asked later makes no name in an earlier answer less telling
            asked += f"{turn.question}\n"
            turns.append(Exchange(turn.question, _masked(turn.answers, NamingWords.of(seated, families, asked))))
        words = NamingWords.of(seated, families, asked + view.prompt.text)
        return SealedRound(view, state, _masked(found, words), tuple(turns))

    def waiting(self, limit: int = 50) -> list[RoundView]:
        """The rounds that wait for a vote, oldest first, sealed. A private one is judged where it was asked."""
        found = self._connection.rows(
            "SELECT rounds.id, rounds.pace, prompts.*,"
            " (SELECT count(*) FROM seats WHERE seats.round = rounds.id) AS seats"
            " FROM rounds JOIN prompts ON prompts.sha256 = rounds.prompt"
            " WHERE rounds.state = 'ready'"
            " AND NOT EXISTS (SELECT 1 FROM json_each(rounds.flags) WHERE value = 'private')"
            " ORDER BY rounds.created_at, rounds.id LIMIT :limit",
            limit=max(0, limit),
        )
        return [
            RoundView(row["id"], rows.prompt_of(row), tuple(LABELS[: row["seats"]]), Pace(row["pace"])) for row in found
        ]

    def history(
        self,
        limit: int = 50,
        search: str = "",
        *,
        offset: int = 0,
        tag: str = "",
        state: RoundState | None = None,
        model: str = "",
        ending: Ending | None = None,
    ) -> list[HistoryLine]:
        """Rounds, newest first.

        `search`, `tag`, `model` and `ending` narrow them as `Wanted` has it; `state` to those in that state.
        """
        words = _words(search)
        if search.strip() and not words:
            return []
        with self._connection.reading():
            found = self._connection.rows(
                _HISTORY + (_SEARCH if words else "") + (f" AND {_ENDED[ending]}" if ending else "") + _NEWEST_FIRST,
                limit=max(0, limit),
                offset=max(0, offset),
                tag=storable(tag),
                state=state or "",
                model=storable(model),
                words=words,
                phrase=storable(search.strip()),
            )
            return [self._line(row) for row in found]

    def _find(self, text: str) -> sqlite3.Row:
        """The row of the one round whose id is `text`, or begins or ends with it."""
        wanted = storable(text.strip())
        if not wanted:
            raise ArenaError("No round was named.", "arena history lists them.")
        found = self._connection.rows("SELECT * FROM rounds WHERE id = :id", id=wanted) or self._connection.rows(
            "SELECT * FROM rounds WHERE substr(id, 1, length(:id)) = :id OR substr(id, -length(:id)) = :id"
            " ORDER BY id LIMIT 5",
            id=wanted.lower(),
        )
        if not found:
            raise ArenaError(f"There is no round '{text}'.", "arena history lists them.")
        if len(found) > 1:
            ids = ", ".join(row["id"] for row in found)
            raise ArenaError(f"'{text}' is the beginning or end of several rounds.", f"Say which: {ids}.")
        return found[0]

    def _seats(self, round_id: str) -> list[sqlite3.Row]:
        return self._connection.rows(
            "SELECT seats.seat, seats.run_order, seats.endpoint AS seat_endpoint, seats.name AS seat_name,"
            " contestants.* FROM seats JOIN contestants ON contestants.fingerprint = seats.contestant"
            " WHERE seats.round = :round ORDER BY seats.seat",
            round=round_id,
        )

    def _prompt(self, row: sqlite3.Row) -> Prompt:
        found = self._connection.rows("SELECT * FROM prompts WHERE sha256 = :prompt", prompt=row["prompt"])
        return rows.prompt_of(found[0])

    def _view(self, row: sqlite3.Row) -> RoundView:
        labels = tuple(LABELS[seat["seat"]] for seat in self._seats(row["id"]))
        return RoundView(row["id"], self._prompt(row), labels, Pace(row["pace"]), row["continues"] or "")

    def _earlier(self, row: sqlite3.Row) -> tuple[Exchange, ...]:
        """The turns before the round of this row, the first one first."""
        turns: list[Exchange] = []
        while row["continues"] is not None:
            (row,) = self._connection.rows("SELECT * FROM rounds WHERE id = :id", id=row["continues"])
            turns.append(Exchange(self._prompt(row).text, self._answers(row["id"])))
        return tuple(reversed(turns))

    def _again(self, round_id: str) -> list[sqlite3.Row]:
        return self._connection.rows("SELECT * FROM revotes WHERE round = :round ORDER BY id", round=round_id)

    def _answers(self, round_id: str) -> tuple[Answer, ...]:
        found = self._connection.rows("SELECT * FROM answers WHERE round = :round ORDER BY seat", round=round_id)
        return tuple(rows.answer_of(row) for row in found)

    def _line(self, row: sqlite3.Row) -> HistoryLine:
        state = RoundState(row["state"])
        # The view, not a condition of its own: the rule of what is out stands in one place.
        open_seats: Sequence[sqlite3.Row] = self._connection.rows(
            "SELECT model FROM seats_revealed WHERE round = :round ORDER BY seat", round=row["id"]
        )
        names = tuple(seat["model"] for seat in open_seats)
        if len(set(names)) < len(names):  # one model at two settings
            names = seat_names([rows.seat_of(seat).contestant for seat in self._seats(row["id"])])
        return HistoryLine(
            id=row["id"],
            prompt=rows.prompt_of(row),
            state=state,
            created_at=row["created_at"],
            labels=tuple(LABELS[: row["seats"]]),
            models=names,
            verdict=rows.verdict_of(row) if row["kind"] is not None else None,
            cast_at=row["cast_at"] or "",
            note=row["note"] or "",
            flags=() if state in SEALED else rows.names(row["flags"]),
            further=row["continues"] is not None,
        )


def _masked(answers: Iterable[Answer], words: NamingWords) -> tuple[Answer, ...]:
    """Text and outcome alone, without names."""
    return tuple(Answer(answer.seat, mask(answer.text, words), outcome=answer.outcome) for answer in answers)


def _words(search: str) -> str:
    """A query for FTS5: every word quoted, so that nothing in it is an operator, and taken as a beginning."""
    plain = storable(search).replace("\0", " ").replace('"', " ")
    return " ".join(f'"{word}"*' for word in plain.split())
