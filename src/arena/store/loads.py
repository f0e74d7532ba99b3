"""Past loads in the ledger: what was predicted for each, and what was measured."""

from __future__ import annotations

from dataclasses import asdict, replace

from arena.core.loads import Load
from arena.core.models import ModelRef
from arena.core.text import storable
from arena.store import rows
from arena.store.exports import LedgerExports

_NEWEST_FIRST = "SELECT * FROM loads ORDER BY at DESC, id DESC LIMIT :limit"
_FIRST_SEALED = """
SELECT min(created_at) AS at FROM rounds
WHERE state IN ('planned', 'generating', 'ready') OR state IN ('continued', 'voted') AND revealed_at IS NULL
"""


class LedgerLoads(LedgerExports):
    """The part of the ledger that keeps what models took when they were loaded."""

    def note_load(self, load: Load) -> None:
        """Store a load that was measured."""
        row = asdict(load)
        row |= row.pop("ref")
        with self._connection.writing():
            self._connection.insert("loads", {key: _value(value) for key, value in row.items()})

    def loads(self, limit: int = 1000) -> list[Load]:
        """The newest loads, newest first. For predictions: their order may tell who answered first in a sealed round.

        What is shown to a person comes from `open_loads`.
        """
        return [_load_of(row) for row in self._connection.rows(_NEWEST_FIRST, limit=limit)]

    def open_loads(self, limit: int = 1000) -> list[Load]:
        """The newest loads, newest first, as far as that may be told.

        Since the oldest round that waits for its vote, of loads only the day is told, and those of a day are in the
        order of their names: which model was loaded first would tell which one sits at the pane that began first.
        """
        with self._connection.reading():
            found = self.loads(limit)
            (first,) = self._connection.rows(_FIRST_SEALED)
        if first["at"] is None:
            return found
        hidden = [replace(load, at=load.at[:10]) for load in found if load.at >= first["at"]]
        hidden.sort(key=lambda load: (str(load.ref), load.context, load.kv_type, load.device, load.measured_bytes))
        hidden.sort(key=lambda load: load.at, reverse=True)
        return hidden + [load for load in found if load.at < first["at"]]


def _value(value: object) -> object:
    return storable(value) if isinstance(value, str) else value


def _load_of(row: rows.Row) -> Load:
    facts = dict(row)
    ref = ModelRef(facts.pop("endpoint"), facts.pop("name"), facts.pop("digest"))
    del facts["id"]
    return Load(ref=ref, **facts)
