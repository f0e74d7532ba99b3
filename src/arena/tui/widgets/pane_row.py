"""The panes of a round beside each other, or one at a time where the terminal is narrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.widget import Widget
from textual.widgets import Static

from arena.core.ports import RoundRecord
from arena.core.rounds import SealedRound
from arena.tui.language import _
from arena.tui.revealing import figures, name_line
from arena.tui.widgets.answer_pane import AnswerPane
from arena.tui.widgets.clickable import clickable
from arena.tui.widgets.find_line import FindLine

PANE_FROM = 36
"""Columns that a pane needs; with less, one pane is shown at a time."""


class PaneRow(Vertical):
    """Two or three answer panes."""

    def __init__(self) -> None:
        """An empty row."""
        super().__init__(id="panes")
        self._zoomed = False
        self._current = 0
        self._record: RoundRecord | None = None
        """The round, once its names are out."""
        self._thinks = False
        """Whether the thinking stands above the answers."""
        self._match = 0
        """The match that one has gone to, counted through all panes."""
        self._before: Widget | None = None
        """What had the keyboard before something was looked for."""
        self._start = 0
        """The pane that was meant then."""

    def compose(self) -> ComposeResult:
        """A strip of seats, the row, and the line to find something in it."""
        yield Static(id="seat-strip", markup=False)
        yield Horizontal(id="pane-row")
        yield FindLine()

    @property
    def panes(self) -> list[AnswerPane]:
        """The panes in seat order."""
        return list(self.query(AnswerPane))

    async def deal(self, labels: Sequence[str]) -> None:
        """Put empty panes for these labels in place of the old ones."""
        self._zoomed, self._current, self._record, self._thinks = False, 0, None, False
        self.stop_finding()
        row = self.query_one("#pane-row", Horizontal)
        await row.remove_children()
        await row.mount_all([AnswerPane(label) for label in labels])
        self.line_up()

    def append(self, released: Iterable[tuple[int, str]]) -> None:
        """Add text to panes, all of it in one frame."""
        panes = self.panes
        with self.app.batch_update():
            for seat, text in released:
                panes[seat].answer.append(text)

    def complete(self) -> None:
        """Everything was said."""
        for pane in self.panes:
            pane.answer.complete()

    def divide(self, question: str) -> None:
        """Begin a further turn in every pane."""
        for pane in self.panes:
            pane.clear_told()
            pane.answer.divide(question)

    def show(self, found: SealedRound | RoundRecord) -> None:
        """Put everything that was said into the panes, turn by turn."""
        question = found.view.prompt.text if isinstance(found, SealedRound) else found.round.prompt.text
        questions = [*(turn.question for turn in found.earlier), question]
        for turn, following in zip(found.earlier, questions[1:], strict=True):
            self.append((answer.seat, answer.text) for answer in turn.answers)
            self.divide(following)
        self.append((answer.seat, answer.text) for answer in found.answers)
        self.complete()

    def reveal(self, record: RoundRecord) -> None:
        """Open the envelope: who sat where, how fast, and who was preferred."""
        self._record = record
        answers = {answer.seat: answer for answer in record.answers}
        winners = record.vote.verdict.winners if record.vote else ()
        for seat, name, pane in zip(record.round.seats, record.round.names, self.panes, strict=True):
            won = seat.index in winners and len(winners) < len(record.round.seats)
            pane.reveal(name_line(name, seat.contestant, won=won), figures(answers.get(seat.index)))
        if "named" in record.flags:  # what was masked is said now
            self._write_anew()
        if len(winners) == 1:  # where one pane is seen at a time, that one
            self._current = winners[0]
            self.line_up()

    def think(self) -> bool:
        """Show what was thought above the answers, or the answers alone again. False: nobody has told a thought."""
        if self._record is None or not any(answer.thought for answer in self._record.answers):
            return False
        self._thinks = not self._thinks
        self._write_anew()
        return True

    def _write_anew(self) -> None:
        """All turns of every seat, raw, and before the last answer what was thought where that is wanted."""
        if self._record is None:
            return
        turns = [{answer.seat: answer.text for answer in turn.answers} for turn in self._record.earlier]
        for answer in self._record.answers:
            thought = _quoted(answer.thought) if self._thinks and answer.thought else ""
            said = [*(turn.get(answer.seat, "") for turn in turns), thought + answer.text]
            self.panes[answer.seat].answer.replace(said)

    def to_the_top(self) -> None:
        """Show where the answers begin, unless the user has gone somewhere else in one."""
        for pane in self.panes:
            if not pane.answer.hidden_below:
                pane.answer.to_the_turn()

    def zoom(self) -> None:
        """Show one pane over the whole width, or all again."""
        self._zoomed = not self._zoomed
        self.line_up()

    def go(self, index: int) -> None:
        """Go to a pane."""
        if index < len(self.panes):
            self._bring(index)
            self.panes[index].answer.focus()

    def _bring(self, index: int) -> None:
        """Where one pane is seen at a time, that one."""
        if index != self._current:
            self._current = index
            self.line_up()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Whichever way one comes to a pane: it is the one that is meant."""
        for index, pane in enumerate(self.panes):
            if pane.answer is event.widget:
                self._bring(index)

    def texts(self, *, nearest: bool = False) -> list[tuple[str, str]]:
        """Label and clean text of the answers; `nearest`: of the one that has the keyboard or stands alone, if any."""
        panes = self.panes
        if nearest:
            seen = [pane for pane in panes if pane.display]
            meant = [pane for pane in panes if pane.answer.has_focus]
            panes = meant or (seen if len(seen) == 1 else panes)
        return [(pane.label, pane.answer.text) for pane in panes]

    # Finding

    @property
    def finds(self) -> bool:
        """Whether something is being looked for: the line has the keyboard."""
        return any(line.display for line in self.query(FindLine))

    def stop_finding(self) -> None:
        """Nothing is marked any more, and the line is gone."""
        for pane in self.panes:
            pane.answer.find("")
        self.query(FindLine).set(display=False)

    def find(self) -> None:
        """Ask for words and mark them in all panes."""
        self._before, self._start = self.screen.focused, self._current
        self.query_one(FindLine).open()

    def write(self, text: str) -> None:
        """Add to what is looked for."""
        self.query_one(FindLine).write(text)

    def on_find_line_wanted(self, message: FindLine.Wanted) -> None:
        """Mark what is looked for now, and go to the first place in the pane that is meant, or behind it."""
        message.stop()
        for pane in self.panes:
            pane.answer.find(message.words)
        places = self._places()
        self._match = next((at for at, (seat, _index) in enumerate(places) if seat >= self._start), 0)
        self._go_to_match()

    def on_find_line_step(self, message: FindLine.Step) -> None:
        """Go to another place."""
        message.stop()
        self._match += message.by
        self._go_to_match()

    def on_find_line_ended(self, message: FindLine.Ended) -> None:
        """The pane in which the last place was gets the keyboard."""
        message.stop()
        places = self._places()
        seat = places[self._match % len(places)][0] if places else None
        self.stop_finding()
        self.screen.set_focus(self._before if seat is None else self.panes[seat].answer)

    def _places(self) -> list[tuple[int, int]]:
        """Seat and number of every match."""
        return [(seat, index) for seat, pane in enumerate(self.panes) for index in range(pane.answer.matches)]

    def _go_to_match(self) -> None:
        panes, places = self.panes, self._places()
        self._match %= max(1, len(places))
        at, number = places[self._match] if places else (-1, -1)
        for seat, pane in enumerate(panes):
            pane.answer.go_to_match(number if seat == at else -1)
        if places:
            self._bring(at)
        label = panes[at].label if places else ""
        self.query_one(FindLine).tell(self._match + 1, len(places), label)

    def on_resize(self) -> None:
        """Arrange anew."""
        self.line_up()

    def line_up(self) -> None:
        """All panes beside each other where they fit, else the current one alone under a strip of seats."""
        panes = self.panes
        alone = bool(panes) and (self._zoomed or (self.size.width or PANE_FROM * 3) // len(panes) < PANE_FROM)
        for index, pane in enumerate(panes):
            pane.display = not alone or index == self._current
        strip = self.query_one("#seat-strip", Static)
        strip.display = alone
        marks = [
            clickable(
                f" {pane.label} ", "bold reverse" if index == self._current else "$text-muted", f"screen.pane({index})"
            )
            for index, pane in enumerate(panes)
        ]
        keys = " ".join(str(index + 1) for index in range(len(panes)))
        strip.update(
            Content.assemble(*marks, ("   " + _("{keys}: the other answers").format(keys=keys), "$text-muted"))
        )


def _quoted(thought: str) -> str:
    """A thought as a quotation in Markdown, with a blank line behind it."""
    lines = "\n".join(f"> {line}" for line in thought.strip().split("\n"))
    return f"*{_('Thinking')}*\n\n{lines}\n\n"
