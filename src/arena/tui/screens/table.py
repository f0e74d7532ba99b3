"""A round on the screen, from its first token to the open envelope: it streams, is voted on, and is revealed."""

from __future__ import annotations

import time
from asyncio import sleep, wrap_future
from collections.abc import Sequence
from concurrent.futures import Future
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.events import Key
from textual.reactive import reactive
from textual.timer import Timer
from textual.widgets import Static

from arena.core.errors import ArenaError
from arena.core.ports import RoundRecord
from arena.core.rounds import LABELS, RoundState, RoundView, SealedRound
from arena.core.text import clean, clean_line
from arena.core.votes import Kind, Strength, Verdict
from arena.tui.closed_keys import ClosedKeys
from arena.tui.language import _
from arena.tui.live_round import LiveRound
from arena.tui.phases import ALLOWED, KEYS, OPENERS, Phase
from arena.tui.revealing import verdict_words
from arena.tui.screens.line import LineScreen
from arena.tui.screens.reading import ReadingScreen
from arena.tui.widgets.progress_line import ProgressLine
from arena.tui.widgets.prompt_box import PromptBox
from arena.tui.widgets.vote_bar import VoteBar
from arena.tui.wire.wired_app import FRAME_S
from arena.wiring import Arena

REST = 5
"""A frame is followed by none for so many times as long as it took."""
_QUESTION_LINES, _HINT_CELLS = 3, 30
"""Lines of the prompt above the panes, and what of them is kept for the hint and for words that wrap early."""
_PATIENCE = 50
"""Looks at the desk, a frame apart, for a round that is about to come back."""


class TableScreen(ReadingScreen):
    """What is done with a round that was dealt. Who plays, and what is asked, is the business of the screen on top."""

    BINDINGS: ClassVar[list[BindingType]] = KEYS

    phase = reactive(Phase.ASKING, bindings=True)

    def __init__(self, arena: Arena) -> None:
        """Without a round."""
        super().__init__(arena)
        self.live: LiveRound | None = None
        self.judges = False
        """Whether the rounds come from the waiting ones."""
        self._voted = False
        """Whether the round that is revealed has a vote."""
        self._finished: LiveRound | None = None
        """The last round that came to its end."""
        self._next_frame_ns = 0
        self._shown_ns = 0
        self._opening: Timer | None = None
        """Runs while a vote can be taken back."""
        self._shortened = False
        """Whether the question is not shown as it was written."""
        self.closed = ClosedKeys()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key means something now."""
        if action in ALLOWED and (self.busy or self.phase not in ALLOWED[action]):
            return False
        if action in ("pick", "clearly"):
            return LABELS.lower().index(str(parameters[0])) in self.query_one(VoteBar).seats
        if action == "note":
            return self._voted
        return not (action == "show_all" and not (self.live and self.live.pacer.generated))

    def on_key(self, event: Key) -> None:
        """Look at a key before it does what it is bound to: it may be closed, or come right behind one that is."""
        if self._row.finds:
            return
        bound = [key for _node, keys in self._modal_binding_chain for key in keys.key_to_bindings.get(event.key, ())]
        actions = [key.action.partition("(")[0] for key in bound]
        if event.key in self.active_bindings:
            if self.closed.swallows(actions):
                event.stop()
            elif OPENERS.intersection(actions):
                self.closed.hold()
        elif not self.busy and (reason := self.closed.why(actions, self.phase)):
            self.tell(reason)

    def on_screen_resume(self) -> None:
        """Who comes from another screen types nothing along."""
        self.closed.listen()

    @property
    def round_id(self) -> str:
        """The round that is shown."""
        return self.live.view.id if self.live is not None else ""

    def enter(self, phase: Phase) -> None:
        """Go on to a phase."""
        if self.phase is Phase.FOLLOWING:
            self.closed.listen()
        self.phase = phase
        for each in Phase:
            self.set_class(each is phase, each.css)

    def refresh_board(self) -> None:
        """Votes have changed."""

    # A round comes

    def begin_round(self, view: RoundView) -> None:
        """Have a dealt round answered."""
        self.live = LiveRound(view, lambda emit: self.arena.table.play(view.id, emit))
        self.query_one(PromptBox).clear()
        self._ask_above(view)
        self.closed.forget()
        self.enter(Phase.ANSWERING)

    async def set_the_table(self, view: RoundView) -> None:
        """Empty panes for a round."""
        await self._row.deal(view.labels)
        self._ask_above(view)

    async def judge(self, waiting: SealedRound) -> None:
        """Put a round before the user that was played earlier."""
        self.live = LiveRound(waiting.view, None)
        await self.set_the_table(waiting.view)
        self._row.show(waiting)
        self._start_vote([answer.seat for answer in waiting.answers if answer.there])

    async def go_on(self, before: RoundView, text: str) -> None:
        """A further turn of the round that waits for its vote."""
        view = await wrap_future(self.arena.table.deal_further(before.id, text))
        self._row.divide(text)
        self.begin_round(view)

    def _ask_above(self, view: RoundView) -> None:
        self.remove_class("-whole-question")
        self._draw_question(view)

    def action_question(self) -> None:
        """All of a long prompt, and back. One that is there already would only hide the answers."""
        if self.live is not None and (self._shortened or self.has_class("-whole-question")):
            self.toggle_class("-whole-question")
            self._draw_question(self.live.view)

    def _draw_question(self, view: RoundView) -> None:
        """The prompt in the lines that there are; what is cut off ends in a sign and can be had by a key."""
        question, room = (
            view.prompt.text,
            _QUESTION_LINES * max(20, (self._row.size.width or self.size.width) - 6) - _HINT_CELLS,
        )
        if self.has_class("-whole-question"):
            shown, more = clean(question), "\n\n" + _("v: the answers again")
        else:
            shown = clean_line(question, room)
            self._shortened = shown != question.strip()
            more = "  " + _("v: all of it") if shown.endswith("…") else ""
        told = Content.assemble(("› ", "bold $accent"), shown, (more, "$text-muted"))
        self.query_one("#question", Static).update(told)

    # Answering

    def draw_frame(self) -> None:
        """One frame for all panes: what has arrived goes through the pacer into the panes."""
        began_ns = time.monotonic_ns()
        live = self.live
        if self.phase is not Phase.ANSWERING or live is None or began_ns < self._next_frame_ns:
            return
        ended, was_generated, had_failed = live.ended, live.pacer.generated, set(live.failed)
        self._row.append(live.frame(began_ns))
        for seat in live.failed - had_failed:
            self._row.panes[seat].tell(_("This seat could not answer. Why is said at the end."))
        self.query_one(ProgressLine).tell(started=live.pacer.started, generated=live.pacer.generated)
        if live.pacer.generated is not was_generated:
            self.refresh_bindings()
        # Long lists and tables are slow to lay out: painting never takes more than a fifth of the time.
        rest_ns = max(REST * (time.monotonic_ns() - began_ns), int(self.frame_s * 0.9e9))
        self._next_frame_ns = began_ns + rest_ns
        if ended and live.ended and live is not self._finished:
            self._finished = live
            self._finish(live)

    def _finish(self, live: LiveRound) -> None:
        """Every answer is complete and shown: ask for the vote, or say why there is none."""
        self._row.complete()
        if live.judgeable:
            self._start_vote([seat for seat in range(len(live.view.labels)) if seat not in live.failed])
            return
        if live.fault is not None:
            self.complain(live.fault)
        if live.view.continues:
            self.tell(_("That turn can't be voted on. What was said before it can."))
            self.errand(self._back_to(live.view.continues))
            return
        self.tell(_("This round can't be voted on. r plays it again."))
        self.errand(self._open_envelope(self.arena.reveal(live.view.id)))

    async def _back_to(self, round_id: str) -> None:
        """To the vote on the turns before one that failed or was called off, once the desk has given them back."""
        for __ in range(_PATIENCE):
            found = await wrap_future(self.arena.look(round_id))
            if isinstance(found, SealedRound) and found.state is RoundState.READY:
                await self.judge(found)
                return
            await sleep(FRAME_S)
        self.enter(Phase.ASKING)

    def _start_vote(self, seats: Sequence[int]) -> None:
        self._shown_ns = time.monotonic_ns()
        self._row.to_the_top()
        for seat in seats:
            if self._row.panes[seat].answer.is_empty:
                self._row.panes[seat].tell(_("This answer is empty."))
        self.query_one(VoteBar).ask(seats)
        self.enter(Phase.VOTING)

    def action_show_all(self) -> None:
        """Show the rest of all answers at once."""
        if self.live is not None:
            self._row.append(self.live.pacer.rest())

    def action_stop(self) -> None:
        """Call the round off; what was said is kept."""
        if self.phase is Phase.FOLLOWING:
            self.enter(Phase.VOTING)
        elif self.live is not None and not self.live.stop():
            self.action_show_all()  # there is nothing left to call off
        elif self.live is not None and self.live.view.continues:
            self.errand(self._back_to(self.live.view.continues))
        else:
            self.enter(Phase.ASKING)
            self.tell(_("Round called off."))
            self.refresh_board()

    # Voting

    def action_pick(self, letter: str) -> None:
        """The best answer, or the next best; after the reveal the one that the user would use."""
        if self.phase is Phase.REVEALED:
            self.errand(self._choose(Verdict(Kind.RANKING, ((LABELS.lower().index(letter),),))))
        else:
            self.query_one(VoteBar).pick(letter)

    def action_clearly(self, letter: str) -> None:
        """The same, and clearly so."""
        self.query_one(VoteBar).pick(letter, Strength.CLEARLY)

    def action_level(self) -> None:
        """The next one is as good."""
        self.query_one(VoteBar).level()

    def action_tie(self) -> None:
        """All are equally good; after the reveal, equally useful."""
        if self.phase is Phase.REVEALED:
            self.errand(self._choose(Verdict(Kind.RANKING, (self.query_one(VoteBar).seats,))))
        else:
            self.query_one(VoteBar).equal()

    def action_vote(self, what: str) -> None:
        """Any other key of the vote: `all_bad`, `skip`, `accept`, `take_back`."""
        getattr(self.query_one(VoteBar), what)()

    def action_further(self) -> None:
        """Ask the same sealed contestants one thing more."""
        self.enter(Phase.FOLLOWING)

    def action_reroll(self) -> None:
        """Have the same question answered anew by the same sealed contestants."""
        if self.live is not None:
            self.errand(self._reroll(self.live.view))

    async def _reroll(self, old: RoundView) -> None:
        view = await wrap_future(self.arena.table.deal_again(old.id))
        found = await wrap_future(self.arena.look(view.id))
        await self.set_the_table(view)
        if found.earlier:
            self._row.show(found)
        self.begin_round(view)

    def action_peek(self) -> None:
        """Reveal without a vote."""
        if self.live is not None:
            self.errand(self._open_envelope(self.arena.peek(self.live.view.id)))

    def on_vote_bar_cast(self, message: VoteBar.Cast) -> None:
        """Store the verdict; the envelope opens a moment later."""
        self.errand(self._cast(message.verdict, message.strength))

    async def _cast(self, verdict: Verdict, strength: Strength | None) -> None:
        if self.live is None or self.phase is not Phase.VOTING:
            return
        key, decided_ms = self.live.view.id, (time.monotonic_ns() - self._shown_ns) // 1_000_000
        after_s = self.arena.settings.reveal_after_s
        if not after_s:
            await self._open_envelope(self.arena.cast(key, verdict, decided_ms, strength=strength))
            return
        try:
            await wrap_future(self.arena.cast_sealed(key, verdict, decided_ms, strength))
        except ArenaError as fault:
            await self._as_far_as_open(fault)
            return
        said = _("You said: {verdict}.").format(verdict=verdict_words(verdict, strength))
        self.query_one(ProgressLine).sum_up(said, _("enter: names  u: take it back"))
        self.enter(Phase.VOTED)
        self._opening = self.set_timer(after_s, self.action_reveal)

    def action_take_back(self) -> None:
        """The vote was a mistake; nobody has seen a name yet."""
        if self._opening is not None:
            self._opening.stop()
        self.errand(self._take_back())

    async def _take_back(self) -> None:
        if self.live is not None:
            await wrap_future(self.arena.take_back(self.live.view.id))
            self.query_one(VoteBar).ask(self.query_one(VoteBar).seats)
            self.enter(Phase.VOTING)

    # Revealing

    def action_reveal(self) -> None:
        """Open the envelope."""
        if self._opening is not None:
            self._opening.stop()
        if self.live is not None and self.phase is Phase.VOTED:
            self.errand(self._open_envelope(self.arena.reveal(self.live.view.id)))

    async def _open_envelope(self, errand: Future[RoundRecord]) -> None:
        """Show who it was, once the desk has done its errand; if it can't, as far as the round is open anyway."""
        try:
            record = await wrap_future(errand)
        except ArenaError as fault:
            await self._as_far_as_open(fault)
            return
        self._show_names(record)

    async def _as_far_as_open(self, fault: ArenaError) -> None:
        """Something went wrong with the vote: another program may have cast it, or the disk may be full."""
        self.complain(fault)
        if self.live is None:
            return
        found = await wrap_future(self.arena.look(self.live.view.id))
        if not isinstance(found, SealedRound):
            self._show_names(found)
        elif self.phase in (Phase.VOTING, Phase.VOTED) and found.state is RoundState.READY:
            self.query_one(VoteBar).ask(self.query_one(VoteBar).seats)
            self.enter(Phase.VOTING)
        else:
            self.enter(Phase.ASKING)

    def _show_names(self, record: RoundRecord) -> None:
        if self.has_class("-whole-question"):
            self.action_question()
        self._row.reveal(record)
        self._voted = record.vote is not None
        self.enter(Phase.REVEALED)
        vote, second = record.vote, record.second
        verdict = verdict_words(vote.verdict, vote.strength) if vote else ""
        said = [_("You said: {verdict}.").format(verdict=verdict) if vote else _("Not rated.")]
        if record.round.control:
            said.append(_("One model sat everywhere: a control of your own noise."))
        elif "named" in record.flags:
            said.append(_("An answer names its model: not rated."))
        if second:
            said.append(_("With all that, you would use: {verdict}.").format(verdict=verdict_words(second)))
        keys = " ".join([*(seat.label.lower() for seat in record.round.seats), "t"])
        ask = "" if second or not vote else _("{keys}: which would you use?").format(keys=keys)
        self.query_one(ProgressLine).sum_up(" ".join(said), ask)
        self.refresh_board()

    async def _choose(self, verdict: Verdict) -> None:
        """The second vote, with names and speeds known."""
        if self.live is not None:
            self._show_names(await wrap_future(self.arena.choose(self.live.view.id, verdict)))

    def action_note(self) -> None:
        """Write a note on the vote."""
        self.app.push_screen(LineScreen(_("A note on your vote")), self._noted)

    def _noted(self, note: str | None) -> None:
        if note is not None and self.live is not None:
            self.errand(self._annotate(self.live.view.id, note))

    async def _annotate(self, round_id: str, note: str) -> None:
        await wrap_future(self.arena.annotate(round_id, note))
        self.tell(_("Noted."))

    def action_thinking(self) -> None:
        """What was thought before the answers, and back."""
        if not self._row.think():
            self.tell(_("None of them has told what it thought."))
