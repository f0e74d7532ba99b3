"""Votes out and in: what the front ends can do with files of battles."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from arena.core.battles import ME, SEVERAL, Imported, PastImport
from arena.core.errors import ArenaError, UsageError
from arena.core.text import clean_line
from arena.desk import Desk

if TYPE_CHECKING:
    from arena.store.ledger import SqliteLedger


class Exchange:
    """Works at the desk, like everything that reads or writes the database."""

    def __init__(self, desk: Desk) -> None:
        """`desk` stays the caller's to close."""
        self._desk = desk

    def export(self, out: TextIO, form: str, *, unrated: bool = False, texts: bool = True) -> Future[tuple[int, int]]:
        """Write the votes whose names are out; (votes, rows). `out` is UTF-8 text without newline translation.

        `unrated`: also those that the leaderboard leaves out. Without `texts` no prompt and no note is in it.
        """

        def write(ledger: SqliteLedger) -> tuple[int, int]:
            from arena.store.battle_files import write_csv, write_jsonl  # noqa: PLC0415
            from arena.store.exports import COLUMNS  # noqa: PLC0415

            found = list(ledger.exported(unrated=unrated, texts=texts))
            count = write_csv(found, COLUMNS, out) if form == "csv" else write_jsonl(found, out)
            return len({(row["round"], row["voter"]) for row in found}), count

        return self._desk.do(write)

    def take(
        self, stream: BinaryIO, name: str, voter: str, *, skip_bad: bool, progress: Callable[[int, int], None]
    ) -> Future[Imported]:
        """Import a file (buffered, in bytes) as the votes of `voter`. Raises ArenaError; see `LedgerImports`.

        `progress` is called in the desk's thread.
        """

        def read(ledger: SqliteLedger) -> Imported:
            from arena.store.battle_files import BattleFile  # noqa: PLC0415

            return ledger.import_battles(BattleFile(stream, name), voter, skip_bad=skip_bad, progress=progress)

        return self._desk.do(read)

    def imports(self) -> Future[list[PastImport]]:
        """The files that were imported and count."""
        return self._desk.do(lambda ledger: ledger.imports())

    def leave_out(self, import_id: int) -> Future[PastImport]:
        """Take an imported file out of everything again. Raises ArenaError."""
        return self._desk.do(lambda ledger: ledger.remove_import(import_id))

    def voter(self, name: str) -> Future[str]:
        """Who is meant on the command line, as the ledger says it; '' is everybody. Raises ArenaError."""

        def find(ledger: SqliteLedger) -> str:
            if name == SEVERAL:
                return ""
            known = ledger.voters()
            if name != ME and name not in known:
                others = ", ".join(clean_line(other, 60) for other in known if other != ME) or "nobody else yet"
                raise ArenaError(
                    f"Nobody called '{clean_line(name, 60)}' has votes here.", f"There are: {ME}, {SEVERAL}, {others}."
                )
            return name

        return self._desk.do(find)


def voter_of(path: str, name: str | None) -> str:
    """Whose votes a file holds: as `name` says, else as the file is called. Raises UsageError.

    Votes become one's own only by being asked for: `--voter me`.
    """
    voter = name if name is not None else Path(path).stem
    if name is None and voter in ("", "-", ME):
        raise UsageError("Whose votes are these?", f"Say --voter NAME; `--voter {ME}` counts them as your own.")
    if not clean_line(voter) or len(voter) > 100 or voter == SEVERAL:
        raise UsageError(f"A voter can't be called '{clean_line(voter, 60)}'.", "Say another name with --voter.")
    return voter
