"""A Textual app that sends frames of its own making: the difference of two screens, when the terminal is ready for it.

Textual composes the screen as ever; only the last step is taken over. What it wants shown goes into a grid at once, and
from there to the terminal when the clock of frames allows. Neither ever waits, so a line that stands still holds up
nothing but the picture.
"""

from __future__ import annotations

import asyncio
import base64

from rich.color import ColorSystem
from rich.console import RenderableType
from textual import on
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.constants import TEXTUAL_ANIMATIONS
from textual.driver import Driver
from textual.events import Event, InputEvent, Mount, Resize
from textual.messages import TerminalSupportsSynchronizedOutput
from textual.screen import Screen

from arena.tui.language import N_, _
from arena.tui.terminal import counts_otherwise, erases_in_color
from arena.tui.wire.check import why_stock
from arena.tui.wire.frame_clock import FrameClock
from arena.tui.wire.grid import Grid
from arena.tui.wire.updates import paint

FRAME_S = 0.1
"""How often a screen need look for news."""
SLOW_FRAME_S = 0.2
_SYNC_START, _SYNC_END = "\x1b[?2026h", "\x1b[?2026l"
_QUESTION = "\x1b[?2026$p"
"""Whether it knows synchronized output. Textual reads the answer already, and it costs nothing to give."""
_OFFER = N_("This line is slow. Ctrl+O, then Slow line: fewer frames. Or start with: arena --slow-link")


class WiredApp(App[None]):
    """An app whose screen reaches the terminal as differences."""

    def __init__(self, *, slow_link: bool = False) -> None:
        """`slow_link`: few frames and no animation, from the start."""
        super().__init__()
        self.stock_because = why_stock(self)
        """Why Textual's own output is used after all; '' where it is not."""
        self._frames = FrameClock()
        self._grid: Grid | None = None
        self._next: asyncio.TimerHandle | None = None
        self._cursor_shown = (-1, -1)
        self._away = False
        """While the terminal belongs to another program."""
        self._offered = False
        self.slow_link = slow_link

    @property
    def slow_link(self) -> bool:
        """Low-bandwidth mode. Screens that refresh by themselves should do so only on a change then."""
        return self._frames.slow

    @slow_link.setter
    def slow_link(self, slow: bool) -> None:
        self._frames.slow = slow
        self._offered |= slow
        self.animation_level = "none" if slow else TEXTUAL_ANIMATIONS
        self.set_class(slow, "-slow-link")

    @property
    def frame_s(self) -> float:
        """How often a screen that shows something moving should draw it, in seconds."""
        return SLOW_FRAME_S if self.slow_link else FRAME_S

    @on(Mount)
    def _watch_terminal(self) -> None:
        """Learn when the terminal is lent to another program."""
        self.app_suspend_signal.subscribe(self, self._leave_terminal, immediate=True)
        self.app_resume_signal.subscribe(self, self._return_to_terminal, immediate=True)

    async def on_event(self, event: Event) -> None:
        """What a key does is shown at once."""
        if isinstance(event, InputEvent):
            self._frames.hurry()
        await super().on_event(event)

    def on_resize(self, event: Resize) -> None:
        """A terminal that changed its size shows nobody knows what.

        One that says its old size may be another one: somebody attached again from elsewhere. With pixels, it is only
        the answer to a question.
        """
        if event.size != self.size or event.pixel_size is None:
            self._frames.restart()
            if self._sync_available and self._driver is not None and not self._away:
                self._driver.write(_QUESTION)
            self.action_repaint()

    def on_terminal_supports_synchronized_output(self, __: TerminalSupportsSynchronizedOutput) -> None:
        """The terminal has read the last frame."""
        self._frames.answered()
        if self._frames.link_is_slow and not self._offered:
            self._offered = True
            self.notify(_(_OFFER), timeout=15, markup=False)
        self._draw()

    def action_repaint(self) -> None:
        """Clear the terminal and draw everything again: something else has written on it."""
        if self._grid is not None:
            self._grid.forget()
            self._draw()

    def copy_to_clipboard(self, text: str) -> None:
        """Keep what is cut in a box for pasting it in another. The terminal gets to know only what the user copies."""
        self._clipboard = text

    def hand_to_clipboard(self, text: str) -> None:
        """Put harmless text into the clipboard of the terminal (OSC 52). Whether it takes it, no terminal says."""
        self.copy_to_clipboard(text)
        if self._driver is not None and not self._away:
            self._driver.write(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07")
            self._driver.flush()

    def action_slow_link(self) -> None:
        """Turn low-bandwidth mode on or off."""
        self.slow_link = not self.slow_link
        told = _("Few frames, no animation.") if self.slow_link else _("Frames as fast as the terminal takes them.")
        self.notify(told, markup=False)

    def _leave_terminal(self, _: object) -> None:
        self._away = True

    def _return_to_terminal(self, _: object) -> None:
        self._away = False
        self._frames.restart()
        self.action_repaint()

    # Frames

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Want what Textual has composed, and draw it when its time has come."""
        if not self._wired or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            super()._display(screen, renderable)
            return
        if not self._batch_count:
            self._paint(renderable)
            self._draw()
        self.post_display_hook()

    @property
    def _wired(self) -> bool:
        driver = self._driver
        return (
            not self.stock_because
            and self._running
            and not self._closed
            and driver is not None
            and not (driver.is_headless or driver.is_inline or driver.is_web)
        )

    def _paint(self, update: LayoutUpdate | ChopsUpdate) -> None:
        width, height = update.region.size if isinstance(update, LayoutUpdate) else self.size
        grid = self._grid
        if grid is None or (isinstance(update, LayoutUpdate) and (grid.width, grid.height) != (width, height)):
            colors = self.console._color_system or ColorSystem.TRUECOLOR  # noqa: SLF001 - as Textual's writer reads it
            grid = self._grid = Grid(width, height, colors, erases=erases_in_color(), safe=counts_otherwise())
        paint(grid, update)

    def _draw(self) -> None:
        """Draw the next frame now, or later."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        driver, grid = self._driver, self._grid
        if driver is None or grid is None or self._away or not self._wired:
            return
        wait_s = self._frames.wait_s(backlog=_backlog(driver))
        if wait_s > 0:
            self._next = asyncio.get_running_loop().call_later(wait_s, self._draw)
            return
        drawn = grid.frame()
        x, y = self.screen.outer_size.clamp_offset(self.cursor_position)
        if not drawn and (x, y) == self._cursor_shown:
            return
        self._cursor_shown = x, y
        frame = f"{drawn}\x1b[{y + 1};{x + 1}H"  # where the cursor is, an input method opens its window
        if self._sync_available:
            frame = f"{_SYNC_START}{frame}{_SYNC_END}"
        driver.write(frame + _QUESTION if self._frames.asks else frame)
        driver.flush()
        self._frames.sent()


def _backlog(driver: Driver) -> bool:
    """Whether something waits to be written. Textual's writer makes everybody wait once 30 pieces do."""
    queue = getattr(getattr(driver, "_writer_thread", None), "_queue", None)
    return queue is not None and queue.qsize() > 0
