"""What is done with the past round under the cursor, and by what rounds are narrowed."""

from __future__ import annotations

from asyncio import wrap_future
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from arena.core.adjusting import differing
from arena.core.models import Sampling
from arena.core.past import Ending, Wanted
from arena.core.ports import RoundRecord
from arena.core.prompts import Prompt
from arena.core.rounds import Round, SealedRound
from arena.core.text import clean_line
from arena.core.votes import Vote
from arena.tui.choice import FromPast
from arena.tui.choices import after
from arena.tui.going import going_lines
from arena.tui.language import N_, _
from arena.tui.revealing import verdict_words
from arena.tui.screens.again import AgainScreen
from arena.tui.screens.confirm import ConfirmScreen
from arena.tui.screens.line import LineScreen
from arena.tui.screens.reading import ReadingScreen
from arena.wiring import Arena

_ENDINGS = {
    Ending.WAITING: N_("waits for your vote"),
    Ending.DECIDED: N_("one was the best"),
    Ending.TIE: N_("a tie"),
    Ending.BAD: N_("none was any good"),
    Ending.SKIPPED: N_("skipped"),
    Ending.PEEKED: N_("peeked"),
    Ending.VOID: N_("void"),
    Ending.NOTED: N_("with a note"),
}


class PastScreen(ReadingScreen):
    """Closes with FromPast where a prompt is wanted again. The list itself is the business of the screen on top."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "take", "Prompt", tooltip="Take the prompt into the box", id="past.take"),
        Binding("r", "others", "Others", tooltip="The same prompt, with other models", id="past.others"),
        Binding("V", "judge_again", "Again", tooltip="The same answers again, without names", id="past.again"),
        Binding("o", "note", "Note", tooltip="Read or write the note on your vote", id="past.note"),
        Binding("X", "delete", "Delete", tooltip="Delete this round; asks first", id="past.delete"),
        Binding("t", "narrow('tag')", "Tag", tooltip="Only prompts with that tag", show=False, id="past.tag"),
        Binding("m", "narrow('model')", "Model", tooltip="Only rounds of that model", show=False, id="past.model"),
        Binding("s", "narrow('ending')", "Verdict", tooltip="Only rounds that ended so", show=False, id="past.ending"),
        Binding("0", "all", "All", tooltip="All rounds again", show=False, id="past.all"),
    ]

    def __init__(self, arena: Arena) -> None:
        """Nothing is narrowed, no round is shown."""
        super().__init__(arena)
        self.wanted = Wanted()
        self.found: RoundRecord | SealedRound | None = None
        """The round that is shown."""
        self.cursor = ""
        """The id of the one under the cursor, which is about to be shown where that is another one."""
        self._tags: list[str] = []
        self._models: dict[str, str] = {}

    async def list_anew(self) -> None:
        """What is wanted, what there is, or the round that is shown has changed."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key means something for the round that is shown."""
        del parameters
        if action in ("judge_again", "note"):
            return isinstance(self.found, RoundRecord) and self.found.vote is not None and self._is_shown
        return action not in ("take", "others", "delete") or self._is_shown

    # What is wanted

    async def look_for_facets(self) -> None:
        """By what rounds can be narrowed now."""
        self._tags, self._models = await wrap_future(self.arena.past.facets())

    def action_narrow(self, what: str) -> None:
        """Narrow the rounds to the next tag, model or ending."""
        choices = {"tag": ["", *self._tags], "model": ["", *self._models], "ending": [None, *Ending]}[what]
        chosen = after(choices, getattr(self.wanted, what))
        self.wanted = replace(self.wanted, **{what: chosen})
        self.background(self.list_anew(), "list")

    def action_all(self) -> None:
        """All rounds again."""
        self.wanted = Wanted()
        self.background(self.list_anew(), "list")

    def narrowed(self) -> Content:
        """What narrows the rounds, in a line."""
        wanted = self.wanted
        told = [
            _("tag {tag}").format(tag=clean_line(wanted.tag, 30)) if wanted.tag else "",
            clean_line(self._models.get(wanted.model, wanted.model), 60) if wanted.model else "",
            _(_ENDINGS[wanted.ending]) if wanted.ending else "",
        ]
        return Content.assemble(
            (_("Only: {what}").format(what=" · ".join(filter(None, told))), "$accent"),
            (f"   0: {_('all')}", "$text-muted"),
        )

    # The round under the cursor

    @property
    def prompt(self) -> Prompt | None:
        """What was asked."""
        if isinstance(self.found, SealedRound):
            return self.found.view.prompt
        return self.found.round.prompt if self.found else None

    @property
    def round_id(self) -> str:
        """The round that is shown; '' where none is."""
        if isinstance(self.found, SealedRound):
            return self.found.view.id
        return self.found.round.id if self.found else ""

    @property
    def _is_shown(self) -> bool:
        return bool(self.round_id) and self.round_id == self.cursor

    def action_take(self) -> None:
        """Take its prompt into the box."""
        if self.prompt is not None:
            self.dismiss(FromPast(self.prompt))

    def action_others(self) -> None:
        """Put its prompt to other models."""
        if self.prompt is not None:
            self.dismiss(FromPast(self.prompt, others=True))

    def action_judge_again(self) -> None:
        """See its answers again without names, and say what is best."""
        self.errand(self._judge_again())

    async def _judge_again(self) -> None:
        dealt = await wrap_future(self.arena.past.deal_again(self.round_id))
        if self.is_active:  # else it was closed meanwhile
            self.app.push_screen(AgainScreen(self.arena, dealt), self._judged_again)

    def _judged_again(self, record: object) -> None:
        if isinstance(record, RoundRecord) and record.vote is not None:
            then, now = verdict_words(record.vote.verdict), verdict_words(record.again[-1].verdict)
            told = _("Then: {then}. Now: {now}.").format(then=then, now=now)
            rates = _("The first vote is the one that counts.") if record.vote.blind else _("The round is not rated.")
            self.tell(f"{told} {rates}")

    def action_note(self) -> None:
        """Read or write the note on its vote."""
        if isinstance(self.found, RoundRecord) and self.found.vote is not None:
            self.app.push_screen(
                LineScreen(_("A note on your vote"), self.found.vote.note), partial(self._noted, self.round_id)
            )

    def _noted(self, round_id: str, note: str | None) -> None:
        if note is not None:
            self.errand(self._annotate(round_id, note))

    async def _annotate(self, round_id: str, note: str) -> None:
        await wrap_future(self.arena.annotate(round_id, note))
        await self.list_anew()

    def action_delete(self) -> None:
        """Delete it, after a question that says what goes."""
        self.errand(self._ask_to_delete())

    async def _ask_to_delete(self) -> None:
        key = self.round_id
        going = await wrap_future(self.arena.past.going(key))
        asked = clean_line(self.prompt.text, 60) if self.prompt else ""
        title = _("Delete '{prompt}' ({round})? These go:").format(prompt=asked, round=key)

        def answered(yes: bool | None) -> None:  # noqa: FBT001 - Textual calls it so
            if yes:
                self.errand(self._delete(key))

        if self.is_active:
            self.app.push_screen(ConfirmScreen(title, going_lines(going)), answered)

    async def _delete(self, round_id: str) -> None:
        await wrap_future(self.arena.past.delete(round_id))
        self.found = None
        await self.list_anew()


def asked_with(round_: Round, usual: Sampling) -> list[str]:
    """What a round was asked with beside its prompt: its system message, and samplers that are not as usual."""
    system = f"system: {clean_line(round_.prompt.system, 120)}" if round_.prompt.system else ""
    drawn = replace(usual, seed=round_.sampling.seed)  # every round has a seed of its own
    return list(filter(None, [system, ", ".join(differing(round_.sampling, drawn))]))


def said_again(again: Sequence[Vote]) -> list[str]:
    """What was said of a round later, each with its day."""
    told = _("Again on {day}: {verdict}")
    return [told.format(day=vote.cast_at[:10], verdict=verdict_words(vote.verdict)) for vote in again]
