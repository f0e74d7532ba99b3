"""How the rounds to come are asked: system message, samplers, the user's own editor, variables, other models."""

from __future__ import annotations

from asyncio import Event
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from arena.core.adjusting import differing
from arena.core.errors import ArenaError
from arena.core.prompts import Prompt
from arena.core.text import clean_line
from arena.tui.choice import Choice, FromPast
from arena.tui.editor import edited
from arena.tui.language import _
from arena.tui.phases import BLIND, Phase
from arena.tui.screens.table import TableScreen
from arena.tui.widgets.prompt_box import PromptBox
from arena.wiring import Arena

if TYPE_CHECKING:
    from arena.tui.screens.prompts import Taken


class AskingScreen(TableScreen):
    """What comes before a round. Who plays is the business of the screen on top."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("S", "settings", "Settings", tooltip="System message and samplers", show=False, id="ask.settings"),
        Binding("ctrl+g", "editor", "Editor", tooltip="The prompt in $EDITOR", show=False, id="ask.editor"),
        Binding(
            "M", "others", "Other models", tooltip="The same prompt, with other models", show=False, id="round.others"
        ),
    ]

    def __init__(self, arena: Arena) -> None:
        """As the config says."""
        super().__init__(arena)
        self.choice = Choice((), arena.settings.seats)
        """Who may play."""
        self.ready = Event()
        """Set once it is known who plays at first."""
        self._system = ""
        self._values: dict[str, str] = {}
        """What variables were filled in with."""

    def seat(self, choice: Choice) -> None:
        """Take these contestants from now on."""

    async def ask(self, prompt: Prompt) -> None:
        """Play a round."""

    def offer(self, prompt: Prompt) -> None:
        """Put a prompt into the box, as the one that it is."""

    async def plan(self, taken: Taken) -> None:
        """Have a pack played."""

    # How they are asked

    def action_settings(self) -> None:
        """System message and samplers of the rounds to come."""
        from arena.tui.screens.settings import SettingsScreen  # noqa: PLC0415 - the first frame is sooner without

        here, usual = self.arena.sampling, self.arena.settings.sampling
        self.app.push_screen(SettingsScreen(self._system, here, usual), self._set)

    def _set(self, values: dict[str, str] | None) -> None:
        from arena.tui.screens.settings import SYSTEM, SettingsScreen  # noqa: PLC0415 - likewise

        if values is None:
            return
        self._system = values[SYSTEM].strip()
        self.arena.sample_by(SettingsScreen.sampling(values, self.arena.settings.sampling))
        self.seat(self.choice)
        self.draw_settings()

    def draw_settings(self) -> None:
        """What is not as usual, in a line above the box."""
        told = differing(self.arena.sampling, self.arena.settings.sampling)
        if self._system:
            told.append(f"system: {clean_line(self._system, 60)}")
        line = self.query_one("#asked", Static)
        line.set_class(bool(told), "-told")
        line.update(Content.assemble((_("Not as usual: "), "$text-muted"), (", ".join(told), "$accent")))

    def with_system(self, prompt: Prompt) -> Prompt:
        """A prompt with the system message of these rounds, unless it brings its own."""
        return prompt if prompt.system else replace(prompt, system=self._system)

    def action_editor(self) -> None:
        """The prompt in the user's own editor."""
        box, text = self.query_one(PromptBox), ""
        try:
            with self.app.suspend():
                try:
                    text = edited(box.text)
                except ArenaError as fault:
                    self.complain(fault)
                    return
        except SuspendNotSupported:
            self.tell(_("This terminal can't be lent to an editor."))
            return
        box.text = text
        box.move_cursor(box.document.end)
        box.focus()

    # What is asked

    def taken(self, taken: Taken | None) -> None:
        """From the packs: with variables, these first."""
        if taken is None:
            return
        names = tuple(dict.fromkeys(name for prompt in taken.prompts for name in prompt.variables))
        if names:
            from arena.tui.screens.form import VariablesScreen  # noqa: PLC0415 - likewise

            self.app.push_screen(VariablesScreen(names, self._values), partial(self._filled, taken))
        else:
            self._take(taken)

    def _filled(self, taken: Taken, values: dict[str, str] | None) -> None:
        if values is not None:
            self._values |= values
            self._take(replace(taken, prompts=tuple(prompt.filled(values) for prompt in taken.prompts)))

    def _take(self, taken: Taken) -> None:
        self.enter(Phase.ASKING)
        if taken.whole:
            whole = replace(taken, prompts=tuple(map(self.with_system, taken.prompts)))
            self.errand(self.plan(whole))
        else:
            self.offer(taken.prompts[0])

    def from_past(self, wanted: object) -> None:
        """A prompt out of the history."""
        if not isinstance(wanted, FromPast):
            return
        if wanted.others:
            self.pick(partial(self._others_chosen, wanted.prompt))
        else:
            self.enter(Phase.ASKING)
            self.offer(wanted.prompt)

    def action_others(self) -> None:
        """The same prompt with other models."""
        if self.live is not None:
            self.pick(partial(self._others_chosen, self.live.view.prompt))

    def pick(self, then: Callable[[Choice | None], None]) -> None:
        """Have contestants chosen: at once, so that the next key is the picker's, or when it is known who they are."""
        if not self.ready.is_set():
            self.background(self._pick_later(then), "picker")
        elif self.is_active and self.phase not in BLIND:
            from arena.tui.screens.picker import PickerScreen  # noqa: PLC0415 - likewise

            self.app.push_screen(PickerScreen(self.arena, self.choice), then)

    async def _pick_later(self, then: Callable[[Choice | None], None]) -> None:
        await self.ready.wait()
        self.pick(then)

    def _others_chosen(self, prompt: Prompt, choice: Choice | None) -> None:
        if choice is not None:
            self.seat(choice)
            self.errand(self.ask(prompt))
