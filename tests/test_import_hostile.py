"""Files of battles that nobody should trust: each is refused in a sentence, or read for what it is."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pytest

from arena.core.errors import ArenaError
from arena.store import battle_files, incoming
from arena.store.battle_files import BattleFile
from arena.store.ledger import SqliteLedger
from battle_files import battle, everything, jsonl, opened, take

SEATS = [{"model": "x/a", "fingerprint": "0" * 16}, {"model": "x/b", "fingerprint": "1" * 16, "chars": 3}]
ROUND = battle("x/a", "x/b", round="r1", verdict="a", seats=SEATS)


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened_:
        yield opened_


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory):
    """For many files of which nothing is imported."""
    with SqliteLedger(tmp_path_factory.mktemp("refusing") / "arena.db") as opened_:
        yield opened_


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"null", "no JSON object"),
        (b"[" * 100_000 + b"]" * 100_000, "deep"),
        (b'{"model_a": ' + b"9" * 5000 + b"}", "no JSON"),
        (b"{" * 10, "no JSON"),
        (b"\xff\xfe\xfd", "UTF-8"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "deep"),
        (jsonl(battle(None)), "model_a is missing"),
        (jsonl(battle(3)), "model_a is no text"),
        (jsonl(battle(["ant"])), "model_a is no text"),
        (jsonl(battle({"name": "ant"})), "model_a is no text"),
        (jsonl(battle("  ")), "model_a is empty"),
        (jsonl(battle("\u200b\u2060")), "model_a is empty"),
        (jsonl(battle("a\0b")), "no name"),
        (jsonl(battle("a" * 301)), "no name"),
        (jsonl(battle(winner=None)), "winner is missing"),
        (jsonl(battle(winner=1)), "winner is no text"),
        (jsonl(battle(winner="\x1b[31mred")), "no winner"),
        (jsonl(battle(language="x" * 61)), "language"),
        (jsonl(battle(language=["en"])), "language is no text"),
        (jsonl(battle(tags={"a": 1})), "tags is no list"),
        (jsonl(battle(tags="[")), "tags is no list"),
        (jsonl(battle(tags=[1])), "tags is no text"),
        (jsonl(battle(tags=["x"] * 51)), "more than 50"),
        (jsonl(battle(blind="perhaps")), "blind is neither"),
        (jsonl(battle(anony=[])), "anony is neither"),
        (jsonl(battle(id="a\0b")), "NUL"),
        (jsonl(ROUND | {"seats": SEATS[:1]}), "two or three seats"),
        (jsonl(ROUND | {"seats": SEATS * 2}), "two or three seats"),
        (jsonl(ROUND | {"seats": "[" * 100_000}), "seats is no list"),
        (jsonl(ROUND | {"seats": [1, 2]}), "seat is no JSON object"),
        (jsonl(ROUND | {"seats": [SEATS[0], {"model": "x/b", "fingerprint": "no"}]}), "fingerprint can't be 'no'"),
        (jsonl(ROUND | {"seats": [SEATS[0], {"fingerprint": "1" * 16}]}), "model of a seat is missing"),
        (jsonl(ROUND | {"seats": [SEATS[0], SEATS[1] | {"chars": -1}]}), "no whole number"),
        (jsonl(ROUND | {"seats": [SEATS[0], SEATS[1] | {"chars": True}]}), "no whole number"),
        (jsonl(ROUND | {"seats": [SEATS[0], SEATS[1] | {"chars": 10**400}]}), "no whole number"),
        (jsonl(ROUND | {"verdict": "c"}), "no verdict"),
        (jsonl(ROUND | {"verdict": "b"}), "winner says"),
        (jsonl(ROUND | {"winner": "tie"}), "winner says"),
        (jsonl(ROUND | {"verdict": "skip"}), "winner says"),
        (jsonl(ROUND | {"pair": "BC"}), "winner says"),
        (jsonl(ROUND | {"round": "a b"}), "round can't be"),
        (jsonl(ROUND | {"continues": "R 1"}), "continues can't be"),
        (jsonl(ROUND | {"seats": [SEATS[0], {"model": "x/b"}]}), "fingerprint of a seat is missing"),
        (jsonl(ROUND | {"round": ["r1"]}), "round is no text"),
        (jsonl(ROUND | {"prompt_sha256": "x"}), "prompt_sha256 can't be"),
        (jsonl(ROUND | {"decided_ms": 1.5}), "no whole number"),
        (jsonl(ROUND | {"cast_at": "x" * 41}), "cast_at"),
    ],
    ids=str,
)
def test_a_row_that_is_none_is_a_bad_row_and_no_crash(refusing, row, says):
    found = take(refusing, jsonl(battle()) + row.rstrip(b"\n") + b"\n" + jsonl(battle()))
    assert [bad.line for bad in found.bad] == [2]
    assert says in found.bad[0].what
    assert len(found.bad[0].what) < 200
    assert "\x1b" not in found.bad[0].what
    assert found.id is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no battles"),
        (b"model_a,model_b,winner\n", "no battles"),
        (b"hello", "no column 'model_a'"),
        (b"model_a,model_b\nant,bee\n", "no column 'winner'"),
        (b"model_a,model_b,winner,winner\nant,bee,tie,tie\n", "column 'winner' twice"),
        (b"model_a,model_b,winner,\x1b[2J,\x1b[2J\n", "twice"),
        (b'[{"model_a": "ant"}]', "one JSON list"),
        ("model_a,model_b,winner\nant,bee,tie\n".encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08\x00" + b"\0" * 100, "gzip"),
        (b"PAR1" + b"\0" * 100, "Parquet"),
        (b"PK\x03\x04" + b"\0" * 100, "ZIP"),
        (b"SQLite format 3\0" + b"\0" * 100, "a database"),
        (b"\x80\x81\n", "line 1 is no UTF-8"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_of_something_else_is_refused_in_a_sentence(refusing, data, says):
    before = everything(refusing)
    with pytest.raises(ArenaError, match=says) as fault:
        take(refusing, data, skip_bad=True)
    assert fault.value.hint
    assert "\x1b" not in str(fault.value)
    assert everything(refusing) == before


class Endless(io.RawIOBase):
    """A first line, then so many bytes without a line break, made as they are read, then a last line."""

    def __init__(self, first: bytes, length: int, last: bytes) -> None:
        self._parts, self._left, self._filler = [first], length, last

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if self._parts:
            piece = self._parts.pop()
        elif self._left:
            piece = b'{"x' if self._left > len(buffer) else b"x\n"
            piece = piece[:1] + b"x" * (min(len(buffer), self._left) - 2) + piece[-1:]
            self._left -= len(piece)
        else:
            piece, self._filler = self._filler, b""
        buffer[: len(piece)] = piece
        return len(piece)


def test_a_line_of_a_gigabyte_costs_no_gigabyte(ledger, monkeypatch):
    monkeypatch.setattr(battle_files, "LINE_LIMIT", 1 << 20)
    stream = io.BufferedReader(Endless(jsonl(battle()), 1 << 28, jsonl(battle("cat"))))
    tracemalloc.start()
    found = ledger.import_battles(BattleFile(stream, "huge"), "anna", skip_bad=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(bad.line, bad.what) for bad in found.bad] == [(2, "is longer than 1 MiB")]
    assert found.battles == 2
    assert peak < 16 << 20


def test_a_quote_that_is_never_closed_does_not_swallow_the_file(ledger, monkeypatch):
    monkeypatch.setattr(battle_files, "LINE_LIMIT", 1000)
    data = b'model_a,model_b,winner\nant,bee,"tie\n' + b"ant,bee,tie\n" * 500
    found = take(ledger, data, skip_bad=True)
    assert found.bad[0].line == 2
    assert found.battles > 300
    assert csv.field_size_limit() == 131072, "the limit is one for the whole process"


def test_lone_surrogates_and_control_characters_are_stored_and_shown_harmless(ledger):
    take(ledger, b'{"model_a": "a\\ud800\\u001b[31m", "model_b": "bee", "winner": "tie", "id": "\\udfff"}\n')
    names = ledger.shown_names(ledger.stages(voter="anna"))
    assert "a\ufffd\x1b[31m" in names.values(), "raw, and cleaned where it is shown"


def test_more_names_than_models_there_are_is_a_wrong_column(ledger, monkeypatch):
    monkeypatch.setattr(incoming, "MOST_CONTESTANTS", 10)
    with pytest.raises(ArenaError, match="right column"):
        take(ledger, jsonl(*[battle(f"m{n}") for n in range(11)]))
    assert ledger.imports() == []


def test_rows_of_one_round_that_contradict_each_other_are_bad(ledger):
    changed = ROUND | {"verdict": "b", "winner": "model_b"}
    found = take(ledger, jsonl(ROUND, changed, ROUND | {"round": "r2"}))
    assert [(bad.line, bad.what) for bad in found.bad] == [(2, "rows of round r1 contradict each other")]
    take(ledger, jsonl(ROUND, changed, ROUND | {"round": "r2"}), skip_bad=True)
    assert [judged.round_id for judged in ledger.verdicts(voter="anna")] == ["r2"], (
        "nobody knows which of them is right"
    )


def test_rows_of_one_round_may_be_missing_or_out_of_order(ledger):
    seats = [*SEATS, {"model": "x/c", "fingerprint": "2" * 16}]
    three = ROUND | {"seats": json.dumps(seats), "verdict": "c>a>b"}
    data = jsonl(
        three | {"pair": "BC", "model_a": "x/b", "model_b": "x/c", "winner": "model_b"},
        ROUND | {"round": "r2"},
        three | {"pair": "AB"},
    )
    assert take(ledger, data).rounds == 2
    assert [len(stage.shown) for stage in ledger.stages(voter="anna")] == [3, 2, 2]


def test_what_stops_the_reading_leaves_no_trace(ledger):
    before = everything(ledger)

    def stop(_done: int, _rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.import_battles(opened(jsonl(battle())), "anna", progress=stop)
    assert everything(ledger) == before
    assert ledger._connection.rows("SELECT * FROM sqlite_temp_master") == []
    assert take(ledger, jsonl(battle())).battles == 1
