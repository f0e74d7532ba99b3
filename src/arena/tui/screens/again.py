"""A round is judged again: the same answers under other labels, without names."""

from __future__ import annotations

import time
from asyncio import wrap_future
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from arena.core.past import DealtAgain
from arena.core.text import clean_line
from arena.core.votes import Strength, Verdict
from arena.tui.screens.reading import ReadingScreen
from arena.tui.widgets.key_bar import KeyBar
from arena.tui.widgets.pane_row import PaneRow
from arena.tui.widgets.vote_bar import VoteBar
from arena.wiring import Arena


class AgainScreen(ReadingScreen):
    """Closes with the round as it stands then, or with None where nothing was said."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "pick('a')", "A", id="again.a"),
        Binding("b", "pick('b')", "B", id="again.b"),
        Binding("c", "pick('c')", "C", id="again.c"),
        Binding("A", "clearly('a')", show=False, id="again.clearly_a"),
        Binding("B", "clearly('b')", show=False, id="again.clearly_b"),
        Binding("C", "clearly('c')", show=False, id="again.clearly_c"),
        Binding("equals_sign", "level", show=False, id="again.level"),
        Binding("t", "tie", "Tie", id="again.tie"),
        Binding("x", "vote('all_bad')", "Bad", id="again.bad"),
        Binding("enter", "vote('accept')", show=False, id="again.accept"),
        Binding("backspace", "vote('take_back')", show=False, id="again.take_back"),
        Binding("1", "pane(0)", "Answers", key_display="1 2 3", id="again.pane_a"),
        Binding("2", "pane(1)", show=False, id="again.pane_b"),
        Binding("3", "pane(2)", show=False, id="again.pane_c"),
        Binding("z", "zoom", "Zoom", id="again.zoom"),
        Binding("escape", "leave", "Back", id="again.back"),
    ]

    def __init__(self, arena: Arena, dealt: DealtAgain) -> None:
        """The round with its answers laid out anew."""
        super().__init__(arena)
        self._dealt = dealt
        self._shown_ns = 0

    def compose(self) -> ComposeResult:
        """The question, the panes, the vote."""
        yield Static(id="question", markup=False)
        yield PaneRow()
        yield VoteBar()
        yield KeyBar()

    @property
    def round_id(self) -> str:
        """What copies are named after: the round, whose own labels these are not."""
        return f"{self._dealt.sealed.view.id}-again"

    async def on_mount(self) -> None:
        """Put everything up at once."""
        sealed = self._dealt.sealed
        told = Content.assemble(("› ", "bold $accent"), clean_line(sealed.view.prompt.text, 400))
        self.query_one("#question", Static).update(told)
        row = self.query_one(PaneRow)
        await row.deal(sealed.view.labels)
        row.show(sealed)
        row.to_the_top()
        self.query_one(VoteBar).ask([answer.seat for answer in sealed.answers if answer.there])
        self._shown_ns = time.monotonic_ns()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A letter means a seat that answered."""
        if action in ("pick", "clearly"):
            return "abc".index(str(parameters[0])) in self.query_one(VoteBar).seats
        return action != "leave" or not self.busy

    def action_pick(self, letter: str) -> None:
        """The best answer, or the next best."""
        self.query_one(VoteBar).pick(letter)

    def action_clearly(self, letter: str) -> None:
        """The same, and clearly so."""
        self.query_one(VoteBar).pick(letter, Strength.CLEARLY)

    def action_level(self) -> None:
        """The next one is as good."""
        self.query_one(VoteBar).level()

    def action_tie(self) -> None:
        """All are equally good."""
        self.query_one(VoteBar).equal()

    def action_vote(self, what: str) -> None:
        """Any other key of the vote."""
        getattr(self.query_one(VoteBar), what)()

    def action_leave(self) -> None:
        """Back without a verdict."""
        self.dismiss(None)

    def on_vote_bar_cast(self, message: VoteBar.Cast) -> None:
        """Keep it, unless who said it has left meanwhile."""
        if self.is_active:
            self.errand(self._judge(message.verdict, message.strength))

    async def _judge(self, verdict: Verdict, strength: Strength | None) -> None:
        decided_ms = (time.monotonic_ns() - self._shown_ns) // 1_000_000
        record = await wrap_future(self.arena.past.judge_again(self._dealt, verdict, decided_ms, strength))
        self.dismiss(record)
