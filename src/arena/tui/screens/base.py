"""What all screens share: errands that run beside the screen, and faults that become one sentence."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from textual.await_complete import AwaitComplete
from textual.binding import ActiveBinding
from textual.reactive import reactive
from textual.screen import ModalScreen, Screen

from arena.core.errors import ArenaError
from arena.core.text import clean_line
from arena.tui.keymap import rebound
from arena.tui.language import _
from arena.tui.wire.wired_app import FRAME_S, WiredApp
from arena.wiring import Arena

T = TypeVar("T")


class TranslatedKeys(Screen[T]):
    """Names its keys in the language of the user, in the footer and wherever else keys are listed."""

    def __init__(self) -> None:
        """With the keys as they are bound now."""
        super().__init__()
        self._bindings = rebound(self._bindings)

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that mean something now."""
        found = super().active_bindings
        return {
            key: active._replace(
                binding=replace(active.binding, description=_(active.binding.description)), tooltip=_(active.tooltip)
            )
            for key, active in found.items()
        }

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Close with this result; once: a second key that arrived with the first would close the screen below."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


class Dialog(TranslatedKeys[T], ModalScreen[T]):
    """A screen in front of another one, closed with a result."""


class ArenaScreen(TranslatedKeys[object]):
    """A screen on an arena. Only screens see it; widgets get nouns."""

    AUTO_FOCUS = ""
    busy = reactive(default=False, bindings=True)
    """While an errand of the user runs; no key starts another one meanwhile."""

    def __init__(self, arena: Arena) -> None:
        """A screen on this arena."""
        super().__init__()
        self.arena = arena

    @property
    def slow_link(self) -> bool:
        """Whether the terminal is at the end of a slow line: what can wait is drawn when something else is."""
        return isinstance(self.app, WiredApp) and self.app.slow_link

    @property
    def frame_s(self) -> float:
        """Seconds between two frames of a stream."""
        return self.app.frame_s if isinstance(self.app, WiredApp) else FRAME_S

    def complain(self, fault: object) -> None:
        """Show a fault as a sentence with its hint."""
        self.app.notify(clean_line(str(fault), 300), severity="error", timeout=10, markup=False)

    def tell(self, sentence: str) -> None:
        """Show a sentence."""
        self.app.notify(clean_line(sentence, 300), markup=False)

    def errand(self, story: Coroutine[Any, Any, None]) -> None:
        """Do what the user asked for. A second key press meanwhile changes nothing."""
        if self.busy:
            story.close()
            return
        self.busy = True
        self.run_worker(self._run_errand(story))

    def background(self, story: Coroutine[Any, Any, None], group: str) -> None:
        """Do something that nobody waits for; a newer one of the same group takes its place."""
        self.run_worker(self._run(story), group=group, exclusive=True)

    async def _run_errand(self, story: Coroutine[Any, Any, None]) -> None:
        try:
            await self._run(story)
        finally:
            self.busy = False

    async def _run(self, story: Coroutine[Any, Any, None]) -> None:
        """A fault that escaped would end the program."""
        try:
            await story
        except ArenaError as fault:
            self.complain(fault)
