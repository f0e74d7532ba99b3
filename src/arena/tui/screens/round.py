"""The round: ask, read, vote, reveal. A small machine of phases; every key asks it what is allowed now."""

from __future__ import annotations

import time
from asyncio import Event, wrap_future
from collections.abc import Sequence
from concurrent.futures import Future
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Footer, Static

from arena.core.errors import ArenaError
from arena.core.events import Failed
from arena.core.ports import RoundRecord
from arena.core.prompts import Prompt
from arena.core.ratings import Board
from arena.core.rounds import Pace, Played, RoundState, RoundView, SealedRound
from arena.core.text import clean_line, counted
from arena.core.votes import Verdict
from arena.engine.pace import Pacer
from arena.tui.mailbox import Mailbox
from arena.tui.phases import ALLOWED, BLIND, KEYS, Phase
from arena.tui.screens.base import ArenaScreen
from arena.tui.screens.picker import Choice, PickerScreen
from arena.tui.widgets.board_panel import BoardPanel
from arena.tui.widgets.hardware_panel import HardwarePanel
from arena.tui.widgets.pane_row import PaneRow
from arena.tui.widgets.phase_bar import PhaseBar
from arena.tui.widgets.progress_line import ProgressLine
from arena.tui.widgets.prompt_box import PromptBox
from arena.tui.widgets.vote_bar import VoteBar
from arena.tui.widgets.welcome import Welcome
from arena.wiring import Arena

FRAME_S = 0.1
PANEL_S = 2.0
REST = 5
"""A frame is followed by none for so many times as long as it took."""
SIDE_FROM = 120
"""Columns from which leaderboard and hardware stand beside the panes."""


class RoundScreen(ArenaScreen):
    """Where rounds are played."""

    BINDINGS: ClassVar[list[BindingType]] = KEYS

    phase = reactive(Phase.ASKING, bindings=True)

    def __init__(self, arena: Arena) -> None:
        """A screen without contestants; `begin` looks for them."""
        super().__init__(arena)
        self._choice = Choice((), arena.settings.seats)
        self._found = Event()
        self._examples: list[Prompt] = []
        self._example = -1
        self._view: RoundView | None = None
        self._pacer: Pacer | None = None
        self._mailbox = Mailbox()
        self._playing: Future[Played] | None = None
        self._next_frame_ns = 0
        self._shown_ns = 0
        self._board: Board | None = None
        self._queue: list[SealedRound] = []

    def compose(self) -> ComposeResult:
        """Phase bar; the question, the panes and the vote on the left; the side on the right."""
        yield PhaseBar()
        with Horizontal(id="body"):
            with Vertical(id="round"):
                yield Static(id="question", markup=False)
                yield Welcome()
                yield PaneRow()
                yield ProgressLine()
                yield VoteBar()
                yield PromptBox()
            with Vertical(id="side"):
                yield BoardPanel(id="side-board")
                yield HardwarePanel(id="side-hardware")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Start the timers and fill the side."""
        self.set_interval(FRAME_S, self._frame)
        self.set_interval(PANEL_S, self._refresh_hardware)
        self._enter(Phase.ASKING)
        self._refresh_hardware()
        self._refresh_board()

    async def begin(self, names: Sequence[str], *, judge: bool) -> None:
        """Find the contestants, and say what the last time left behind."""
        try:
            left = await wrap_future(self.arena.settle_interrupted())
            if left:
                self.tell(f"{counted(left, 'round')} interrupted the last time; what was said is in the history.")
            infos = await wrap_future(self.arena.lineup.opening(names))
            self._seat(Choice(tuple(infos), min(self.arena.settings.seats, max(2, len(infos)))))
        except ArenaError as fault:
            self.query_one(Welcome).complain(str(fault))
        self._found.set()
        if judge:
            self.errand(self._judge_waiting())

    def _seat(self, choice: Choice) -> None:
        """Take these contestants from now on, and load them ahead of the first round."""
        self._choice = choice
        if twins := self.arena.twins(choice.infos):
            self.tell(twins)
        self._examples = self.arena.examples(choice.infos)
        self.arena.lineup.warm(choice.infos)
        self.query_one(Welcome).show([str(info) for info in choice.infos], choice.seats)
        self._refresh_hardware()

    def on_resize(self) -> None:
        """Show the side and the panes as the width allows."""
        self.set_class(self.size.width >= SIDE_FROM, "-wide")
        self._draw_phase()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key means something now."""
        if action in ALLOWED and (self.busy or self.phase not in ALLOWED[action]):
            return False
        if action == "pick" and self._view is not None and str(parameters[0]).upper() not in self._view.labels:
            return False
        return not (action == "show_all" and not (self._pacer and self._pacer.generated))

    # Phases

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        for each in Phase:
            self.set_class(each is phase, f"-{each.name.lower()}")
        if phase in BLIND:
            self.query_one(BoardPanel).seal()
            self.query_one(HardwarePanel).seal()
        else:
            self.query_one(HardwarePanel).unseal()
        if phase is Phase.ASKING:
            self.query_one(PromptBox).focus()
        else:
            self.set_focus(None)
        self._draw_phase()

    def _draw_phase(self) -> None:
        votes = self._board.votes if self._board else 0
        note = "" if self.phase in BLIND else counted(votes, "vote")
        self.query_one(PhaseBar).show(int(self.phase), note)

    # Asking

    def on_prompt_box_example_wanted(self) -> None:
        """Offer the next example prompt."""
        self.background(self._offer_example(), "example")

    async def _offer_example(self) -> None:
        await self._found.wait()
        if self._examples:
            self._example = (self._example + 1) % len(self._examples)
            self.query_one(PromptBox).offer(self._examples[self._example].text)

    def on_prompt_box_submitted(self, message: PromptBox.Submitted) -> None:
        """Ask."""
        known = next((prompt for prompt in self._examples if prompt.text.strip() == message.text), None)
        self.errand(self._ask(known or Prompt(message.text)))

    async def _ask(self, prompt: Prompt) -> None:
        await self._found.wait()
        infos, propensity = await wrap_future(self.arena.choose(self._choice.infos, self._choice.seats))
        view = await wrap_future(self.arena.deal(prompt, infos, propensity=propensity))
        await self._open(view, Pacer(len(view.labels), view.pace))
        self._playing = self.arena.play(view.id, self._mailbox.put)

    async def _open(self, view: RoundView, pacer: Pacer) -> None:
        """Set the table for a round."""
        self._view, self._pacer, self._mailbox = view, pacer, Mailbox()
        await self._row.deal(view.labels)
        question = clean_line(view.prompt.text, 400)
        self.query_one("#question", Static).update(Content.assemble(("› ", "bold $accent"), question))
        self.query_one(PromptBox).clear()
        self._enter(Phase.ANSWERING)

    # Answering

    def _frame(self) -> None:
        """One frame for all panes: what has arrived goes through the pacer into the panes."""
        began_ns = time.monotonic_ns()
        if self.phase is not Phase.ANSWERING or self._pacer is None or began_ns < self._next_frame_ns:
            return
        ended = self._playing if self._playing is not None and self._playing.done() else None
        was_generated = self._pacer.generated
        for event in self._mailbox.drain():
            self._pacer.feed(event)
            if isinstance(event, Failed):
                self._row.panes[event.seat].tell("This seat could not answer. Why is said at the end.")
        self._row.append(self._pacer.frame(began_ns))
        self.query_one(ProgressLine).tell(started=self._pacer.started, generated=self._pacer.generated)
        if self._pacer.generated is not was_generated:
            self.refresh_bindings()
        # Long lists and tables are slow to lay out: painting never takes more than a fifth of the time.
        self._next_frame_ns = began_ns + REST * (time.monotonic_ns() - began_ns)
        # A round that broke off, with the disk full for instance, has seats that never close.
        if ended is not None and (self._pacer.done or not self._pacer.generated):
            self._finish(ended)

    def _finish(self, playing: Future[Played]) -> None:
        """Every answer is complete and shown: ask for the vote, or say why there is none."""
        self._playing = None
        fault = None if playing.cancelled() else playing.exception()
        if fault is not None:
            self.complain(fault)
        elif not playing.cancelled() and playing.result().state is RoundState.READY:
            self._start_vote()
            return
        self.tell("This round can't be voted on. r plays it again.")
        self.errand(self._reveal())

    def _start_vote(self) -> None:
        self._shown_ns = time.monotonic_ns()
        self._row.to_the_top()
        for pane in self._row.panes:
            if not pane.answer.text.strip():
                pane.tell("This answer is empty.")
        self.query_one(VoteBar).ask(len(self._row.panes))
        self._enter(Phase.VOTING)

    def action_show_all(self) -> None:
        """Show the rest of all answers at once."""
        if self._pacer is not None:
            self._row.append(self._pacer.rest())

    def action_stop(self) -> None:
        """Call the round off; what was said is kept."""
        if self._playing is not None and self._playing.done():
            self.action_show_all()  # there is nothing left to call off
            return
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None
        self._enter(Phase.ASKING)
        self.tell("Round called off.")
        self._refresh_board()

    # Voting

    def action_pick(self, letter: str) -> None:
        """The best answer, or the next best."""
        self.query_one(VoteBar).pick(letter)

    def action_vote(self, what: str) -> None:
        """Any other key of the vote: `equal`, `all_bad`, `skip`, `accept`, `take_back`."""
        getattr(self.query_one(VoteBar), what)()

    def action_peek(self) -> None:
        """Reveal without a vote."""
        self.errand(self._peek())

    async def _peek(self) -> None:
        if self._view is not None:
            await self._open_envelope(self.arena.peek(self._view.id))

    def on_vote_bar_cast(self, message: VoteBar.Cast) -> None:
        """Store the verdict, and open the envelope."""
        self.errand(self._cast(message.verdict))

    async def _cast(self, verdict: Verdict) -> None:
        if self._view is not None and self.phase is Phase.VOTING:
            decided_ms = (time.monotonic_ns() - self._shown_ns) // 1_000_000
            await self._open_envelope(self.arena.cast(self._view.id, verdict, decided_ms))

    # Revealing

    async def _reveal(self) -> None:
        if self._view is not None:
            await self._open_envelope(self.arena.reveal(self._view.id))

    async def _open_envelope(self, errand: Future[RoundRecord]) -> None:
        """Show who it was, once the desk has done its errand; if it can't, as far as the round is open anyway."""
        try:
            record = await wrap_future(errand)
        except ArenaError as fault:
            self.complain(fault)
            if self._view is None:
                return
            found = await wrap_future(self.arena.look(self._view.id))
            if isinstance(found, SealedRound):
                self.query_one(VoteBar).ask(len(self._row.panes))
                if self.phase is not Phase.VOTING:
                    self._enter(Phase.ASKING)
                return
            record = found
        self._row.reveal(record)
        self._enter(Phase.REVEALED)
        next_ = f"{len(self._queue)} more wait.  enter: next" if self._queue else "enter: new prompt"
        said = f"You said: {record.vote.verdict}." if record.vote else "Not rated."
        said += " An answer names its model: not rated." if "named" in record.flags else ""
        self.query_one(ProgressLine).sum_up(said, next_)
        self._refresh_board()

    def action_ask_again(self) -> None:
        """Go on: the next waiting round, or a new prompt."""
        if self._queue:
            self.errand(self._judge_next())
        else:
            self._enter(Phase.ASKING)

    def action_same_again(self) -> None:
        """Play the same prompt again."""
        if self._view is not None:
            self.errand(self._ask(self._view.prompt))

    # Judging rounds that were played without a screen

    def action_waiting(self) -> None:
        """Judge waiting rounds."""
        self.errand(self._judge_waiting())

    async def _judge_waiting(self) -> None:
        """Put the waiting rounds before the user, one after another."""
        self._queue = await wrap_future(self.arena.waiting())
        if self._queue:
            await self._judge_next()
        else:
            self.tell("No round waits for a vote.")

    async def _judge_next(self) -> None:
        waiting = self._queue.pop(0)
        await self._open(waiting.view, Pacer(len(waiting.answers), Pace.WHOLE))
        self._row.append([(answer.seat, answer.text) for answer in waiting.answers])
        self._start_vote()

    # Panes

    @property
    def _row(self) -> PaneRow:
        return self.query_one(PaneRow)

    def action_zoom(self) -> None:
        """Show one pane over the whole width, or all again."""
        self._row.zoom()

    def action_pane(self, index: int) -> None:
        """Go to a pane."""
        self._row.go(index)

    # The rest

    def action_models(self) -> None:
        """Choose contestants, once it is known who they are now."""
        self.background(self._open_picker(), "picker")

    async def _open_picker(self) -> None:
        await self._found.wait()
        if isinstance(self.app.screen, RoundScreen) and self.phase not in BLIND:
            self.app.push_screen(PickerScreen(self.arena, self._choice), self._chosen)

    def _chosen(self, choice: Choice | None) -> None:
        if choice is not None:
            self._seat(choice)
            self._enter(Phase.ASKING)

    def action_board(self) -> None:
        """The leaderboard screen."""
        self.app.push_screen("board")

    def action_history(self) -> None:
        """The history screen."""
        self.app.push_screen("history")

    def action_prompt(self) -> None:
        """Back into the prompt box."""
        self.query_one(PromptBox).focus()

    def _refresh_board(self) -> None:
        self.background(self._load_board(), "board")

    async def _load_board(self) -> None:
        board = await wrap_future(self.arena.board())
        self._board = board
        if self.phase not in BLIND:
            panel = self.query_one(BoardPanel)
            panel.show(board)
            self._draw_phase()
            if self.phase is Phase.REVEALED and not self.has_class("-wide"):
                self.query_one(ProgressLine).add(panel.moved)

    def _refresh_hardware(self) -> None:
        if self.phase not in BLIND and self.has_class("-wide"):
            self.background(self._load_hardware(), "hardware")

    async def _load_hardware(self) -> None:
        self.query_one(HardwarePanel).show(*await wrap_future(self.arena.watch.overview(self._choice.infos)))
