"""What the screen costs on the wire, and how soon it answers: arena's writer against Textual's own output, in one run.

    python benchmarks/wire.py [stream] [slow] [start] [rate] [flush] [--check]

Every program runs in a real pty of 160 x 45 that answers as a terminal does. Only ratios within one run mean something:
the absolute figures are those of this machine at this moment. `--check` ends with 1 where one is past its bound; the
bounds are wide, for a machine that does other things at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from textual.app import App, ComposeResult

from arena.tui.widgets.answer_pane import AnswerText

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from pty_stage import APP, Line, Terminal  # noqa: E402 - it lives with the tests

TOKENS, RATE, SEATS = 500, 200, 3
"""The script sleeps 1 / RATE after each token; what comes of it is printed."""
QUIET_S = 3.0
"""A stream that is silent for so long has ended."""
WAYS: dict[str, tuple[list[str], dict[str, str]]] = {
    "arena": ([], {}),
    "arena, slow link": ([], {"ARENA_SLOW_LINK": "1"}),
    "Textual's own": (["--stock"], {}),
}
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("bare")
Bare().run()
"""
LIVE = {"ARENA_PACE": "live", "ARENA_SCHEDULE": "together", "ARENA_DISCOVER": "false"}
BOUNDS = {
    "arena: first paint, bytes": 8_000,
    "arena: bytes/token": 60,
    "arena, slow link: bytes/token": 25,
    "arena: % of a core": 60,
    "arena: median s": 1.0,
    "arena: worst s": 3.0,
    "start: arena / bare, CPU": 2.5,
    "start: arena RSS MiB": 60,
    "rate: off by %": 1,
    **{f"flush: {kind} worst ms": 250 for kind in ("list", "table", "fence")},
}
"""The most that `--check` lets pass."""
STEADY_TOKENS, STEADY_RATE = 3000, 500
"""For the recorded rate: of each of three answers, and a second."""
ROWS: dict[str, tuple[str, Callable[[int], str], str]] = {
    "list": ("", "- item {}: the scheduler keeps a queue of **pending** requests\n".format, ""),
    "table": ("| model | tok/s | what |\n|---|---:|---|\n", "| one {} | 92.1 | keeps a `queue` |\n".format, "\nend"),
    "fence": ("```python\n", "    return [each for each in queue if each.bytes < {}]\n".format, "```\n\nend"),
}
"""Long blocks: how they begin, go on, and end."""
FLUSH, FLUSHED = 35, 14_000
"""Characters of ten tokens, and of 4,000."""
TICKS = os.sysconf("SC_CLK_TCK")


def played(folder: str, options: list[str], env: dict[str, str], line: Line | None = None) -> Terminal:
    """The scripted program: three contestants stream TOKENS tokens, at RATE a second at most."""
    home = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"), folder)
    told = {"TEST_TOKENS": str(TOKENS), "TEST_RATE": str(RATE)}
    return Terminal([sys.executable, APP, folder, "stream", *options], env={**LIVE, **home, **told, **env}, line=line)


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def stream(options: list[str], env: dict[str, str]) -> dict[str, float]:
    """Bytes a token, share of a core and frames a second while three panes stream."""
    with tempfile.TemporaryDirectory() as folder, played(folder, options, env) as terminal:
        terminal.until(lambda: "zephyr" in terminal.text)
        terminal.settle()
        first, cpu, begun = terminal.written, cpu_s(terminal.process.pid), time.monotonic()
        terminal.watched = False
        terminal.send("why?\r")
        terminal.until(lambda: terminal.written > first + 4_000)
        terminal.settle(QUIET_S)
        took, used = time.monotonic() - begun - QUIET_S, cpu_s(terminal.process.pid) - cpu
        return {
            "first paint, bytes": first,
            "bytes/token": (terminal.written - first) / (TOKENS * SEATS),
            "CPU s/1000 tokens": used / (TOKENS * SEATS) * 1000,
            "% of a core": 100 * used / took,
            "tokens/s a pane": TOKENS / took,
            "RSS MiB": rss_mib(terminal.process.pid),
        }


def slow(options: list[str], env: dict[str, str]) -> dict[str, float]:
    """Key to reaction at 20 KB/s and 100 ms there and back, while three panes stream."""
    reactions: list[float] = []
    line = Line(bytes_a_second=20_000, one_way_s=0.05)
    said = {"TEST_TOKENS": "6000", "TEST_RATE": "40", **env}
    with tempfile.TemporaryDirectory() as folder, played(folder, options, said, line) as terminal:
        until(terminal, lambda: "zephyr" in terminal.text)
        terminal.send("why?\r")
        until(terminal, lambda: terminal.text.count("scheduler") > 2)
        for key in ("?", "\x1b") * 4:
            pause = time.monotonic() + 1.5
            while time.monotonic() < pause:
                terminal.pump(0.005)
            pressed = time.monotonic()
            terminal.send(key)
            wanted = key == "?"
            until(terminal, lambda wanted=wanted: ("go to an answer" in terminal.text) is wanted)
            reactions.append(time.monotonic() - pressed)
            if reactions[-1] > 20:
                break  # it only gets worse
    return {"median s": statistics.median(reactions), "worst s": max(reactions), "keys": len(reactions)}


def until(terminal: Terminal, what: Callable[[], bool]) -> None:
    """Wait for a reaction, a minute at most. It is looked for only where something came: looking takes time, too."""
    end, seen = time.monotonic() + 60, -1
    while time.monotonic() < end:
        terminal.pump(0.005)
        if len(terminal.raw) != seen:
            seen = len(terminal.raw)
            if what():
                return


def start(command: list[str], sign: str) -> tuple[float, float, float]:
    """Seconds from exec to the first frame with `sign` on it, CPU seconds, MiB of memory at that moment."""
    with tempfile.TemporaryDirectory() as folder:
        home = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"), folder)
        begun = time.monotonic()
        with Terminal(command, env={**home, "ARENA_DISCOVER": "false"}) as terminal:
            while sign.encode() not in terminal.raw:
                terminal.pump(0.002)
            took = time.monotonic() - begun
            pid = terminal.process.pid
            return took, cpu_s(pid), rss_mib(pid)


def starts(repeats: int = 7) -> dict[str, float]:
    """Arena against a bare Textual app, in turn; the best of each, which is what the machine can do."""
    commands = {
        "a bare Textual app": ([sys.executable, "-c", BARE], "bare"),
        "arena": ([sys.executable, "-m", "arena"], "Reveal"),
    }
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, (command, sign) in commands.items():
            runs[name].append(start(command, sign))
    best = {name: [min(column) for column in zip(*values, strict=True)] for name, values in runs.items()}
    for name, (wall, cpu, rss) in best.items():
        print(f"  {name:<20} first frame {wall:5.2f} s   CPU {cpu:5.2f} s   RSS {rss:5.1f} MiB")
    bare, ours = best.values()
    print(f"  arena / bare: wall {ours[0] / bare[0]:.2f}, CPU {ours[1] / bare[1]:.2f}")
    return {"start: arena / bare, CPU": ours[1] / bare[1], "start: arena RSS MiB": ours[2]}


def rate() -> dict[str, float]:
    """The rate that arena records of a server that keeps its own, while the screen shows three of its answers."""
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, ROOT / "benchmarks" / "steady_server.py", str(STEADY_TOKENS), str(STEADY_RATE)],
            stdout=subprocess.PIPE, text=True,
        ) as server,
    ):  # fmt: skip
        try:
            recorded = _recorded(Path(folder), int(server.stdout.readline()) if server.stdout else 0)
        finally:
            server.terminate()
        true = statistics.mean(float(line) for line in server.stdout or ())
    off = 100 * max(abs(each / true - 1) for each in recorded)
    print(f"  sent {true:.1f}, recorded {', '.join(f'{each:.1f}' for each in recorded)}: off by {off:.2f} % at most")
    return {"rate: off by %": off}


def _recorded(folder: Path, port: int) -> list[float]:
    config, db = folder / "config.toml", folder / "arena.db"
    config.write_text(
        f"seats = 3\n[sampling]\nmax_tokens = {STEADY_TOKENS}\ncontext = 8192\n"
        f'[endpoints.steady]\nkind = "openai"\nurl = "http://127.0.0.1:{port}"\n'
    )
    home = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"), str(folder))
    models = [word for name in ("one", "two", "three") for word in ("-m", f"steady/{name}")]
    command = [sys.executable, "-m", "arena", "--config", str(config), "--db", str(db), *models]
    with Terminal(command, env={**LIVE, **home}) as terminal:
        terminal.until(lambda: "steady" in terminal.text)
        terminal.settle()
        terminal.watched = False
        terminal.send("why?\r")
        terminal.until(lambda: len(_rates(db)) == SEATS, 60)
        return _rates(db)


def _rates(db: Path) -> list[float]:
    """What stands in the database so far."""
    with contextlib.closing(sqlite3.connect(db)) as opened:
        return [float(tps) for (tps,) in opened.execute("SELECT decode_tps FROM answers WHERE decode_tps > 0")]


class _Pane(App[None]):
    """One pane and nothing else."""

    def compose(self) -> ComposeResult:
        yield AnswerText()


async def flush() -> dict[str, float]:
    """The longest flush of ten tokens while one long block grows: CPU from the text to its lines on the screen."""
    found = {}
    for kind, (begins, row, ends) in ROWS.items():
        body = "".join(map(row, range(FLUSHED // 20)))[:FLUSHED].rpartition("\n")[0] + "\n"
        text, took = begins + body + ends, []
        async with _Pane().run_test(size=(54, 45)) as pilot:
            pane = pilot.app.query_one(AnswerText)
            await pilot.pause()
            for at in range(0, len(text), FLUSH):
                begun = time.thread_time()
                pane.append(text[at : at + FLUSH])
                pane.render_lines(pane.size.region)
                took.append(1000 * (time.thread_time() - begun))
        print(f"  {kind:<6} median {statistics.median(took):6.1f} ms   worst {max(took):6.1f} ms")
        found[f"flush: {kind} worst ms"] = max(took)
    return found


def table(measure: Callable[[list[str], dict[str, str]], dict[str, float]]) -> dict[str, float]:
    """One line for each way to write, and the ratio to Textual's own."""
    found = {name: measure(*way) for name, way in WAYS.items()}
    stock = found["Textual's own"]
    for name, figures in found.items():
        told = "   ".join(f"{what} {figure:8.2f}" for what, figure in figures.items())
        ratio = {what: figure / stock[what] for what, figure in figures.items() if stock[what]}
        print(
            f"  {name:<18} {told}\n  {'':<18} " + "   ".join(f"{what} x{value:7.3f}" for what, value in ratio.items())
        )
    return {f"{name}: {what}": figure for name, figures in found.items() for what, figure in figures.items()}


def past_bounds(figures: dict[str, float]) -> list[str]:
    """A sentence about each figure that is past its bound."""
    return [
        f"{name} is {figures[name]:.2f}, more than {bound}"
        for name, bound in BOUNDS.items()
        if figures.get(name, 0) > bound
    ]


def main(wanted: Iterable[str]) -> int:
    """Run the parts that were asked for, all of them by default. Returns the exit status."""
    parts = [part for part in wanted if part != "--check"] or ["stream", "slow", "start", "rate", "flush"]
    figures: dict[str, float] = {}
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if "stream" in parts:
        print(f"{SEATS} panes, {TOKENS} tokens each, 160 x 45:")
        figures |= table(stream)
    if "slow" in parts:
        print("20 KB/s and 100 ms there and back, 3 panes at 40 tokens/s, key to reaction:")
        figures |= table(slow)
    if "start" in parts:
        print("exec to first frame:")
        figures |= starts()
    if "rate" in parts:
        print(f"the rate recorded of 3 answers at {STEADY_RATE} tokens/s, on the screen at the same time:")
        figures |= rate()
    if "flush" in parts:
        print("ten tokens more of a block of 4,000:")
        figures |= asyncio.run(flush())
    past = past_bounds(figures)
    print("\n".join(past))
    return int("--check" in sys.argv and bool(past))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
