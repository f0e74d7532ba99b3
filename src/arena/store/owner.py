"""Whose a round in work is: so that a crash can be told from another arena that is at work on the same file."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime, timedelta
from functools import cache

from arena.store.rows import Row, now

ABANDONED_AFTER = timedelta(hours=24)
"""No round takes that long, whatever now runs under the process id that began it."""


def owner() -> dict[str, str | int]:
    """The columns that say: this process, now."""
    pid = os.getpid()
    return {"owner_pid": pid, "owner_token": _token(pid), "owned_at": now()}


def in_good_hands(row: Row) -> bool:
    """Whether the process that works on a round still lives."""
    pid = os.getpid()
    if row["owner_token"] == _token(pid):
        return True
    # The same id and another word: a process before this one. In a container that is the rule.
    if row["owner_pid"] == pid or datetime.now(UTC) - datetime.fromisoformat(row["owned_at"]) > ABANDONED_AFTER:
        return False
    if os.name == "nt":  # os.kill would end the process there
        return True
    try:
        os.kill(row["owner_pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it lives, and is another user's
    return True


@cache
def _token(_pid: int) -> str:
    """A random word for the life of a process: process ids come again."""
    return secrets.token_hex(8)
