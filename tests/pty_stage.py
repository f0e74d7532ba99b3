"""A terminal for tests: a program runs in a real pty, pyte shows what a user would see, every byte is kept.

The terminal answers what Textual asks. A line between the two can be made slow, with a round trip, or stand still.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyte

APP = str(Path(__file__).parent / "pty_app.py")
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)
_IGNORE_HANGUP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
_ANSWERS = {b"\x1b[?2026$p": b"\x1b[?2026;2$y", b"\x1b[?2048$p": b"\x1b[?2048;0$y"}
_NOT_FOR_PYTE = re.compile(r"\x1b\[\?\d+\$p|\x1b\[[<>=]\d*u|\x1b\]22;[a-z-]*\x07")
_NOT_HANDED_ON = ("TMUX", "STY", "COLORTERM", "PYTHONDONTWRITEBYTECODE")
_OPEN_SEQUENCE = re.compile(r"\x1b(\[[\d;?<>=$]*|\][^\x07]*)?$")
_SGR = re.compile(r"\x1b\[([\d;]*)m")
_MODE = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
KNOWN = re.compile(
    r"\x1b\[\d+;\d+H|\x1b\[\d+G|\x1b\[[\d;]*m|\x1b\[K|\x1b\[\d+X|\x1b\[2J"  # drawing
    r"|\x1b\[\?(?:7|25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl]|\x1b\[\?20(?:26|48)\$p|\x1b\[<u"  # modes
    r"|\x1b\]22;[a-z-]*\x07"  # the shape of the pointer
)
"""Every sequence that arena may send while it runs."""
_CONTROLS = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))))
_FOREIGN = re.compile(f"{KNOWN.pattern}|[{re.escape(''.join(sorted(_CONTROLS)))}]")
MOUSE = (1000, 1003, 1006, 1015)


def foreign(text: str) -> list[str]:
    """Control characters and sequences that are none of arena's own, with what follows them."""
    return [text[found.start() : found.start() + 12] for found in _FOREIGN.finditer(text) if len(found[0]) == 1]


class Screen(pyte.Screen):
    """pyte, which would clear only the cells that were drawn before, and fails on half a wide character."""

    @property
    def rows(self) -> list[str]:
        """What stands in each row."""
        return ["".join(self.buffer[y][x].data for x in range(self.columns)) for y in range(self.lines)]

    def erase_in_display(self, how: int = 0, *_: object, **__: object) -> None:
        assert how == 2
        for y in range(self.lines):
            for x in range(self.columns):
                self.buffer[y][x] = self.cursor.attrs


def looks_alike(one: Screen, other: Screen) -> bool:
    """Whether a user could not tell two screens apart. The colour of letters that are not there is not seen."""
    return all(
        one.buffer[y] == other.buffer[y]
        or all(_look(one.buffer[y][x]) == _look(other.buffer[y][x]) for x in range(one.columns))
        for y in range(one.lines)
    )


def _look(cell: pyte.screens.Char) -> pyte.screens.Char:
    if cell.data.strip() or cell.reverse or cell.underscore or cell.strikethrough:
        return cell
    return pyte.screens.Char(cell.data, bg=cell.bg)


@dataclass
class Line:
    """What lies between the program and the terminal."""

    bytes_a_second: float = float("inf")
    one_way_s: float = 0.0
    stalled: bool = False
    """Nothing is read from the program."""


class Terminal:
    """A program in a pty."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        size: tuple[int, int] = (160, 45),
        env: Mapping[str, str | None] | None = None,
        answers: bool = True,
        line: Line | None = None,
        ignores_hangup: bool = False,
    ) -> None:
        """Start it. `size` is columns x rows; None in `env` unsets; `ignores_hangup`: as under nohup."""
        self.line = line or Line()
        self.raw = bytearray()
        """What reached the terminal."""
        self.written = 0
        """How many bytes the program wrote."""
        self.watched = True
        """Whether the screen is kept up to date: pyte takes more time than what it watches."""
        self.screen = Screen(*size)
        self._stream = pyte.Stream(self.screen)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._open = ""
        self._answers = answers
        self._out: deque[tuple[float, bytes]] = deque()
        self._in: deque[tuple[float, bytes]] = deque()
        self._credit, self._credited = 0.0, time.monotonic()
        self.master, slave = pty.openpty()
        self.resize(*size, tell=False)
        self.attributes = termios.tcgetattr(slave)
        environ = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
        environ |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        for name, value in (env or {}).items():
            environ.pop(name, None)
            if value is not None:
                environ[name] = value
        first = _IGNORE_HANGUP if ignores_hangup else ""
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", first + _TAKE_TERMINAL, *command],
            stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.master)

    # What a user does

    def send(self, keys: str | bytes) -> None:
        """Type."""
        data = keys.encode() if isinstance(keys, str) else keys
        self._in.append((time.monotonic() + self.line.one_way_s, data))

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        """Change the size, and have the kernel say so."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.screen.resize(rows, columns)

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self.master)

    def scribble(self, text: str) -> None:
        """Another program writes on the terminal."""
        self._stream.feed(text)

    # What a user sees

    @property
    def lines(self) -> list[str]:
        """The rows of the screen."""
        return self.screen.rows

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines)

    def mode(self, number: int) -> bool:
        """Whether the program has turned a private mode on."""
        last = False
        for found in _MODE.finditer(bytes(self.raw)):
            if str(number).encode() in found[1].split(b";"):
                last = found[2] == b"h"
        return last

    @property
    def restored(self) -> bool:
        """Whether the terminal is as a shell wants it: no alternate screen, no mouse, cursor, wrapping, cooked."""
        now = termios.tcgetattr(self.master)
        cooked = bool(now[3] & termios.ECHO) and bool(now[3] & termios.ICANON)
        off = (1049, 1004, 2004, 2026, *MOUSE)
        return cooked and self.mode(25) and self.mode(7) and not any(self.mode(number) for number in off)

    @property
    def foreign(self) -> list[str]:
        """Control characters and sequences that reached the terminal and are none of arena's own."""
        return foreign(bytes(self.raw).decode("utf-8", "replace"))

    @property
    def colours(self) -> set[str]:
        """Which kinds of colours the program has used: `true`, `256`, `16`."""
        kinds = {"2": "true", "5": "256"}
        found = set()
        for sgr in _SGR.findall(bytes(self.raw).decode("utf-8", "replace")):
            codes = iter(sgr.split(";"))
            for code in codes:
                if code in ("38", "48"):
                    kind = next(codes)
                    found.add(kinds[kind])
                    for _ in range(3 if kind == "2" else 1):
                        next(codes)
                elif code.isdigit() and (30 <= int(code) <= 47 or 90 <= int(code) <= 107) and code != "39":
                    found.add("16")
        return found

    # What goes on

    def until(self, what: Callable[[], object], seconds: float = 30.0) -> None:
        """Go on until a state is there."""
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                raise AssertionError(f"it never came; the screen shows:\n{self.text}")
            self.pump()

    def wait(self, seconds: float = 20.0) -> int:
        """Go on until the program has ended. Returns its exit status."""
        self.until(lambda: self.process.poll() is not None, seconds)
        self.pump()
        return self.process.wait()

    def settle(self, quiet_s: float = 0.4) -> None:
        """Go on until the program has written nothing for so long."""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < quiet_s:
            self.pump()
            if self.written != seen:
                seen, since = self.written, time.monotonic()

    def stop_state(self) -> str:
        """The state of the process as the kernel names it: `T` is stopped."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text("utf-8")
        return stat.rpartition(")")[2].split()[0]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def pump(self, seconds: float = 0.02) -> None:
        """Let the line carry what it can, both ways."""
        now = time.monotonic()
        while self._in and self._in[0][0] <= now:
            with contextlib.suppress(OSError):
                os.write(self.master, self._in.popleft()[1])
        if not self.line.stalled:
            self._read(seconds)
        else:
            time.sleep(seconds)
        self._deliver()

    def _read(self, seconds: float) -> None:
        with contextlib.suppress(OSError, ValueError):
            while select.select([self.master], [], [], seconds)[0]:
                data = os.read(self.master, 65536)
                if not data:
                    return
                self.written += len(data)
                self._out.append((time.monotonic() + self.line.one_way_s, data))
                seconds = 0.0

    def _deliver(self) -> None:
        now = time.monotonic()
        rate = self.line.bytes_a_second
        self._credit = min(self._credit + (now - self._credited) * rate, max(64.0, rate * 0.05))
        self._credited = now
        while self._out and self._out[0][0] <= now and self._credit >= 1:
            at, data = self._out.popleft()
            count = len(data) if rate == float("inf") else min(len(data), int(self._credit))
            self._credit -= count
            if data[count:]:
                self._out.appendleft((at, data[count:]))
            self._show(data[:count])

    def _show(self, data: bytes) -> None:
        before = len(self.raw)
        self.raw += data
        for question, answer in _ANSWERS.items() if self._answers else ():
            for _ in range(self.raw.count(question, max(0, before - len(question) + 1))):
                self.send(answer)
        if not self.watched:
            return
        text = self._open + self._decode(data)
        half = _OPEN_SEQUENCE.search(text)
        self._open = text[half.start() :] if half else ""
        self._stream.feed(_NOT_FOR_PYTE.sub("", text[: half.start()] if half else text))
