"""One line for all seats together: who is how far would tell them apart."""

from __future__ import annotations

import time

from textual.content import Content
from textual.widgets import Static

from arena.tui.language import _

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURNS_PER_S = 0.5


class ProgressLine(Static):
    """What is going on, and after the vote what was said."""

    def __init__(self) -> None:
        """An empty line."""
        super().__init__(markup=False, id="progress")
        self._sum = "", ""

    def tell(self, *, started: bool, generated: bool) -> None:
        """`started`: text is shown; `generated`: every seat is done."""
        if generated:
            text = _("All answers are here.  space: show them whole")
        elif started:
            text = _("Streaming at one pace for all.")
        else:
            text = _("The models are answering. All texts begin together.")
        sign = _SPINNER[int(time.monotonic() * _TURNS_PER_S * len(_SPINNER)) % len(_SPINNER)]
        self.update(Content.assemble((f"{sign} ", "$accent"), (text, "$text-muted")), layout=False)

    def sum_up(self, said: str, more: str) -> None:
        """The verdict, and what comes next."""
        self._sum = said, more
        self.add("")

    def add(self, effect: str) -> None:
        """Put what the verdict has changed behind it."""
        said, more = self._sum
        effect = f"  {effect}" if effect else ""
        self.update(Content.assemble((said, "bold"), (f"  {more}" if more else "", "$text-muted"), (effect, "$accent")))
