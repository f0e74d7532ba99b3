"""`arena bench`: what it prints, and how Ctrl+C ends it with what there is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any

from arena.cli.models import contestants
from arena.cli.reports import table
from arena.core.bench import FLAGS, LEFT_OUT, BenchCell, BenchPlan, BenchReport, BenchRun, BenchStep, Spread
from arena.core.errors import ArenaError, UsageError
from arena.core.machine import Machine, human_bytes
from arena.core.text import clean_line, clean_name, counted
from arena.wiring import Arena

_HEARTBEAT_S = 0.2
_NAME = 20
_LINE = 78
_HEAD = ("model", "prompt", "prefill tok/s", "decode tok/s", "ttft ms", "")
_MD_FIGURES = ("prefill tok/s", "quartiles", "spread", "decode tok/s", "quartiles", "spread", "ttft ms")
_MD_HEAD = ("model", "prompt tokens", *_MD_FIGURES, "runs", "notes")
_LEGEND = "Medians and quartiles of at most {runs}. Prefill: prompt tokens per second; decode: (n-1)/(last-first)."


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """The options of `arena bench`."""

    repeats: int = 5
    prompt_tokens: str = "64,512,2048"
    tokens: int = 128
    cooldown: float = 1.0
    form: str = "text"
    """`text`, `json` or `md`."""


def run_bench(
    arena: Arena,
    models: Sequence[str],
    options: BenchOptions,
    print_json: Callable[[object], None],
    echo: Callable[[str], None],
    narrate: Callable[[str], None],
) -> None:
    """Measure and print. Ctrl+C stops after the current run and prints what there is; a second one ends at once.

    Raises KeyboardInterrupt after it was stopped, and ArenaError when a model gave nothing, both after the printing.
    """
    plan = BenchPlan(_lengths(options.prompt_tokens), options.tokens, options.repeats, options.cooldown)
    infos = list({str(info): info for info in contestants(arena, models)}.values())
    if not infos:
        raise UsageError("No model is named.", "Name one with -m; `arena models` lists them.")
    stop = threading.Event()
    measuring = arena.lineup.bench(infos, plan, lambda step: narrate(_step_line(step)), stop.is_set)
    report = _wait(measuring, stop, narrate)
    if options.form == "json":
        print_json(as_json(report))
    else:
        echo(as_markdown(report) if options.form == "md" else as_text(report))
    if report.interrupted:
        raise KeyboardInterrupt
    speechless = {cell.case.model for cell in report.cells} - {cell.case.model for cell in report.cells if cell.runs}
    if broken := [cell for cell in report.cells if cell.error and (not cell.no_room or cell.case.model in speechless)]:
        first = f"{clean_line(broken[0].case.model)} at {broken[0].case.prompt_tokens}: {clean_line(broken[0].error)}"
        raise ArenaError(f"{len(broken)} of {len(report.cells)} cells could not be measured in full.", first)


def as_json(report: BenchReport) -> dict[str, Any]:
    """What `arena bench --json` prints. Fields may be added, never renamed."""
    return {
        "machine": report.machine and _machine_json(report.machine),
        "plan": asdict(report.plan),
        "runs": [_run_json(run) for run in report.runs],
        "cells": [_cell_json(cell) for cell in report.cells],
        "one_at_a_time": report.one_at_a_time,
        "interrupted": report.interrupted,
        "notes": list(report.notes),
    }


def as_text(report: BenchReport) -> str:
    """A table in 80 columns, and what may have touched the figures."""
    rows = [
        (
            clean_name(cell.case.model, _NAME),
            str(cell.case.prompt_tokens),
            _with_quartiles(cell.prefill_tps, cell),
            _with_quartiles(cell.decode_tps, cell),
            _rate(cell.ttft_ms.median) if cell.ttft_ms else "-",
            "*" if cell.flags or cell.error else "",
        )
        for cell in report.cells
    ]
    most = max((cell.runs for cell in report.cells), default=0)
    legend = _LEGEND.format(runs=counted(most, "run"))
    marked = [
        f"{clean_name(cell.case.model, _NAME)} at {cell.case.prompt_tokens}: {_notes_on(cell)}" for cell in report.cells
    ]
    starred = [f"* {line}" for line, cell in zip(marked, report.cells, strict=True) if cell.flags or cell.error]
    told = {name for cell in report.cells for name in cell.flags}
    meanings = [f"{name}: {meaning}" for name, meaning in FLAGS.items() if name in told]
    return "\n".join([table(_HEAD, rows), "", *_wrapped([legend, *starred, *meanings, *report.notes])])


def as_markdown(report: BenchReport) -> str:
    """A Markdown table, with the machine and the notes below it."""
    rows = [_MD_HEAD, ("---",) * len(_MD_HEAD), *[_md_row(cell) for cell in report.cells]]
    lines = ["| " + " | ".join(clean_line(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    here = [_machine_line(report.machine)] if report.machine else []
    notes = [f"- {clean_line(note)}" for note in (*here, *report.notes)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _wait(measuring: Future[BenchReport], stop: threading.Event, narrate: Callable[[str], None]) -> BenchReport:
    """The report. The first Ctrl+C asks it to stop, the second raises KeyboardInterrupt."""
    while True:
        try:
            # in short waits: a signal would not be seen on every system before the future is done
            return measuring.result(_HEARTBEAT_S)
        except TimeoutError:
            if measuring.done():
                raise
        except KeyboardInterrupt:
            if stop.is_set():
                measuring.cancel()
                raise
            stop.set()
            narrate("Stopping after this run. Ctrl+C again ends at once.")


def _lengths(text: str) -> tuple[int, ...]:
    """`64,512` as numbers, each once. Raises UsageError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"'{clean_line(text, 40)}' are no prompt lengths.", "Write tokens, such as 64,512,2048.")
    return tuple(dict.fromkeys(map(int, parts)))


def _step_line(step: BenchStep) -> str:
    name = clean_name(step.model, 40)
    if step.run is None:
        return f"Loading and warming up {name}"
    run, where = step.run, f"{step.number}/{step.total}  {name}  {step.run.case.prompt_tokens}"
    if run.metrics is None:
        return f"{where}: {clean_line(run.error)}"
    flags = f"  ({', '.join(run.flags)})" if run.flags else ""
    return f"{where}: prefill {_rate(run.prefill_tps)}, decode {_rate(run.metrics.decode_tps)} tok/s{flags}"


def _rate(value: float | None) -> str:
    """At most five characters: `9.87`, `98.7`, `987`, `9870`, `98.7k`."""
    if value is None:
        return "-"
    if value >= 9999.5:
        return f"{value / 1000:.1f}k" if value < 99_950 else f"{value / 1000:.0f}k"
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def _with_quartiles(spread: Spread | None, cell: BenchCell) -> str:
    if spread is None:
        return "-"
    about = "~" if "estimate" in cell.flags else ""
    return f"{about}{_rate(spread.median)} {_rate(spread.low)}-{_rate(spread.high)}"


def _notes_on(cell: BenchCell) -> str:
    made = cell.runs + cell.left_out
    all_there_is = not cell.left_out and set(cell.flags) & LEFT_OUT
    notes = [f"{name} {count} of {made}" for name, count in cell.flags.items()]
    notes += [f"{cell.left_out} left out"] * bool(cell.left_out) + ["counted, for want of others"] * bool(all_there_is)
    return ", ".join([*notes, *([cell.error] if cell.error else [])])


def _md_row(cell: BenchCell) -> tuple[str, ...]:
    def three(spread: Spread | None) -> tuple[str, str, str]:
        if spread is None:
            return "-", "-", "-"
        return _rate(spread.median), f"{_rate(spread.low)}-{_rate(spread.high)}", f"{spread.spread:.0%}"

    figures = (*three(cell.prefill_tps), *three(cell.decode_tps), three(cell.ttft_ms)[0])
    return (cell.case.model, str(cell.case.prompt_tokens), *figures, str(cell.runs), _notes_on(cell))


def _wrapped(lines: Sequence[str]) -> list[str]:
    from textwrap import wrap  # noqa: PLC0415

    return [part for line in lines for part in wrap(clean_line(line, 400), _LINE, subsequent_indent="  ")]


def _machine_line(machine: Machine) -> str:
    gpus = [f"{gpu.name} ({human_bytes(gpu.total_bytes)})" for gpu in machine.gpus] or ["no GPU"]
    return f"{machine.cpu_name or 'CPU'}, {machine.cpu_cores} cores, {', '.join(gpus)}"


def _machine_json(machine: Machine) -> dict[str, Any]:
    fields = ("index", "name", "total_bytes", "free_bytes", "utilization", "temperature_c", "power_w", "throttled")
    return {
        "gpus": [{name: getattr(gpu, name) for name in fields} for gpu in machine.gpus],
        "cpu_name": machine.cpu_name,
        "cpu_cores": machine.cpu_cores,
        "cpu_percent": machine.cpu_percent,
        "ram_total_bytes": machine.ram_total_bytes,
        "ram_free_bytes": machine.ram_free_bytes,
        "notes": list(machine.notes),
    }


def _run_json(run: BenchRun) -> dict[str, Any]:
    return {
        "model": run.case.model,
        "prompt_tokens": run.case.prompt_tokens,
        "repeat": run.repeat,
        "prefill_tps": run.prefill_tps,
        "decode_tps": run.metrics and run.metrics.decode_tps,
        "ttft_ms": run.metrics and run.metrics.ttft_ms,
        "metrics": run.metrics and asdict(run.metrics),
        "estimated_prompt_tokens": run.estimated_prompt,
        "flags": list(run.flags),
        "error": run.error,
        "cpu_percent": run.cpu_percent,
        "gpu_percent": run.gpu_percent,
        "gpus": [asdict(gpu) for gpu in run.gpus],
        "cpu_throttled": run.cpu_throttled,
    }


def _cell_json(cell: BenchCell) -> dict[str, Any]:
    def figure(spread: Spread | None) -> dict[str, float] | None:
        if spread is None:
            return None
        quartiles = {"median": spread.median, "low": spread.low, "high": spread.high, "spread": spread.spread}
        return {**quartiles, "min": spread.least, "max": spread.most}

    return {
        "model": cell.case.model,
        "prompt_tokens": cell.case.prompt_tokens,
        "prefill_tps": figure(cell.prefill_tps),
        "decode_tps": figure(cell.decode_tps),
        "ttft_ms": figure(cell.ttft_ms),
        "runs": cell.runs,
        "left_out": cell.left_out,
        "flags": list(cell.flags),
        "flagged": cell.flags,
        "error": cell.error,
    }
