"""An import that is killed leaves the database as it was. Run as a program, this file is the one that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from arena.store.ledger import SqliteLedger
from battle_files import battle, everything, jsonl, take

ROWS = jsonl(*[battle(f"model-{n % 40}", "bee", id=n) for n in range(30_000)])
pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")


def child(path: Path, moment: str) -> None:
    """Import, and die when SQLite begins a statement that starts with `moment`."""
    ledger = SqliteLedger(path)
    conn = ledger._connection._conn
    conn.execute("PRAGMA cache_size = 10")  # so that what is not committed is on the disk already

    def look(statement: str) -> None:
        if statement.lstrip().startswith(moment) and (moment != "COMMIT" or held() > 1000):
            os.kill(os.getpid(), signal.SIGKILL)

    def held() -> int:
        conn.set_trace_callback(None)
        (found,) = conn.execute("SELECT count(*) FROM import_battles").fetchone()
        conn.set_trace_callback(look)
        return int(found)

    conn.set_trace_callback(look)
    take(ledger, ROWS)


@pytest.mark.parametrize(
    "moment",
    ["INSERT INTO temp.", "INSERT INTO imports", "INSERT INTO import_battles", "WITH judged", "COMMIT"],
)
def test_a_killed_import_leaves_the_database_as_it_was(tmp_path, moment):
    path = tmp_path / "arena.db"
    with SqliteLedger(path) as ledger:
        take(ledger, jsonl(battle("cat")), "bob")
        before = everything(ledger)
    done = subprocess.run([sys.executable, __file__, str(path), moment], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if moment in ("WITH judged", "COMMIT"):
        assert Path(f"{path}-wal").stat().st_size > 1 << 20, "the battles were on the disk, not committed"
    with SqliteLedger(path) as ledger:
        assert everything(ledger) == before
        assert [row[0] for row in ledger._connection.rows("PRAGMA integrity_check")] == ["ok"]
        assert take(ledger, ROWS).battles == 30_000, "and the file can be imported now"


if __name__ == "__main__":
    child(Path(sys.argv[1]), sys.argv[2])
