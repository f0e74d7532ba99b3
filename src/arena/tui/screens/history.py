"""Past rounds: a list on the left, the chosen round on the right."""

from __future__ import annotations

from asyncio import wrap_future
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from arena.core.ports import RoundRecord
from arena.core.rounds import RoundState, RoundView, SealedRound
from arena.core.text import clean_line
from arena.past import PAGE
from arena.tui.language import N_, _
from arena.tui.revealing import verdict_words
from arena.tui.screens.past import PastScreen, asked_with, said_again
from arena.tui.widgets.answer_pane import AnswerText
from arena.tui.widgets.key_bar import KeyBar
from arena.tui.widgets.pane_row import PaneRow
from arena.wiring import Arena

if TYPE_CHECKING:
    from arena.store.ledger import HistoryLine

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
    RoundState.VOID: N_("Never to be judged: it was stopped, broke off, or was answered anew."),
}


class HistoryScreen(PastScreen):
    """Every round that was played; names only of those that are revealed."""

    AUTO_FOCUS = "#rounds"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "pane(0)", "Answers", key_display="1 2 3", show=False, id="history.a"),
        Binding("2", "pane(1)", show=False, id="history.b"),
        Binding("3", "pane(2)", show=False, id="history.c"),
        Binding("z", "zoom", "Zoom", show=False, id="history.zoom"),
        Binding("d", "thinking", "Thinking", show=False, id="history.think"),
        Binding("y", "copy", "Copy", show=False, id="history.copy"),
        Binding("Y", "keep", "Copy to file", show=False, id="history.keep"),
        Binding("D", "differ", "Compare", show=False, id="history.differ"),
        Binding(
            "slash",
            "search",
            "Search",
            tooltip="In all rounds; from an answer, in the answers",
            show=False,
            id="history.search",
        ),
        Binding("escape,h", "app.pop_screen", "Back", id="history.back"),
        Binding("question_mark", "app.help", "Help", id="history.help"),
        Binding("q", "app.leave", "Quit", id="history.quit"),
    ]

    def __init__(self, arena: Arena) -> None:
        """A screen on this arena."""
        super().__init__(arena)
        self._asked = 0
        """How often a round was asked for."""
        self._shows = False
        """Whether one is being put up."""
        self._all_listed = False

    def compose(self) -> ComposeResult:
        """Search, list, detail."""
        yield Input(placeholder=_("/ prompts, answers, notes    t m s: by tag, model, verdict"), id="search")
        yield Static(markup=False, id="narrowed")
        with Horizontal(id="history-body"):
            yield OptionList(id="rounds", markup=False)
            with Vertical(id="detail"):
                yield Static(markup=False, id="detail-head")
                yield PaneRow()
        yield KeyBar()

    def on_screen_resume(self) -> None:
        """List what there is now."""
        self.background(self._look_again(), "list")

    async def _look_again(self) -> None:
        await self.look_for_facets()
        await self.list_anew()

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
        self.wanted = replace(self.wanted, search=event.value)
        self.background(self.list_anew(), "list")
        self.query_one("#rounds", OptionList).focus()

    def action_all(self) -> None:
        """All rounds again, whatever was searched."""
        self.query_one("#search", Input).value = ""
        super().action_all()

    async def list_anew(self) -> None:
        """List the rounds that are wanted, with the cursor where it was as far as that is still there."""
        rounds = self.query_one("#rounds", OptionList)
        limit = max(PAGE, rounds.option_count)
        lines = await wrap_future(self.arena.past.rounds(self.wanted, limit))
        cursor, at = self.cursor, rounds.highlighted or 0
        rounds.clear_options()
        self._add(lines, limit)
        narrowed = self.query_one("#narrowed", Static)
        narrowed.display = self.wanted.narrowed
        narrowed.update(self.narrowed())
        ids = [line.id for line in lines]
        if ids:
            rounds.highlighted = ids.index(cursor) if cursor in ids else min(at, len(ids) - 1)
            return
        self.found, self.cursor = None, ""
        self.refresh_bindings()
        await self.query_one(PaneRow).deal(())
        searched = self.wanted.search or self.wanted.narrowed
        nothing = _("Nothing found. 0: all rounds") if searched else _("No rounds yet: Esc, and ask something.")
        self.query_one("#detail-head", Static).update(Content.styled(nothing, "$text-muted"))

    async def _list_more(self) -> None:
        rounds = self.query_one("#rounds", OptionList)
        lines = await wrap_future(self.arena.past.rounds(self.wanted, offset=rounds.option_count))
        self._add(lines, PAGE)

    def _add(self, lines: Sequence[HistoryLine], limit: int) -> None:
        self._all_listed = len(lines) < limit
        rounds = self.query_one("#rounds", OptionList)
        known = {rounds.get_option_at_index(at).id for at in range(rounds.option_count)}
        rounds.add_options(Option(_line(line), id=line.id) for line in lines if line.id not in known)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the round under the cursor; at the end of the list, list more."""
        self.cursor = event.option_id or ""
        self._asked += 1
        if self.cursor and not self._shows:
            self._shows = True
            self.run_worker(self._run(self._show_wanted()), group="show")
        if not self._all_listed and event.option_index == event.option_list.option_count - 1:
            self.background(self._list_more(), "list")

    async def _show_wanted(self) -> None:
        """The newest one that was asked for, until nobody asks. Panes that are being put up are never called off."""
        shown = 0
        try:
            while shown != self._asked and self.cursor:
                shown = self._asked
                await self._show(self.cursor)
        finally:
            self._shows = False

    async def _show(self, round_id: str) -> None:
        found = self.found = await wrap_future(self.arena.look(round_id))
        self.refresh_bindings()
        if isinstance(found, SealedRound):
            await self._draw(found, found.view, _(_SEALED_NOTE.get(found.state, "")))
            return
        vote = found.vote
        told = verdict_words(vote.verdict, vote.strength) if vote else ""
        said = [_("You said: {verdict}").format(verdict=told), vote.note] if vote else []
        said += map(_, found.flags)
        if found.second:
            said.append(_("you would use {verdict}").format(verdict=verdict_words(found.second)))
        said += [*said_again(found.again), *asked_with(found.round, self.arena.settings.sampling)]
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
        row.show(found)
        row.to_the_top()


def _line(line: HistoryLine) -> Content:
    """A round in the list."""
    return Content.assemble(
        (f"{_MARKS.get(line.state, '…')} ", "$accent"),
        (f"{line.created_at[5:16].replace('T', ' ')}  ", "$text-muted"),
        ("↳ " if line.further else "", "$text-muted"),
        clean_line(line.prompt.text, 60),
    )
