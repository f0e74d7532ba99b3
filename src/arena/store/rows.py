"""The nouns of core as rows, and back.

Text keeps every character that can be encoded, NUL included: the answer is stored as the model wrote it. Lone
surrogates, which UTF-8 has no bytes for, become U+FFFD. (SQLite's string functions and its shell stop at a NUL; Python
does not.)
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Outcome, Pace, Round, Schedule, Seat
from arena.core.text import storable
from arena.core.timing import Metrics
from arena.core.votes import Kind, Strength, Verdict, Vote

Row = Mapping[str, Any] | sqlite3.Row
_METRICS = tuple(field.name for field in fields(Metrics))
_FLAGS = ("cold", "contended", "cached", "speed_visible")
_SAMPLING = frozenset(field.name for field in fields(Sampling))
_LARGEST = 2**63 - 1


def now() -> str:
    """This moment: UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def dumps(value: object) -> str:
    """JSON that SQLite's functions read, Korean left readable."""
    return storable(json.dumps(value, ensure_ascii=False))


@lru_cache(maxsize=1024)
def names(text: str) -> tuple[str, ...]:
    """A JSON list of strings. The same few tags and flags come again on every row of a board."""
    return tuple(json.loads(text))


def contestant_row(contestant: Contestant, info: ModelInfo | None = None) -> dict[str, Any]:
    """The row of a contestant; `info` adds what is known of its model beside its identity."""
    return {
        "fingerprint": contestant.fingerprint,
        "endpoint": storable(contestant.ref.endpoint),
        "name": storable(contestant.ref.name),
        "digest": storable(contestant.ref.digest),
        "quantization": storable(contestant.quantization),
        "context": contestant.context,
        "kv_type": storable(contestant.kv_type),
        "template_hash": storable(contestant.template_hash),
        "sampler": dumps(contestant.sampler),
        "system": storable(contestant.system),
        "thinking": storable(contestant.thinking),
        "family": storable(info.family) if info else "",
        "parameters": _measure(info.parameters) if info else None,
        "size_bytes": _measure(info.size_bytes) if info else None,
        "first_seen": now(),
    }


def contestant_of(row: Row) -> Contestant:
    """The contestant of a row. The fingerprint is the stored one, whatever today's rule would say."""
    return Contestant(
        ref=ModelRef(row["endpoint"], row["name"], row["digest"]),
        quantization=row["quantization"],
        context=row["context"],
        kv_type=row["kv_type"],
        template_hash=row["template_hash"],
        sampler=tuple((name, float(value)) for name, value in json.loads(row["sampler"])),
        system=row["system"],
        thinking=row["thinking"],
        fingerprint=row["fingerprint"],
    )


def info_of(row: Row) -> ModelInfo:
    """What the store knows of the model of a contestant."""
    return ModelInfo(
        ref=ModelRef(row["endpoint"], row["name"], row["digest"]),
        family=row["family"],
        parameters=row["parameters"],
        quantization=row["quantization"],
        size_bytes=row["size_bytes"],
        template_hash=row["template_hash"],
    )


def kept_prompt(round_: Round) -> Prompt:
    """The prompt of a round, storable. In place of one that is not to be stored stands the round.

    So no two of them are taken for the same; not even a hash is kept, from which a short secret could be guessed.
    """
    prompt = round_.prompt
    if not prompt.stored:
        prompt = Prompt(f"(not stored: {round_.id})", tags=prompt.tags, language=prompt.guessed_language)
    return storable_prompt(prompt)


def storable_prompt(prompt: Prompt) -> Prompt:
    """The prompt as it can be stored, so that its key is the key of what is read back."""
    return replace(
        prompt,
        text=storable(prompt.text),
        slug=storable(prompt.slug),
        title=storable(prompt.title),
        system=storable(prompt.system),
        tags=tuple(storable(tag) for tag in prompt.tags),
        language=storable(prompt.language),
    )


def prompt_row(prompt: Prompt) -> dict[str, Any]:
    """The row of a prompt that is storable already."""
    return {
        "sha256": prompt.sha256,
        "slug": prompt.slug,
        "title": prompt.title,
        "text": prompt.text,
        "system": prompt.system,
        "tags": dumps(prompt.tags),
        "language": prompt.language,
    }


def prompt_of(row: Row) -> Prompt:
    """The prompt of a row."""
    return Prompt(row["text"], row["slug"], row["title"], row["system"], names(row["tags"]), row["language"])


def round_row(round_: Round, prompt: Prompt, state: str) -> dict[str, Any]:
    """The row of a round, without the columns that say whose it is."""
    return {
        "id": storable(round_.id),
        "prompt": prompt.sha256,
        "created_at": storable(round_.created_at) or now(),
        "state": state,
        "blind": int(round_.blind),
        "pace": str(round_.pace),
        "schedule": str(round_.schedule),
        "propensity": round_.propensity,
        "sampling": dumps(asdict(round_.sampling)),
        "continues": storable(round_.continues) or None,
    }


def seat_row(round_id: str, seat: Seat) -> dict[str, Any]:
    """The row of a seat."""
    return {
        "round": storable(round_id),
        "seat": seat.index,
        "contestant": seat.contestant.fingerprint,
        "run_order": seat.run_order,
        "endpoint": storable(seat.contestant.ref.endpoint),
        "name": storable(seat.contestant.ref.name),
    }


def seat_of(row: Row) -> Seat:
    """The seat of a row that has the columns of its contestant too, its own address as `seat_endpoint`, `seat_name`."""
    contestant = contestant_of(row)
    # As the view seats_revealed has it: where the seat says no address, that of its contestant holds.
    if row["seat_endpoint"] or row["seat_name"]:
        ref = ModelRef(row["seat_endpoint"], row["seat_name"], contestant.ref.digest)
        contestant = replace(contestant, ref=ref)
    return Seat(row["seat"], contestant, row["run_order"])


def round_of(row: Row, prompt: Prompt, seats: Iterable[Row]) -> Round:
    """The round of its row, its prompt and its seats in order; see `seat_of`."""
    sampling = json.loads(row["sampling"])
    return Round(
        id=row["id"],
        prompt=prompt,
        seats=tuple(map(seat_of, seats)),
        sampling=Sampling(**{name: value for name, value in sampling.items() if name in _SAMPLING}),
        schedule=Schedule(row["schedule"]),
        pace=Pace(row["pace"]),
        blind=bool(row["blind"]),
        propensity=row["propensity"],
        created_at=row["created_at"],
        continues=row["continues"] or "",
    )


def answer_row(round_id: str, answer: Answer, ran_alongside: Iterable[str] = ()) -> dict[str, Any]:
    """The row of an answer, with a column for every metric."""
    metrics = asdict(answer.metrics)
    row: dict[str, Any] = {
        "round": storable(round_id),
        "seat": answer.seat,
        "text": storable(answer.text),
        "thought": storable(answer.thought),
        "outcome": str(answer.outcome),
        "error": storable(answer.error),
        "ran_alongside": dumps(list(ran_alongside)),
    }
    for name in _METRICS:
        value = metrics[name]
        row[name] = storable(value) if isinstance(value, str) else _measure(value)
    return row


def answer_of(row: Row) -> Answer:
    """The answer of a row."""
    metrics: dict[str, Any] = {name: bool(row[name]) if name in _FLAGS else row[name] for name in _METRICS}
    return Answer(row["seat"], row["text"], row["thought"], Metrics(**metrics), Outcome(row["outcome"]), row["error"])


def vote_row(vote: Vote, *, blind: bool) -> dict[str, Any]:
    """The row of a vote; `blind` is what the store knows, not what the vote says."""
    return {
        "round": storable(vote.round_id),
        "verdict": str(vote.verdict),
        "kind": str(vote.verdict.kind),
        "ranking": dumps(vote.verdict.ranking),
        "blind": int(blind),
        "decided_ms": _measure(vote.decided_ms),
        "note": storable(vote.note),
        "voter": storable(vote.voter),
        "cast_at": storable(vote.cast_at) or now(),
        "strength": vote.strength,
    }


def choice_row(round_id: str, verdict: Verdict, voter: str) -> dict[str, Any]:
    """The row of a second vote."""
    return {
        "round": storable(round_id),
        "verdict": str(verdict),
        "kind": str(verdict.kind),
        "ranking": dumps(verdict.ranking),
        "voter": storable(voter),
        "cast_at": now(),
    }


def revote_row(vote: Vote, dealt: Iterable[int]) -> dict[str, Any]:
    """The row of a later verdict; `dealt`: the seats in the order in which they were shown."""
    told = choice_row(vote.round_id, vote.verdict, vote.voter)
    return told | {"dealt": dumps(list(dealt)), "strength": vote.strength, "decided_ms": _measure(vote.decided_ms)}


def revote_of(row: Row) -> Vote:
    """The verdict of such a row."""
    return vote_of(dict(row) | {"blind": 0, "note": ""})


def verdict_of(row: Row) -> Verdict:
    """The verdict of a row that has `kind` and `ranking`."""
    return Verdict(Kind(row["kind"]), tuple(tuple(group) for group in json.loads(row["ranking"])))


def vote_of(row: Row) -> Vote:
    """The vote of a row."""
    return Vote(
        round_id=row["round"],
        verdict=verdict_of(row),
        blind=bool(row["blind"]),
        decided_ms=row["decided_ms"],
        note=row["note"],
        cast_at=row["cast_at"],
        voter=row["voter"],
        strength=None if row["strength"] is None else Strength(row["strength"]),
    )


def _measure(value: object) -> float | int | None:
    """A figure as a column takes it: NaN, infinity and what 64 bits can't hold were not measured."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) and abs(value) <= _LARGEST else None
