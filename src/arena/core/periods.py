"""Periods of time as people write them: `30d`, `12h`, `2026-10-01`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from arena.core.errors import UsageError
from arena.core.text import clean_line

_LENGTH = re.compile(r"(\d{1,5})\s*([hdwmy])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "y": 365 * 24}


def begin_of(text: str, now: datetime | None = None) -> str:
    """When a period began that lasts until now: UTC, ISO 8601, milliseconds, as votes are stamped; '' for all time.

    `30d` is 30 times 24 hours (h, d, w, m of 30 and y of 365 days); `2026-10-01` the first moment of that day here, and
    a time may follow the day. Raises UsageError.
    """
    word = text.strip().lower()
    if word in ("", "all"):
        return ""
    moment = now or datetime.now(UTC)
    length = _LENGTH.fullmatch(word)
    try:
        if length:
            moment -= timedelta(hours=int(length[1]) * _HOURS[length[2]])
        else:
            moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise UsageError(
            f"'{clean_line(text, 40)}' is no period.", "Write 12h, 30d, 8w, 6m, 1y, or a day such as 2026-10-01."
        ) from None
