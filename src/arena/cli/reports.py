"""What the commands print: tables for people, JSON for programs. Everything foreign is cleaned here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from arena.core.text import clean, clean_line

if TYPE_CHECKING:
    from arena.core.prompts import Pack
    from arena.packs import PackShelf
    from arena.store.ledger import HistoryLine


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, numbers of cells counted as terminals do."""
    from unicodedata import east_asian_width  # noqa: PLC0415

    def cells(text: str) -> int:
        return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)

    grid = [list(head), *[[clean_line(cell) for cell in row] for row in rows]]
    widths = [max(cells(row[column]) for row in grid) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell + " " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in grid
    )


def history_json(line: HistoryLine) -> dict[str, Any]:
    """One line of `arena history --json`."""
    return {
        "round": line.id,
        "created_at": line.created_at,
        "state": line.state.value,
        "prompt": line.prompt.text,
        "models": list(line.models),
        "verdict": str(line.verdict) if line.verdict else None,
        "flags": list(line.flags),
    }


def history_line(line: HistoryLine) -> str:
    """One line of `arena history`."""
    when = line.created_at[:16].replace("T", " ")
    names = ", ".join(clean_line(name, 40) for name in line.models) or "sealed"
    verdict = str(line.verdict or "-")
    prompt = clean_line(line.prompt.text, 60)
    return f"{line.id}  {when}  {line.state.value:<10} {verdict:<8} {prompt}  [{names}]"


def pack_text(pack: Pack) -> str:
    """All that `arena prompts NAME` says of a pack: every prompt with its name, and its text indented."""
    lines = [f"{clean_line(pack.name)}  {clean_line(pack.title)}", *filter(None, [clean_line(pack.description, 400)])]
    for prompt in pack.prompts:
        tags = f"  [{', '.join(map(clean_line, prompt.tags))}]" if prompt.tags else ""
        lines += ["", f"{clean_line(prompt.slug)}  {clean_line(prompt.title)}{tags}"]
        if prompt.system:
            lines += [f"    (system) {clean_line(prompt.system, 2000)}"]
        lines += [f"    {line}".rstrip() for line in clean(prompt.text).split("\n")]
    return "\n".join(lines)


def packs_text(shelf: PackShelf) -> str:
    """The table of `arena prompts`."""
    rows = [(pack.name, str(len(pack.prompts)), pack.title, pack.description) for pack in shelf.packs]
    return table(("pack", "prompts", "title", ""), rows)
