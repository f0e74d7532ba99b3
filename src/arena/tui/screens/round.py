"""Where rounds come from: the contestants, the prompt, the packs, and what waits for a vote."""

from __future__ import annotations

from asyncio import wrap_future
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from arena.core.errors import ArenaError
from arena.core.machine import Fits
from arena.core.prompts import Prompt
from arena.core.ratings import Board
from arena.core.rounds import Pace
from arena.core.text import span
from arena.tui.choice import Choice
from arena.tui.judging import Judging
from arena.tui.language import N_, _, plural
from arena.tui.phases import BLIND, Phase
from arena.tui.screens.asking import AskingScreen
from arena.tui.widgets.board_panel import BoardPanel
from arena.tui.widgets.hardware_panel import HardwarePanel
from arena.tui.widgets.key_bar import KeyBar
from arena.tui.widgets.pane_row import PaneRow
from arena.tui.widgets.phase_bar import PhaseBar
from arena.tui.widgets.progress_line import ProgressLine
from arena.tui.widgets.prompt_box import PromptBox
from arena.tui.widgets.vote_bar import VoteBar
from arena.tui.widgets.welcome import Welcome
from arena.wiring import Arena

if TYPE_CHECKING:
    from arena.tui.screens.prompts import Taken

FRAME_S = 0.1
PANEL_S = 2.0
SIDE_FROM = 120
"""Columns from which leaderboard and hardware stand beside the panes."""
_PACE_NOTES = {
    Pace.EVEN: N_("Pace of the rounds to come: even."),
    Pace.LIVE: N_("Pace of the rounds to come: live."),
    Pace.WHOLE: N_("Pace of the rounds to come: whole."),
}


class RoundScreen(AskingScreen):
    """The screen that is there from the first start to the last vote."""

    def __init__(self, arena: Arena, names: Sequence[str] = (), *, judge: bool = False) -> None:
        """A screen without contestants; it looks for those of these names itself. `judge`: begin with what waits."""
        super().__init__(arena)
        self._is_private = False
        """Whether the next round is not to be stored."""
        self._names, self._judge = names, judge
        self._pace = arena.settings.pace
        self._examples: list[Prompt] = []
        self._example = -1
        self._board: Board | None = None
        self._judging = Judging(arena)
        self._first: tuple[str, ...] = ()
        """What the very first start has to say."""

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
                yield Static(id="asked", markup=False)
                yield PromptBox()
            with Vertical(id="side"):
                yield BoardPanel(id="side-board")
                yield HardwarePanel(id="side-hardware")
        yield KeyBar()

    def on_mount(self) -> None:
        """Start the timers and fill the side."""
        self.set_interval(FRAME_S, self._frame)
        self.set_interval(PANEL_S, self._watch_hardware)
        self.enter(Phase.ASKING)
        self.call_after_refresh(self._open_up)

    def _open_up(self) -> None:
        """What the first frame need not wait for."""
        self._refresh_hardware()
        self.refresh_board()
        self.run_worker(self._begin())

    async def _begin(self) -> None:
        """Find the contestants, and say what the last time left behind."""
        try:
            left = await wrap_future(self.arena.settle_interrupted())
            if left:
                self.tell(
                    plural(
                        "{n} round interrupted the last time; what was said is in the history.",
                        "{n} rounds interrupted the last time; what was said is in the history.",
                        left,
                    )
                )
            infos = await wrap_future(self.arena.lineup.opening(self._names))
            self.seat(Choice(tuple(infos), min(self.arena.settings.seats, max(2, len(infos)))))
        except ArenaError as fault:
            self.query_one(Welcome).complain(str(fault))
        self.ready.set()
        if self.arena.first_start and self.choice.infos:
            self.background(self._introduce(), "introduction")
        if self._judge:
            self.errand(self._judge_waiting())
        else:
            await self._run(self._say_what_is_left())

    async def _say_what_is_left(self) -> None:
        if told := await self._judging.left_over():
            self.tell(_("{told} w goes on with it.").format(told=told))

    def seat(self, choice: Choice) -> None:
        """Take these contestants from now on, and load them ahead of the first round."""
        self.choice = choice
        if twins := self.arena.table.twins(choice.infos):
            self.tell(twins)
        self._examples = self.arena.examples(choice.infos)
        if not self._judging.playing:
            self.arena.lineup.warm(choice.infos)
        self._welcome()
        self._refresh_hardware()

    def _welcome(self) -> None:
        names = [str(info) for info in self.choice.infos]
        first = self._first if self._is_new else ()
        self.query_one(Welcome).show(names, self.choice.seats, self._pace, first)

    @property
    def _is_new(self) -> bool:
        """Whether nobody has played here yet."""
        return self.arena.first_start and self.live is None

    async def _introduce(self) -> None:
        """Say what was found on this machine, and how much of it fits."""
        self._first = (_("This is the first start: there is no database yet, the first round makes it."),)
        self._welcome()
        reached = [found for found in await wrap_future(self.arena.lineup.reach()) if found.infos]
        infos = [info for found in reached for info in found.infos]
        there = ", ".join(f"{found.name} {len(found.infos)}" for found in reached)
        fits = await wrap_future(self.arena.watch.fits(infos))
        fitting = sum(fit.verdict in (Fits.FITS, Fits.TIGHT, Fits.CPU) for fit in fits)
        told = plural("{n} model was found", "{n} models were found", len(infos))
        room = _("{told} ({there}); {count} fit into the memory that is free.")
        self._first = (*self._first, room.format(told=told, there=there, count=fitting))
        self._welcome()

    def on_resize(self) -> None:
        """Show the side and the panes as the width allows."""
        self.set_class(self.size.width >= SIDE_FROM, "-wide")
        self._draw_phase()

    # Phases

    def enter(self, phase: Phase) -> None:
        """Go on to a phase; what could tell a name is sealed or opened with it."""
        super().enter(phase)
        if phase in BLIND:
            self.query_one(BoardPanel).seal()
        self._seal_hardware()
        if phase in (Phase.ASKING, Phase.FOLLOWING):
            self._row.stop_finding()
            self.query_one(PromptBox).invite(further=phase is Phase.FOLLOWING)
        elif not self._row.finds:  # what is written into the line would be votes
            self.set_focus(None)
        self._draw_phase()

    def _seal_hardware(self) -> None:
        """While a round is played that nobody has judged, a step in memory would tell a name."""
        panel = self.query_one(HardwarePanel)
        if self.phase in BLIND or self.arena.series.playing:
            panel.seal()
        else:
            panel.unseal()

    def _draw_phase(self) -> None:
        count, waits, to_come = self._board.votes if self._board else 0, self._judging.waiting, self._judging.to_come
        votes = [plural("{n} vote", "{n} votes", count)] if self.phase not in BLIND else []
        waiting = [plural("{n} to judge", "{n} to judge", waits)] if waits else []
        left = _(", about {time}").format(time=span(self._judging.left_s, _)) if self._judging.left_s else ""
        coming = [plural("{n} being played", "{n} being played", to_come) + left] if to_come else []
        private = [_("not stored")] if self._is_private or self._plays_privately else []
        self.query_one(PhaseBar).show(self.phase.step, "  ".join([*private, *coming, *waiting, *votes]))

    @property
    def _plays_privately(self) -> bool:
        return self.phase is not Phase.ASKING and self.live is not None and not self.live.view.prompt.stored

    def _frame(self) -> None:
        """One frame of the round, and news of the queue that is being played."""
        self.draw_frame()
        if self._judging.news():
            self._draw_phase()
        waits = self.judges and self._judging.fresh and self.phase is Phase.ASKING
        # Who types, or has something else open, is not interrupted: the next letter would be a vote.
        if waits and self.is_active and not self.query_one(PromptBox).text:
            self.errand(self._judge_next())

    # Asking

    def on_prompt_box_example_wanted(self) -> None:
        """Offer the next example prompt."""
        self.background(self._offer_example(), "example")

    def on_prompt_box_sample_wanted(self) -> None:
        """At the very first start Enter alone plays a round."""
        if self._is_new and self.phase is Phase.ASKING:
            self.errand(self._ask_sample())

    async def _ask_sample(self) -> None:
        await self.ready.wait()
        if self._examples:
            await self.ask(self._examples[0])

    async def _offer_example(self) -> None:
        await self.ready.wait()
        if self._examples:
            self._example = (self._example + 1) % len(self._examples)
            self.query_one(PromptBox).offer(self._examples[self._example].text)

    def on_prompt_box_submitted(self, message: PromptBox.Submitted) -> None:
        """Ask."""
        if self.phase is Phase.FOLLOWING and self.live is not None:
            self.errand(self.go_on(self.live.view, message.text))
        else:
            known = next((prompt for prompt in self._examples if prompt.text.strip() == message.text), None)
            self.errand(self.ask(self.with_system(known or Prompt(message.text))))

    def on_prompt_box_left(self) -> None:
        """Who wanted to ask one thing more and does not is back at the vote."""
        if self.phase is Phase.FOLLOWING:
            self.enter(Phase.VOTING)

    def action_pace(self) -> None:
        """The next way of showing answers."""
        paces = cycle(Pace)
        while next(paces) is not self._pace:
            pass
        self._pace = next(paces)
        self.arena.remember(pace=self._pace.value)
        self._welcome()
        self.tell(_(_PACE_NOTES[self._pace]))

    def action_private(self) -> None:
        """Do not store the next round, or do."""
        self._is_private = not self._is_private
        self._draw_phase()
        self.tell(_("The next round is not stored.") if self._is_private else _("The next round is stored."))

    async def ask(self, prompt: Prompt) -> None:
        """Put a prompt to the next ones of the contestants."""
        await self.ready.wait()
        self.judges = False
        if self._is_private:
            prompt, self._is_private = replace(prompt, stored=False), False
        infos, propensity = await wrap_future(self.arena.table.choose(self.choice.infos, self.choice.seats))
        dealing = self.arena.table.deal(prompt, infos, pace=self._pace, propensity=propensity)
        view = await wrap_future(dealing)
        await self.set_the_table(view)
        self.begin_round(view)

    def action_ask_again(self) -> None:
        """Go on: the next waiting round, or a new prompt."""
        if self.judges:
            self.errand(self._judge_next())
        else:
            self.enter(Phase.ASKING)

    def action_same_again(self) -> None:
        """Play the same prompt again."""
        if self.live is not None:
            self.errand(self.ask(self.live.view.prompt))

    # Judging rounds that were played without a screen

    def action_waiting(self) -> None:
        """Judge waiting rounds."""
        self.errand(self._judge_waiting())

    async def _judge_waiting(self) -> None:
        """Put the waiting rounds before the user, one after another, while queues go on."""
        if await self._judging.find_queues():
            self.run_worker(self._run(self._judging.play_queues()), group="queues")
        await self._judging.look()
        await self._judge_next()

    async def _judge_next(self) -> None:
        waiting = await self._judging.take()
        done, self.judges = self.judges, waiting is not None or self._judging.playing
        if waiting is None:
            self.enter(Phase.ASKING)
            nothing = _("All waiting rounds are judged.") if done else _("No round waits for a vote.")
            self.tell(_("The next round is being played; it comes up by itself.") if self._judging.playing else nothing)
            return
        await self.judge(waiting)

    # The rest

    def action_models(self) -> None:
        """Choose contestants."""
        self.pick(self._chosen)

    def _chosen(self, choice: Choice | None) -> None:
        if choice is not None:
            self.arena.remember(seats=choice.seats)
            self.seat(choice)
            self.enter(Phase.ASKING)

    def action_prompts(self) -> None:
        """Browse the prompt packs."""
        from arena.tui.screens.prompts import PromptsScreen  # noqa: PLC0415 - the first frame is sooner without

        shelf = self.arena.prompts()
        self.app.push_screen(PromptsScreen(shelf.packs, [str(fault) for fault in shelf.faults]), self.taken)

    def offer(self, prompt: Prompt) -> None:
        """Put a prompt into the box, as the one that it is."""
        self._examples = [prompt, *self._examples]
        self.query_one(PromptBox).offer(prompt.text)

    async def plan(self, taken: Taken) -> None:
        """Play a whole pack, and judge it meanwhile."""
        await self.ready.wait()
        queue = await wrap_future(self.arena.series.plan(taken.order(self.choice.infos, self.choice.seats)))
        self.tell(
            plural(
                "{n} round planned. They are played while you judge those that are done.",
                "{n} rounds planned. They are played while you judge those that are done.",
                queue.rounds,
            )
        )
        await self._judge_waiting()

    def action_board(self) -> None:
        """The leaderboard screen."""
        if not self.app.is_screen_installed("board"):
            from arena.tui.screens.board import BoardScreen  # noqa: PLC0415 - the first frame is sooner without

            self.app.install_screen(BoardScreen(self.arena), "board")
        self.app.push_screen("board")

    def action_history(self) -> None:
        """The history screen."""
        if not self.app.is_screen_installed("history"):
            from arena.tui.screens.history import HistoryScreen  # noqa: PLC0415 - likewise

            self.app.install_screen(HistoryScreen(self.arena), "history")
        self.app.push_screen("history", self.from_past)

    def action_prompt(self) -> None:
        """Back into the prompt box."""
        self.query_one(PromptBox).focus()

    def refresh_board(self) -> None:
        """Compute the leaderboard anew from the votes."""
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

    def _watch_hardware(self) -> None:
        """Keep the panel live; on a slow line it stands still until something else is drawn."""
        if not self.slow_link:
            self._refresh_hardware()

    def _refresh_hardware(self) -> None:
        self._seal_hardware()
        if self.phase not in BLIND and not self.arena.series.playing and self.has_class("-wide"):
            self.background(self._load_hardware(), "hardware")

    async def _load_hardware(self) -> None:
        choice = self.choice
        self.query_one(HardwarePanel).show(*await wrap_future(self.arena.watch.overview(choice.infos, choice.seats)))
