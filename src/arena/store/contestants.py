"""The contestants of the store: what they are called, where they were played, which of them count as one.

A merge says that a member counts for a leader: somebody knows that two fingerprints are one and the same model, say
one behind a server that tells no digest. It is a way of counting and nothing else. No row of a round, a seat, an answer
or a vote changes, and what was merged can be taken apart: then everything counts as it did before.

A leader may itself be merged later. Its members follow it to the leader at the end of the chain, and are its own again
once that merge is undone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from arena.core.errors import ArenaError
from arena.core.models import Contestant, ModelInfo, ModelRef, distinct_names
from arena.core.text import clean_line, storable
from arena.store import rows
from arena.store.reading import LedgerReader

_BEGINNING = re.compile(r"[0-9a-f]{4,16}")
_KNOWN = "SELECT * FROM contestants ORDER BY first_seen, fingerprint"
_STANDING = "SELECT member, leader FROM merges WHERE undone_at IS NULL ORDER BY id"
# Of rounds whose names are out: where a sealed seat is being answered would tell who sits there.
_ADDRESSES = """
SELECT DISTINCT seats.contestant, seats.endpoint, seats.name FROM seats
JOIN open_rounds ON open_rounds.id = seats.round
WHERE seats.endpoint <> '' OR seats.name <> ''
ORDER BY seats.round, seats.seat
"""


class LedgerContestants(LedgerReader):
    """The part of the ledger that knows the contestants."""

    def contestants(self) -> dict[str, Contestant]:
        """Every contestant that was ever dealt or described, by fingerprint; of merged ones the leader alone."""
        with self._connection.reading():
            known, led = self._known(), self.merges()
        return {key: contestant for key, contestant in known.items() if key not in led}

    def infos(self) -> dict[str, ModelInfo]:
        """What is known of every contestant's model, by fingerprint, merged ones each by its own.

        Family and sizes are known once `describe` was called.
        """
        return {row["fingerprint"]: rows.info_of(row) for row in self._connection.rows(_KNOWN)}

    def contestant_keys(self, text: str) -> list[tuple[str, Contestant]]:
        """The contestants that `text` may mean, with their fingerprints; merged ones are each found by themselves.

        `text` is the beginning of a fingerprint (4 hex digits or more, also of one from before a change of the rule), a
        name as it is shown (`distinct_names`), or an address `ENDPOINT/NAME`: the first of these that fits anybody. An
        address fits everyone who was seen first or played there.
        """
        wanted = storable(text.strip())
        with self._connection.reading():
            known, led = self._known(), self.merges()
            if _BEGINNING.fullmatch(wanted.lower()):
                keys: Collection[str] = self._beginning_with(wanted.lower(), known)
            else:
                keys = _called(wanted, known, led) or [
                    key for key, addresses in self._addresses().items() if wanted in addresses
                ]
        return [(key, contestant) for key, contestant in known.items() if key in keys]

    def merges(self) -> dict[str, str]:
        """Member -> leader, as fingerprints, the oldest merge first. A leader that is merged itself is followed."""
        found = self._connection.rows(_STANDING)
        return _followed({row["member"]: row["leader"] for row in found})

    def merge(self, member: str, leader: str) -> None:
        """Count `member` for `leader` from now on, both given by their fingerprints; `unmerge` takes it back.

        A leader that is merged itself stands for the one it counts for. Raises ArenaError when one of them is unknown,
        when both are the same, when the leader counts for the member already, or when the member is merged already.
        """
        with self._connection.writing() as db:
            shown, led = self._shown(member, leader), self.merges()
            top = led.get(leader, leader)
            if member == leader:
                raise ArenaError(f"{shown[member]} can't be merged with itself.", "Name two contestants.")
            if top == member:
                raise ArenaError(
                    f"{shown[leader]} counts for {shown[member]} already.", "`arena models --unmerge` takes that back."
                )
            if member in led:
                raise ArenaError(
                    f"{shown[member]} counts for {shown[led[member]]} already.",
                    "`arena models --unmerge` takes that back.",
                )
            db.execute("INSERT INTO merges (member, leader, merged_at) VALUES (?, ?, ?)", [member, top, rows.now()])

    def unmerge(self, member: str) -> None:
        """Count a merged contestant for itself again. Raises ArenaError when it is unknown or not merged."""
        with self._connection.writing() as db:
            shown = self._shown(member)
            undone = db.execute(
                "UPDATE merges SET undone_at = ? WHERE member = ? AND undone_at IS NULL", [rows.now(), member]
            )
            if not undone.rowcount:
                raise ArenaError(f"{shown[member]} is not merged.", "`arena models --merges` lists what is.")

    def _known(self) -> dict[str, Contestant]:
        """Every contestant by its own fingerprint, the first sight first."""
        return {row["fingerprint"]: rows.contestant_of(row) for row in self._connection.rows(_KNOWN)}

    def _shown(self, *keys: str) -> dict[str, str]:
        """A name for each contestant, for a sentence. Raises ArenaError unless all of these fingerprints are known."""
        shown = {key: clean_line(name) for key, name in distinct_names(self._known().values()).items()}
        for key in keys:
            if key not in shown:
                raise ArenaError(f"No contestant has the fingerprint '{clean_line(key)}'.", "`arena board` lists them.")
        return shown

    def _addresses(self) -> dict[str, dict[str, None]]:
        """The addresses of every contestant by its own fingerprint, in order and each once."""
        found = {key: {str(contestant.ref): None} for key, contestant in self._known().items()}
        for row in self._connection.rows(_ADDRESSES):
            found[row["contestant"]][str(ModelRef(row["endpoint"], row["name"]))] = None
        return found

    def _beginning_with(self, beginning: str, known: Collection[str]) -> Collection[str]:
        """The fingerprints that begin so; where there is none, those of contestants that once had such a one."""
        former = self._connection.rows(
            "SELECT contestant FROM former_contestants WHERE substr(fingerprint, 1, length(:beginning)) = :beginning",
            beginning=beginning,
        )
        return [key for key in known if key.startswith(beginning)] or {row["contestant"] for row in former}


def _called(name: str, known: Mapping[str, Contestant], led: Collection[str]) -> list[str]:
    """Who has that name among all contestants, or among those of the leaderboard, where merged ones are not listed."""
    of_all = distinct_names(known.values())
    on_board = distinct_names(contestant for key, contestant in known.items() if key not in led)
    return [key for key in known if name in (of_all[key], on_board.get(key))]


def _followed(merged: Mapping[str, str]) -> dict[str, str]:
    """Each member with the leader at the end of its chain."""
    found: dict[str, str] = {}
    for member, leader in merged.items():
        top = leader
        while top in merged:
            top = merged[top]
        found[member] = top
    return found
