"""Past rounds: a list on the left, the chosen round on the right."""

from __future__ import annotations

from asyncio import wrap_future
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from arena.core.errors import ArenaError
from arena.core.ports import RoundRecord
from arena.core.rounds import RoundState, SealedRound
from arena.core.text import clean, clean_line
from arena.tui.revealing import figures, name_line
from arena.wiring import Arena

_MARKS = {
    RoundState.VOTED: "✓",
    RoundState.READY: "○",
    RoundState.UNBLINDED: "◌",
    RoundState.VOID: "×",
}


class HistoryScreen(Screen[None]):
    """Every round that was played; names only of those that are revealed."""

    AUTO_FOCUS = "#rounds"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="history.search"),
        Binding("escape,h", "app.pop_screen", "Back", id="history.back"),
        Binding("question_mark", "app.help", "Help"),
        Binding("q", "app.leave", "Quit"),
    ]

    def __init__(self, arena: Arena) -> None:
        """A screen on this arena."""
        super().__init__()
        self._arena = arena

    def compose(self) -> ComposeResult:
        """Search, list, detail."""
        yield Input(placeholder="Search prompts and answers, Enter", id="search")
        with Horizontal(id="history-body"):
            yield OptionList(id="rounds", markup=False)
            with VerticalScroll(id="detail-scroll"):
                yield Static(markup=False, id="detail")
        yield Footer(show_command_palette=False)

    def on_screen_resume(self) -> None:
        """List what there is now."""
        self.run_worker(self._list(self.query_one("#search", Input).value), group="list", exclusive=True)

    def action_search(self) -> None:
        """Go to the search box."""
        self.query_one("#search", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Search."""
        self.run_worker(self._list(event.value), group="list", exclusive=True)
        self.query_one("#rounds", OptionList).focus()

    async def _list(self, search: str) -> None:
        rounds = self.query_one("#rounds", OptionList)
        rounds.clear_options()
        try:
            lines = await wrap_future(self._arena.history(search=search))
        except ArenaError as fault:
            self.app.notify(clean_line(str(fault), 300), severity="error", markup=False)
            return
        for line in lines:
            when = line.created_at[5:16].replace("T", " ")
            text = Content.assemble(
                (f"{_MARKS.get(line.state, '…')} ", "$accent"),
                (f"{when}  ", "$text-muted"),
                clean_line(line.prompt.text, 60),
            )
            rounds.add_option(Option(text, id=line.id))
        if not lines:
            nothing = "Nothing found." if search else "No rounds yet: Esc, and ask something."
            self.query_one("#detail", Static).update(Content.styled(nothing, "$text-muted"))
        else:
            rounds.highlighted = 0

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the round under the cursor."""
        if event.option_id:
            self.run_worker(self._show(event.option_id), group="show", exclusive=True)

    async def _show(self, round_id: str) -> None:
        found = await wrap_future(self._arena.look(round_id))
        self.query_one("#detail", Static).update(_sealed(found) if isinstance(found, SealedRound) else _open(found))
        self.query_one("#detail-scroll").scroll_home(animate=False)


def _head(round_id: str, state: RoundState, prompt: str) -> list[Content]:
    return [
        Content.styled(f"{round_id}  {state.value}", "$text-muted"),
        Content.assemble(("› ", "bold $accent"), (clean(prompt), "bold")),
        Content(""),
    ]


def _sealed(found: SealedRound) -> Content:
    """A round before its vote."""
    parts = _head(found.view.id, found.state, found.view.prompt.text)
    if found.state is RoundState.READY:
        parts += [Content.styled("Sealed: it waits for your vote (w on the round screen).", "$accent"), Content("")]
    for label, answer in zip(found.view.labels, found.answers, strict=False):
        parts += [Content.styled(f" {label} ", "bold reverse"), Content(clean(answer.text)), Content("")]
    return Content("\n").join(parts)


def _open(record: RoundRecord) -> Content:
    """A round whose names are out."""
    parts = _head(record.round.id, record.state, record.round.prompt.text)
    if record.vote is not None:
        parts += [Content.styled(f"You said: {record.vote.verdict}", "bold"), Content("")]
    winners = record.vote.verdict.winners if record.vote else ()
    answers = {answer.seat: answer for answer in record.answers}
    for seat in record.round.seats:
        answer = answers.get(seat.index)
        name = name_line(seat.contestant, won=winners == (seat.index,))
        parts.append(Content.assemble((f" {seat.label} ", "bold reverse"), " ", name))
        parts += [Content(clean(answer.text) if answer else "(no answer)"), figures(answer), Content("")]
    return Content("\n").join(parts)
