"""What the tests of export and import share: files of battles, and a way to read one in."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from arena.core.battles import Imported
from arena.core.votes import Stage
from arena.store.battle_files import BattleFile, write_csv, write_jsonl
from arena.store.exports import COLUMNS
from arena.store.ledger import SqliteLedger


def jsonl(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def battle(a: str = "ant", b: str = "bee", winner: str = "model_a", **more: object) -> dict[str, object]:
    return {"model_a": a, "model_b": b, "winner": winner, **more}


def opened(data: bytes, name: str = "battles") -> BattleFile:
    return BattleFile(io.BufferedReader(io.BytesIO(data)), name)


def take(ledger: SqliteLedger, data: bytes, voter: str = "anna", **options: object) -> Imported:
    return ledger.import_battles(opened(data), voter, **options)  # type: ignore[arg-type]


def exported(ledger: SqliteLedger, form: str = "jsonl", **options: bool) -> bytes:
    out = io.StringIO(newline="")
    rows = ledger.exported(**options)
    _ = write_csv(rows, COLUMNS, out) if form == "csv" else write_jsonl(rows, out)
    return out.getvalue().encode()


def tally(stages: Iterable[Stage]) -> Counter[tuple[Sequence[str], Sequence[str], bool]]:
    """What was chosen of what, however the equal ones are put together."""
    found: Counter[tuple[Sequence[str], Sequence[str], bool]] = Counter()
    for stage in stages:
        found[stage.shown, stage.chosen, stage.both_bad] += stage.times
    return found


def everything(ledger: SqliteLedger) -> list[str]:
    """The whole database as SQL, but for the numbers that were given out before."""
    return [line for line in ledger._connection._conn.iterdump() if "sqlite_sequence" not in line]
