"""One key for a verdict on two answers; for three, the letters in order of preference, `=` between equals."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from arena.core.rounds import LABELS
from arena.core.votes import Kind, Strength, Verdict
from arena.tui.language import _
from arena.tui.widgets.clickable import clickable


class VoteBar(Static):
    """Collects a verdict and says what is still missing. The screen forwards the keys."""

    class Cast(Message):
        """The verdict is complete."""

        def __init__(self, verdict: Verdict, strength: Strength | None) -> None:
            """`verdict` over the seats that can be judged; `strength` None: not said."""
            super().__init__()
            self.verdict = verdict
            self.strength = strength

    def __init__(self) -> None:
        """A bar for two answers."""
        super().__init__(markup=False, id="vote-bar")
        self._seats: tuple[int, ...] = (0, 1)
        self._groups: list[list[int]] = []
        self._joins = False
        """Whether the next letter is as good as the last one."""
        self._strength: Strength | None = None

    @property
    def seats(self) -> tuple[int, ...]:
        """Those that can be judged."""
        return self._seats

    def ask(self, seats: Sequence[int]) -> None:
        """Begin to ask for a verdict over these seats."""
        self._seats, self._groups, self._joins, self._strength = tuple(seats), [], False, None
        self._draw()

    def pick(self, letter: str, strength: Strength | None = None) -> None:
        """The user names the best answer, or the next best one of three."""
        seat = LABELS.lower().index(letter)
        if seat not in self._seats or seat in self._named:
            return
        if not self._groups:
            self._strength = strength
        if self._joins:
            self._groups[-1].append(seat)
        else:
            self._groups.append([seat])
        self._joins = False
        rest = [other for other in self._seats if other not in self._named]
        if len(rest) > 1:
            self._draw()
        elif len(self._seats) == 2:
            self._cast([[seat]])  # of two, the winner alone says it all
        else:
            self._cast([*self._groups, rest] if rest else self._groups)

    def level(self) -> None:
        """The next letter is as good as the last one."""
        if self._groups and len(self._seats) > 2:
            self._joins = not self._joins
            self._draw()

    def accept(self) -> None:
        """The best one of three is enough; what is left out stands below it, unordered."""
        if self._groups:
            self._cast(self._groups)

    def take_back(self) -> None:
        """Forget the last letter."""
        if self._joins:
            self._joins = False
        elif self._groups:
            self._groups[-1].pop()
            self._groups = [group for group in self._groups if group]
        self._draw()

    def equal(self) -> None:
        """All are equally good."""
        self._cast([list(self._seats)])

    def all_bad(self) -> None:
        """None is any good."""
        self.post_message(self.Cast(Verdict(Kind.ALL_BAD), None))

    def skip(self) -> None:
        """No verdict on this round."""
        self.post_message(self.Cast(Verdict(Kind.SKIP), None))

    @property
    def _named(self) -> list[int]:
        return [seat for group in self._groups for seat in group]

    def _cast(self, groups: list[list[int]]) -> None:
        ranking = tuple(tuple(sorted(group)) for group in groups)
        self.post_message(self.Cast(Verdict(Kind.RANKING, ranking), self._strength if len(ranking[0]) == 1 else None))

    def _draw(self) -> None:
        rest = [LABELS[seat] for seat in self._seats if seat not in self._named]
        choices = [clickable(label, "bold", f"screen.pick('{label.lower()}')") for label in rest]
        if self._groups:
            order = " > ".join(" = ".join(LABELS[seat] for seat in group) for group in self._groups)
            question = f"{order} {'=' if self._joins else '>'} …"
            hint = Content(", ").join(
                (
                    clickable(_("=: as good"), "$text-muted", "screen.level"),
                    clickable(_("enter: only the best"), "$text-muted", "screen.vote('accept')"),
                    clickable(_("backspace: take back"), "$text-muted", "screen.vote('take_back')"),
                )
            )
        else:
            choices.append(clickable(_("tie"), "bold", "screen.tie"))
            if len(self._seats) == 2:
                question, told = _("Which is better?"), _("Capital: clearly so. Names come after the vote.")
            else:
                question, told = _("Which is best?"), _("Letters, best first. Names come after the vote.")
            hint = Content.styled(told, "$text-muted")
        offered = Content("  ").join(choices)
        self.update(Content.assemble((question, "bold $accent"), "  ", offered, "   ", hint))
