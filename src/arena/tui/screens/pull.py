"""Fetches a model through a server that can, with a progress bar."""

from __future__ import annotations

from asyncio import CancelledError, wrap_future
from concurrent.futures import Future
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, ProgressBar, Static

from arena.core.endpoints import PullProgress
from arena.core.errors import ArenaError
from arena.core.machine import human_bytes
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.tui.language import _
from arena.tui.screens.base import Dialog
from arena.tui.widgets.key_bar import KeyBar
from arena.wiring import Arena

FRAME_S = 0.25


class PullScreen(Dialog[ModelInfo | None]):
    """Enter fetches, Escape stops; what was fetched stays, and the next time goes on from there."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "stop", "Stop", id="pull.stop")]

    def __init__(self, arena: Arena) -> None:
        """Nothing is named yet."""
        super().__init__()
        self._arena = arena
        self._fetching: Future[ModelInfo] | None = None
        self._newest = PullProgress("")

    def compose(self) -> ComposeResult:
        """Title, name, bar, hint."""
        with Vertical(id="pull", classes="dialog"):
            yield Static(Content.styled(_("Fetch a model through Ollama"), "bold"), markup=False)
            yield Input(placeholder=_("qwen3:8b, or ENDPOINT/NAME"), id="pull-name")
            yield ProgressBar(id="pull-bar")
            yield Static(markup=False, id="pull-hint")
        yield KeyBar()

    def on_mount(self) -> None:
        """Wait for a name."""
        self.query_one("#pull-bar").display = False
        self._tell(_("Enter fetches. Esc goes back."))
        self.set_interval(FRAME_S, self._frame)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Begin."""
        if self._fetching is None and message.value.strip():
            message.input.disabled = True
            self.query_one("#pull-bar").display = True
            self._fetching = self._arena.lineup.pull(message.value, self._note)
            self.run_worker(self._finish(self._fetching))

    def _note(self, step: PullProgress) -> None:
        """Called in the engine's thread; the next frame shows it."""
        self._newest = step

    async def _finish(self, fetching: Future[ModelInfo]) -> None:
        try:
            info = await wrap_future(fetching)
        except ArenaError as fault:
            self._fetching = None
            self.query_one("#pull-bar").display = False
            self._tell(str(fault), "$warning")
            name = self.query_one("#pull-name", Input)
            name.disabled = False
            name.focus()
        except CancelledError:
            self.dismiss(None)
        else:
            self.dismiss(info)

    def _frame(self) -> None:
        if self._fetching is None:
            return
        step = self._newest
        done, total = human_bytes(step.completed_bytes), human_bytes(step.total_bytes)
        size = _("{done} of {total}").format(done=done, total=total) + "   " if step.total_bytes else ""
        self.query_one(ProgressBar).update(total=step.total_bytes or None, progress=step.completed_bytes)
        self._tell(f"{size}{step.status}   " + _("Esc stops; the next time goes on from there."))

    def _tell(self, sentence: str, style: str = "$text-muted") -> None:
        self.query_one("#pull-hint", Static).update(Content.styled(clean_line(sentence, 300), style))

    def action_stop(self) -> None:
        """Stop fetching, or go back."""
        if self._fetching is None:
            self.dismiss(None)
        else:
            self._fetching.cancel()
