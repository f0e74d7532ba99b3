"""What the voter saw of judged rounds beside their content: lengths, Markdown, and who ended first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby

from arena.core.bias import Sight, markdown_marks
from arena.core.rounds import Pace, Schedule
from arena.store import rows
from arena.store.counting import UNRATED_FLAGS, Judged, LedgerCounts

_SEEN = """
SELECT rounds.id, rounds.pace, rounds.schedule, seats.seat, answers.text, answers.out_chars,
    answers.queue_ms, answers.load_ms, answers.e2e_ms
FROM rounds
JOIN seats ON seats.round = rounds.id
LEFT JOIN answers ON answers.round = seats.round AND answers.seat = seats.seat
WHERE rounds.state = 'voted' AND rounds.blind = 1 AND coalesce(answers.outcome, '') NOT IN ('failed', 'cancelled')
ORDER BY rounds.id, seats.seat
"""


class LedgerSights(LedgerCounts):
    """The part of the ledger that remembers what was on the screen."""

    def sights(self, *, voter: str = "me", without: Collection[str] = UNRATED_FLAGS) -> tuple[list[Sight], list[Sight]]:
        """The rounds of `verdicts`, and those of `controls`, as the voter saw them."""
        judged = self._judged("", voter, without)
        found = groupby(self._connection.rows(_SEEN), key=lambda row: row["id"])
        by_round = {key: list(seats) for key, seats in found}
        # Another process may have voided a round between the two readings.
        seen = [
            (each.control, _sight_of(each, by_round[each.round_id])) for each in judged if each.round_id in by_round
        ]
        return [sight for control, sight in seen if not control], [sight for control, sight in seen if control]


def _sight_of(judged: Judged, seats: Sequence[rows.Row]) -> Sight:
    return Sight(
        keys=judged.keys,
        verdict=judged.verdict,
        chars=judged.chars,
        marks=tuple(markdown_marks(seat["text"] or "") for seat in seats),
        ended=_ended(seats),
    )


def _ended(seats: Sequence[rows.Row]) -> tuple[float, ...]:
    """When each pane was seen to end; () where all came at once, or nobody knows.

    In the even pace all panes go forward together, so the shorter answer ends first whatever the streams did. Live, an
    answer ends with its stream: seats that answer in turn begin when the one before is done, those that answer together
    begin together.
    """
    pace = seats[0]["pace"]
    if pace == Pace.EVEN:
        return tuple(float(seat["out_chars"] or 0) for seat in seats)
    parts = ("e2e_ms",) if seats[0]["schedule"] == Schedule.TOGETHER else ("queue_ms", "load_ms", "e2e_ms")
    if pace != Pace.LIVE or any(seat[part] is None for seat in seats for part in parts):
        return ()
    return tuple(sum(seat[part] for part in parts) for seat in seats)
