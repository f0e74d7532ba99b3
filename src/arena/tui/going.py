"""What goes when a round is deleted, in words; the command line says the same."""

from __future__ import annotations

from arena.core.past import Going
from arena.tui.language import _, plural


def going_lines(going: Going) -> list[str]:
    """A line for each thing that goes, and what becomes of the leaderboard."""
    turns = len(going.rounds)
    return [
        *(
            [plural("All {n} turn of the conversation", "All {n} turns of the conversation", turns)]
            if turns > 1
            else []
        ),
        plural("{n} answer", "{n} answers", going.answers),
        *([plural("{n} vote, with its note", "{n} votes, with their notes", going.votes)] if going.votes else []),
        _("The leaderboard loses this vote, and is computed anew without it.")
        if going.rated
        else _("The leaderboard counts no vote of it."),
        _("Copies of the database that were made earlier still hold it. There is no way back."),
    ]
