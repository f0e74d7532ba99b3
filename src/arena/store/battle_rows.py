"""What a row of a file says: a battle of a public arena, or a judged round of another database of arena.

A row is read from JSON or from CSV, where everything is text: both mean the same. What is wrong with one is a
ValueError with a sentence that has no full stop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from arena.core.battles import ME, WINNERS, Battle, ForeignRound, ForeignSeat, Winner, duels
from arena.core.errors import UsageError
from arena.core.rounds import LABELS
from arena.core.text import clean_line, storable
from arena.core.votes import Verdict

_NAME_LIMIT = 300
_WORD_LIMIT = 60
_LIST_LIMIT = 50
_IDENTITY = (
    *("id", "battle_id", "question_id", "conversation_id", "evaluation_session_id", "evaluation_order"),
    *("judge", "turn", "voter", "tstamp", "timestamp", "cast_at"),
)
"""What the public arenas tell one battle from another by, under whichever of these names."""
_NOTHING = (None, "")
_SCALARS = frozenset({str, int, float, bool})
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_ROUND_ID = re.compile(r"[0-9a-z]{1,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 2**53

_LANGUAGES = {
    name: code
    for code, name in (
        *(("en", "english"), ("ko", "korean"), ("zh", "chinese"), ("ja", "japanese"), ("ru", "russian")),
        *(("de", "german"), ("es", "spanish"), ("fr", "french"), ("pt", "portuguese"), ("it", "italian")),
        *(("pl", "polish"), ("vi", "vietnamese"), ("tr", "turkish"), ("ar", "arabic"), ("uk", "ukrainian")),
        *(("nl", "dutch"), ("fa", "persian"), ("id", "indonesian"), ("", "unknown")),
    )
}

Row = Mapping[str, Any]


def read_row(row: Row) -> Battle | ForeignRound:
    """What the row says. Raises ValueError."""
    return _round(row) if row.get("round") and row.get("seats") else _battle(row)


def _battle(row: Row) -> Battle:
    model_a, model_b = _name(row.get("model_a"), "model_a"), _name(row.get("model_b"), "model_b")
    if model_a == model_b:
        raise ValueError("model_a and model_b are the same")
    word = row.get("winner")
    winner = WINNERS.get(word) if isinstance(word, str) else None
    if winner is None:
        winner = _winner(word)
    blind = _bool(row, "blind", default=True) and _bool(row, "anony", default=True)
    tags = _words(row, "tags")
    if _bool(row, "is_code", default=False) and "coding" not in tags:
        tags = (*tags, "coding")
    language = _language(row)
    return Battle(model_a, model_b, winner, blind, tags, language, _moment(row), _identity(row))


def _round(row: Row) -> ForeignRound:
    seats = tuple(map(_seat, _list(row, "seats")))
    if len(seats) not in (2, 3):
        raise ValueError(f"a round has two or three seats, this one has {len(seats)}")
    try:
        verdict = Verdict.parse(_word(row, "verdict", _WORD_LIMIT), len(seats))
    except UsageError as fault:
        raise ValueError(f"verdict: {fault.sentence.rstrip('.')}") from None
    pair, winner = _word(row, "pair", 2) or "AB", _winner(row.get("winner"))
    if (pair, winner) not in {(LABELS[a] + LABELS[b], who) for a, b, who in duels(verdict, len(seats))}:
        raise ValueError(f"winner says '{winner}' of {clean_line(pair)}, and verdict says '{verdict}'")
    return ForeignRound(
        round_id=_id(row, "round", _ROUND_ID),
        judge=_word(row, "voter", _WORD_LIMIT) or ME,
        verdict=verdict,
        seats=seats,
        blind=_bool(row, "blind", default=True),
        flags=_words(row, "flags"),
        prompt=_id(row, "continues", _ROUND_ID) or _id(row, "prompt_sha256", _SHA256),
        tags=_words(row, "tags"),
        language=_language(row),
        cast_at=_word(row, "cast_at", 40),
        decided_ms=_number(row.get("decided_ms"), "decided_ms"),
    )


def _seat(facts: object) -> ForeignSeat:
    if not isinstance(facts, dict):
        raise ValueError("a seat is no JSON object")  # noqa: TRY004 - one kind of fault for all that a row can have
    fingerprint = _id(facts, "fingerprint", _FINGERPRINT)
    if not fingerprint:
        raise ValueError("fingerprint of a seat is missing")
    name = _name(facts.get("model"), "model of a seat")
    chars = _number(facts.get("chars"), "chars of a seat") or 0
    return ForeignSeat(fingerprint, name, _word(facts, "quantization", _WORD_LIMIT), chars)


def seat_json(seat: ForeignSeat) -> dict[str, Any]:
    """A seat as `_seat` reads it."""
    return {
        "model": seat.name,
        "fingerprint": seat.fingerprint,
        "quantization": seat.quantization,
        "chars": seat.chars,
    }


def _name(value: object, column: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{column} is missing" if value is None else f"{column} is no text")  # noqa: TRY004
    return _checked_name(value, column)


@lru_cache(maxsize=4096)
def _checked_name(value: str, column: str) -> str:
    name = storable(value).strip()
    if not clean_line(name):
        raise ValueError(f"{column} is empty")
    if len(name) > _NAME_LIMIT or "\0" in name:
        raise ValueError(f"{column} is no name of a model: '{clean_line(name, 40)}'")
    return name


def _winner(word: object) -> Winner:
    if not isinstance(word, str):
        raise ValueError("winner is missing" if word is None else "winner is no text")  # noqa: TRY004
    winner = WINNERS.get(word.strip().lower())
    if winner is None:
        raise ValueError(f"'{clean_line(word, 40)}' is no winner: model_a, model_b, tie, both_bad")
    return winner


def _word(row: Row, column: str, limit: int) -> str:
    value = row.get(column)
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{column} is no text")  # noqa: TRY004
    if len(value) > limit or "\0" in value:
        raise ValueError(f"{column} is longer than {limit} characters, or holds a NUL")
    return storable(value)


def _id(row: Row, column: str, pattern: re.Pattern[str]) -> str:
    word = _word(row, column, 64)
    if word and not pattern.fullmatch(word):
        raise ValueError(f"{column} can't be '{clean_line(word, 64)}'")
    return word


def _language(row: Row) -> str:
    """`en` for what the public arenas call English."""
    word = _word(row, "language", _WORD_LIMIT)
    return _LANGUAGES.get(word.lower(), word)


def _bool(row: Row, column: str, *, default: bool) -> bool:
    value = row.get(column)
    if value is None or value == "":
        return default
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{column} is neither true nor false")


def _number(value: object, column: str) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{column} is no whole number")
    return value


def _list(row: Row, column: str) -> list[Any]:
    """A list, or the JSON of one."""
    value = row.get(column)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value else []
        except (ValueError, RecursionError):
            value = None
    if value is None and row.get(column) is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{column} is no list")  # noqa: TRY004
    return value


def _words(row: Row, column: str) -> tuple[str, ...]:
    if not row.get(column):
        return ()
    found = _list(row, column)
    if len(found) > _LIST_LIMIT:
        raise ValueError(f"{column} has more than {_LIST_LIMIT} entries")
    return tuple(_word({column: word}, column, _WORD_LIMIT) for word in found)


@lru_cache(maxsize=64)
def _identifying(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Those that tell battles apart; the rows of a file have the same columns, or a few kinds of them."""
    return tuple(name for name in _IDENTITY if name in columns)


def _identity(row: Row) -> tuple[str, ...]:
    """Ids and times as text, the same from JSON and from CSV."""
    told = [(name, row[name]) for name in _identifying(tuple(row))]
    found = tuple([f"{name}={value}" for name, value in told if value not in _NOTHING and type(value) in _SCALARS])
    if "\0" in "".join(found):
        raise ValueError("it holds a NUL")
    return found


def _moment(row: Row) -> str:
    """When it was cast; seconds since 1970 become ISO 8601."""
    value = row.get("cast_at") or row.get("timestamp") or row.get("tstamp") or ""
    try:
        if not isinstance(value, str) or value.replace(".", "").isdigit():
            return datetime.fromtimestamp(float(value), UTC).isoformat(timespec="milliseconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return ""
    return storable(value) if len(value) <= 40 and "\0" not in value else ""
