"""Leaving when told to: by SIGHUP or SIGTERM, or because the terminal is gone while SIGHUP is ignored.

Textual dies of these signals where it stands, with the terminal in raw mode, and spins for ever on a terminal that
vanished. Its event loop can't be asked to leave either: a line that stands still holds it up. So the handlers are
Python's own, which run whatever the loop waits for; what is in work is saved within a bound; the terminal is restored
by a write that waits for nobody; and the process ends there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SAVE_S = 3.0
"""How long saving may take: a worker gets 2 s to end by itself."""
LOOK_S = 0.5
"""How often it is looked whether the terminal is still there."""
_RESTORE_S = 0.2
_OFF = (2026, 2004, 2048, 1000, 1003, 1015, 1006, 1016, 1004, 1049)
"""What Textual turns on, the alternate screen last."""
RESTORE = "".join(("\x1b[0m", "\x1b[?7h", "\x1b[<u", *(f"\x1b[?{mode}l" for mode in _OFF), "\x1b[?25h"))


@contextmanager
def leaves_when_told(save: Callable[[], None]) -> Iterator[None]:
    """While this lasts, SIGHUP and SIGTERM save, restore the terminal and end the process with 128 + the signal.

    `save` is called in a thread of its own and may wait; it is given SAVE_S.
    """
    if sys.platform == "win32":
        yield
        return
    departure = _Departure(save)
    signals = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: the look at the terminal stands in for it
        signals.append(signal.SIGHUP)
    before = {number: signal.signal(number, departure.told) for number in signals}
    departure.watch()
    try:
        yield
    finally:
        departure.over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Departure:
    """Happens once, whoever asks for it."""

    def __init__(self, save: Callable[[], None]) -> None:
        import termios  # noqa: PLC0415 - not on Windows

        self._save = save
        self._termios = termios
        self._begun = threading.Lock()
        self._attributes = termios.tcgetattr(0)
        self.over = threading.Event()

    def told(self, number: int, _: FrameType | None) -> None:
        """The handler of a signal."""
        # It comes after SIGTERM from service managers, and Textual would take the terminal again.
        signal.signal(signal.SIGCONT, lambda *_: None)
        self._leave(number)

    def watch(self) -> None:
        """Look now and then whether the terminal is still there."""
        threading.Thread(target=self._watch, name="terminal", daemon=True).start()

    def _watch(self) -> None:
        while not self.over.wait(LOOK_S):
            try:
                self._termios.tcgetattr(0)
            except self._termios.error:
                self._leave(signal.SIGHUP)
                return

    def _leave(self, number: int) -> None:
        if not self._begun.acquire(blocking=False):
            return  # a session that ends sends more than one signal
        saving = threading.Thread(target=self._save, name="saving", daemon=True)
        saving.start()
        saving.join(SAVE_S)
        with suppress(OSError, self._termios.error):
            self._restore()
        os._exit(128 + number)

    def _restore(self) -> None:
        # Opened anew: O_NONBLOCK on the terminal that is open already would be set for the shell, too.
        terminal = os.open(os.ttyname(0), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        with suppress(OSError):  # it may be nobody's terminal
            if os.tcgetpgrp(terminal) != os.getpgrp():
                return  # in the background: the terminal was given back already
        self._termios.tcsetattr(terminal, self._termios.TCSANOW, self._attributes)
        rest, until = RESTORE.encode(), time.monotonic() + _RESTORE_S
        while rest and time.monotonic() < until:
            try:
                rest = rest[os.write(terminal, rest) :]
            except BlockingIOError:
                time.sleep(0.01)
