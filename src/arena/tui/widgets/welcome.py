"""What stands on the empty screen: who plays, and what happens next."""

from __future__ import annotations

import re
from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from arena.core.rounds import LABELS, Pace
from arena.core.text import clean_line, clean_name
from arena.tui.language import N_, _

_PACES = {
    Pace.EVEN: N_("They are shown at one pace, that of the slowest: speed would tell who is who."),
    Pace.LIVE: N_("Pace live: answers are shown as they come. Speed may tell who is who."),
    Pace.WHOLE: N_("Pace whole: answers are shown together, once all are complete."),
}


class Welcome(Static):
    """The first thing that a new user reads."""

    def __init__(self) -> None:
        """Models are still being looked for."""
        super().__init__(Content.styled(_("Looking for models…"), "$text-muted"), markup=False, id="welcome")

    def complain(self, fault: str) -> None:
        """Say why nobody can play."""
        self.update(Content.styled(clean_line(fault, 400), "$warning"))

    def show(self, names: Sequence[str], seats: int, pace: Pace, first: Sequence[str] = ()) -> None:
        """Say who may play, `seats` of them in each round, and how their answers are shown.

        `first`: what to say at the very first start, a line each.
        """
        lines = [Content.styled(_("A blind round on your own machine"), "bold"), Content("")]
        if first and len(names) >= 2:
            lines += [*(Content.styled(clean_line(line, 200), "$text-muted") for line in first), Content("")]
            begin = _("Enter begins a sample round; it takes less than a minute.")
            lines += [Content.styled(begin, "bold $accent"), Content("")]
        if len(names) < 2:
            lines.append(Content.styled(_("Choose at least two models: Esc, then m."), "$warning"))
        else:
            some = _("{seats} of them answer each prompt, shuffled, as {labels}.")
            drawn = some if len(names) > seats else _("They answer each prompt, shuffled, as {labels}.")
            labels = ", ".join(LABELS[: seats - 1]) + _(" and ") + LABELS[seats - 1]
            drawn = drawn.format(seats=seats, labels=labels)
            lines += [
                Content.styled(", ".join(clean_name(name, 40) for name in names), "$primary"),
                Content(""),
                Content.styled(drawn, "$text-muted"),
                Content.styled(_("You read, you vote, and only then learn who it was and how fast."), "$text-muted"),
                Content.styled(_(_PACES[pace]), "$text-muted" if pace is Pace.EVEN else "$warning"),
                Content(""),
                _with_keys(_("Type a prompt and press [Enter], or press [Tab] for an example.")),
                Content.styled(_("Esc, then p: prompt packs, also to be played while you judge."), "$text-muted"),
            ]
        self.update(Content("\n").join(lines))


def _with_keys(sentence: str) -> Content:
    """A sentence with its keys, which stand in square brackets, made to stand out."""
    parts = re.split(r"\[(.+?)\]", sentence)
    return Content.assemble(*((part, "bold $accent" if at % 2 else "$text-muted") for at, part in enumerate(parts)))
