"""A round on its way to the screen: what has arrived of it, and how much of that is shown now."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from arena.core.events import Failed, StreamEvent
from arena.core.rounds import Pace, Played, RoundState, RoundView
from arena.engine.pace import Pacer
from arena.tui.mailbox import Mailbox


class LiveRound:
    """The round that the screen shows. `frame` is called now and then; nothing here waits."""

    def __init__(self, view: RoundView, play: Callable[[Callable[[StreamEvent], None]], Future[Played]] | None) -> None:
        """`play` begins it, given what takes its events; None: it was played earlier, and all of it is there."""
        self.view = view
        self.failed: set[int] = set()
        """Seats that could not answer."""
        self.pacer = Pacer(len(view.labels), view.pace if play is not None else Pace.WHOLE)
        self._mailbox = Mailbox()
        self.playing = play(self._mailbox.put) if play is not None else None

    def frame(self, now_ns: int) -> list[tuple[int, str]]:
        """What to append to the panes now: (seat, text)."""
        for event in self._mailbox.drain():
            self.pacer.feed(event)
            if isinstance(event, Failed):
                self.failed.add(event.seat)
        return self.pacer.frame(now_ns)

    @property
    def ended(self) -> bool:
        """Whether it is over and shown. One that broke off, as with the disk full, has seats that never close."""
        over = self.playing is not None and self.playing.done()
        return over and (self.pacer.done or not self.pacer.generated)

    @property
    def judgeable(self) -> bool:
        """Whether it ended with something to vote on."""
        if self.playing is None or self.playing.cancelled() or self.playing.exception() is not None:
            return False
        return self.playing.result().state is RoundState.READY

    @property
    def fault(self) -> BaseException | None:
        """Why it broke off; None where it did not, or was called off."""
        if self.playing is None or not self.playing.done() or self.playing.cancelled():
            return None
        return self.playing.exception()

    def stop(self) -> bool:
        """Call it off. False: it was over already."""
        return self.playing is not None and not self.playing.done() and self.playing.cancel()
