"""One key for a verdict on two answers; for three, the letters in order of preference."""

from __future__ import annotations

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from arena.core.rounds import LABELS
from arena.core.votes import Kind, Verdict


class VoteBar(Static):
    """Collects a verdict and says what is still missing. The screen forwards the keys."""

    class Cast(Message):
        """The verdict is complete."""

        def __init__(self, verdict: Verdict) -> None:
            """`verdict` over the seats that are shown."""
            super().__init__()
            self.verdict = verdict

    def __init__(self) -> None:
        """A bar for two answers."""
        super().__init__(markup=False, id="vote-bar")
        self._seats = 2
        self._ranking: list[int] = []

    def ask(self, seats: int) -> None:
        """Begin to ask for a verdict over so many answers."""
        self._seats, self._ranking = seats, []
        self._draw()

    def pick(self, letter: str) -> None:
        """The user names the best answer, or the next best one of three."""
        seat = LABELS.lower().index(letter)
        if seat >= self._seats or seat in self._ranking:
            return
        self._ranking.append(seat)
        if len(self._ranking) == self._seats - 1:
            self._ranking.append(next(other for other in range(self._seats) if other not in self._ranking))
            self._cast_ranking(self._ranking)
        else:
            self._draw()

    def accept(self) -> None:
        """The best one of three is enough."""
        if self._ranking:
            self._cast_ranking(self._ranking)

    def take_back(self) -> None:
        """Forget the last letter."""
        if self._ranking:
            self._ranking.pop()
            self._draw()

    def equal(self) -> None:
        """All are equally good."""
        self.post_message(self.Cast(Verdict(Kind.RANKING, (tuple(range(self._seats)),))))

    def all_bad(self) -> None:
        """None is any good."""
        self.post_message(self.Cast(Verdict(Kind.ALL_BAD)))

    def skip(self) -> None:
        """No verdict on this round."""
        self.post_message(self.Cast(Verdict(Kind.SKIP)))

    def _cast_ranking(self, order: list[int]) -> None:
        # Of two, the winner alone says it all; of three, what is left out stands below unordered.
        named = order[:1] if self._seats == 2 else order
        self.post_message(self.Cast(Verdict(Kind.RANKING, tuple((seat,) for seat in named))))

    def _draw(self) -> None:
        if self._ranking:
            order = " > ".join(LABELS[seat] for seat in self._ranking)
            question, hint = f"{order} > …", "enter: only the best, backspace: take back"
        elif self._seats == 2:
            question, hint = "Which is better?", "Names and speeds come after the vote."
        else:
            question, hint = "Which is best?", "Letters, best first. Names and speeds come after the vote."
        self.update(Content.assemble((question, "bold $accent"), (f"   {hint}", "$text-muted")))
