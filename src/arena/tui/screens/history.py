"""Past rounds: a list on the left, the chosen round on the right."""

from __future__ import annotations

from asyncio import wrap_future
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from arena.core.ports import RoundRecord
from arena.core.rounds import RoundState, RoundView, SealedRound
from arena.core.text import clean_line
from arena.tui.language import N_, _
from arena.tui.revealing import verdict_words
from arena.tui.screens.reading import ReadingScreen
from arena.tui.widgets.answer_pane import AnswerText
from arena.tui.widgets.pane_row import PaneRow
from arena.wiring import Arena

_MARKS = {
    RoundState.VOTED: "✓",
    RoundState.READY: "○",
    RoundState.UNBLINDED: "◌",
    RoundState.VOID: "×",
}
_SEALED_NOTE = {
    RoundState.READY: N_("Sealed: it waits for your vote."),
    RoundState.PLANNED: N_("Sealed: a queue has yet to play it."),
    RoundState.GENERATING: N_("Sealed: it is being played."),
}


class HistoryScreen(ReadingScreen):
    """Every round that was played; names only of those that are revealed."""

    AUTO_FOCUS = "#rounds"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "pane(0)", "Answers", key_display="1 2 3", id="history.a"),
        Binding("2", "pane(1)", show=False, id="history.b"),
        Binding("3", "pane(2)", show=False, id="history.c"),
        Binding("z", "zoom", "Zoom", id="history.zoom"),
        Binding("d", "thinking", "Thinking", id="history.think"),
        Binding("y", "copy", "Copy", show=False, id="history.copy"),
        Binding("Y", "keep", "Copy to file", show=False, id="history.keep"),
        Binding("D", "differ", "Compare", show=False, id="history.differ"),
        Binding(
            "slash", "search", "Search", tooltip="In all rounds; from an answer, in the answers", id="history.search"
        ),
        Binding("escape,h", "app.pop_screen", "Back", id="history.back"),
        Binding("question_mark", "app.help", "Help", id="history.help"),
        Binding("q", "app.leave", "Quit", id="history.quit"),
    ]

    def __init__(self, arena: Arena) -> None:
        """A screen on this arena."""
        super().__init__(arena)
        self._wanted = ""
        """The round that is to be shown, while one is being put up."""
        self._round_id = ""

    def compose(self) -> ComposeResult:
        """Search, list, detail."""
        yield Input(placeholder=_("Search prompts and answers, Enter"), id="search")
        with Horizontal(id="history-body"):
            yield OptionList(id="rounds", markup=False)
            with Vertical(id="detail"):
                yield Static(markup=False, id="detail-head")
                yield PaneRow()
        yield Footer(show_command_palette=False)

    def on_screen_resume(self) -> None:
        """List what there is now."""
        self.background(self._list(self.query_one("#search", Input).value), "list")

    @property
    def round_id(self) -> str:
        """The round under the cursor."""
        return self._round_id

    def action_thinking(self) -> None:
        """What was thought before the answers, and back; of a sealed round nothing."""
        if not self.query_one(PaneRow).think():
            self.tell(_("No thinking was told, or it is sealed."))

    def action_search(self) -> None:
        """Look for words: of an answer in the answers, else in all rounds."""
        if isinstance(self.focused, AnswerText):
            self.action_find()
        else:
            self.set_focus(self.query_one("#search", Input))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Search."""
        self.background(self._list(event.value), "list")
        self.query_one("#rounds", OptionList).focus()

    async def _list(self, search: str) -> None:
        rounds = self.query_one("#rounds", OptionList)
        rounds.clear_options()
        lines = await wrap_future(self.arena.history(search=search))
        for line in lines:
            when = line.created_at[5:16].replace("T", " ")
            text = Content.assemble(
                (f"{_MARKS.get(line.state, '…')} ", "$accent"),
                (f"{when}  ", "$text-muted"),
                ("↳ " if line.further else "", "$text-muted"),
                clean_line(line.prompt.text, 60),
            )
            rounds.add_option(Option(text, id=line.id))
        if not lines:
            await self.query_one(PaneRow).deal(())
            nothing = _("Nothing found.") if search else _("No rounds yet: Esc, and ask something.")
            self.query_one("#detail-head", Static).update(Content.styled(nothing, "$text-muted"))
        else:
            rounds.highlighted = 0

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the round under the cursor."""
        begins = not self._wanted
        self._wanted = event.option_id or ""
        if begins and self._wanted:
            self.run_worker(self._run(self._show_wanted()), group="show")

    async def _show_wanted(self) -> None:
        """The newest one that was asked for, until nobody asks. Panes that are being put up are never called off."""
        shown = ""
        try:
            while self._wanted != shown:
                shown = self._wanted
                await self._show(shown)
        finally:
            self._wanted = ""

    async def _show(self, round_id: str) -> None:
        found = await wrap_future(self.arena.look(round_id))
        if isinstance(found, SealedRound):
            await self._draw(found, found.view, _(_SEALED_NOTE.get(found.state, "")))
            return
        vote = found.vote
        said = [_("You said: {verdict}").format(verdict=verdict_words(vote.verdict)), vote.note] if vote else []
        said += map(_, found.flags)
        if found.second:
            said.append(_("you would use {verdict}").format(verdict=verdict_words(found.second)))
        await self._draw(found, RoundView.of(found.round), "  ".join(clean_line(each, 200) for each in said if each))
        self.query_one(PaneRow).reveal(found)

    async def _draw(self, found: RoundRecord | SealedRound, view: RoundView, note: str) -> None:
        head = Content.assemble(
            ("› ", "bold $accent"),
            (clean_line(view.prompt.text, 400), "bold"),
            (f"\n{view.id}  {_(found.state.value)}   ", "$text-muted"),
            (note, "$accent"),
        )
        self.query_one("#detail-head", Static).update(head)
        row = self.query_one(PaneRow)
        await row.deal(view.labels)
        self._round_id = view.id
        row.show(found)
