"""Votes as rows for others: a row for each pair that a verdict orders, in the columns that arena-rank reads and more.

Nothing of a round is exported before its names are out. A round of three is one vote: each of its rows names the whole
round and its whole verdict, so that an import makes one vote of them again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from arena.core.battles import ForeignSeat, duels
from arena.core.models import distinct_names
from arena.core.rounds import LABELS
from arena.store import rows
from arena.store.battle_rows import seat_json
from arena.store.sights import LedgerSights

_SPEEDS = {"tok_s": "decode_tps", "chars_s": "chars_per_s", "ttft_ms": "ttft_ms"}
"""Column here, column of the answers."""
_OF_A_SIDE = ("fingerprint", "quantization", *_SPEEDS)
COLUMNS = (
    *("model_a", "model_b", "winner", "round", "pair", "verdict", "seats", "voter", "rated", "blind", "flags"),
    *("cast_at", "decided_ms", "strength", "note", "created_at", "state", "pace", "schedule", "propensity"),
    *("prompt_sha256", "prompt_slug", "prompt", "system", "tags", "language", "continues"),
    *(f"{name}_{side}" for name in _OF_A_SIDE for side in "ab"),
)
"""Every column, in order."""
_AS_THEY_ARE = (
    *("cast_at", "decided_ms", "strength", "note", "created_at", "state", "pace", "schedule", "propensity"),
    "continues",
)
_TEXTS = ("prompt", "system", "note")
# `seats_revealed` has no seat of a round whose names are not out.
_VOTES = """
SELECT votes.id, votes.round, votes.kind, votes.ranking, votes.voter, votes.cast_at, votes.decided_ms, votes.strength,
    votes.note, votes.blind AND rounds.blind AND rounds.state = 'voted' AS blind, rounds.created_at, rounds.state,
    rounds.pace, rounds.schedule, rounds.propensity, rounds.flags, rounds.continues, prompts.sha256, prompts.slug,
    prompts.title, prompts.text, prompts.system, prompts.tags, prompts.language, seats_revealed.seat,
    seats_revealed.fingerprint, seats_revealed.quantization, coalesce(answers.out_chars, 0) AS out_chars,
    answers.outcome IN ('answered', 'truncated') AND NOT (answers.cold OR answers.contended OR answers.cached) AS clean,
    answers.decode_tps, answers.chars_per_s, answers.ttft_ms
FROM votes
JOIN rounds ON rounds.id = votes.round
JOIN prompts ON prompts.sha256 = rounds.prompt
JOIN seats_revealed ON seats_revealed.round = votes.round
LEFT JOIN answers ON answers.round = votes.round AND answers.seat = seats_revealed.seat
WHERE votes.retracted_at IS NULL AND votes.kind <> 'skip' AND rounds.state <> 'void'
    AND coalesce(answers.outcome, '') NOT IN ('failed', 'cancelled')
ORDER BY votes.cast_at, votes.id, seats_revealed.seat
"""


class LedgerExports(LedgerSights):
    """The part of the ledger that hands votes out."""

    def exported(self, *, unrated: bool = False, texts: bool = True) -> Iterator[dict[str, Any]]:
        """Every row with all `COLUMNS`, oldest vote first.

        `unrated`: also votes that the leaderboard leaves out. Without `texts` prompts and notes are empty. Figures are
        those of clean runs alone. Names are those of the leaderboard.
        """
        rated = {(voter, judged.round_id) for voter in self.voters() for judged in self.verdicts(voter=voter)}
        with self._connection.reading():
            found, names = self._connection.rows(_VOTES), distinct_names(self._known().values())
        for _, group in groupby(found, key=lambda row: row["id"]):
            seats = list(group)
            if len(seats) < 2:
                continue
            counts = (seats[0]["voter"], seats[0]["round"]) in rated
            if counts or unrated:
                for row in _pairs(seats, names, rated=counts):
                    yield row if texts else row | dict.fromkeys(_TEXTS)


def _pairs(seats: Sequence[sqlite3.Row], names: dict[str, str], *, rated: bool) -> Iterator[dict[str, Any]]:
    first, prompt = seats[0], rows.prompt_of(seats[0])
    # What broke off lost no argument: the vote is one among those that answered.
    verdict = rows.verdict_of(first).among([seat["seat"] for seat in seats])
    seated = [
        ForeignSeat(seat["fingerprint"], names[seat["fingerprint"]], seat["quantization"], seat["out_chars"])
        for seat in seats
    ]
    told = {
        "round": first["round"],
        "verdict": str(verdict),
        "seats": [seat_json(seat) for seat in seated],
        "voter": first["voter"],
        "rated": rated,
        "blind": bool(first["blind"]),
        "flags": list(rows.names(first["flags"])),
        **{name: first[name] for name in _AS_THEY_ARE},
        "prompt_sha256": first["sha256"],
        "prompt_slug": first["slug"],
        "prompt": first["text"],
        "system": first["system"],
        "tags": list(prompt.tags),
        "language": prompt.guessed_language,
    }
    for a, b, winner in duels(verdict, len(seats)):
        pair = {"model_a": seated[a].name, "model_b": seated[b].name, "winner": winner, "pair": LABELS[a] + LABELS[b]}
        row = pair | told | _side(seats[a], "a") | _side(seats[b], "b")
        yield {column: row[column] for column in COLUMNS}


def _side(seat: sqlite3.Row, side: str) -> dict[str, Any]:
    facts = {"fingerprint": seat["fingerprint"], "quantization": seat["quantization"]}
    facts |= {name: seat[column] if seat["clean"] else None for name, column in _SPEEDS.items()}
    return {f"{name}_{side}": value for name, value in facts.items()}
