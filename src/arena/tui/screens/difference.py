"""What two answers have in common and what not: beside each other where there is room, else below each other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Static

from arena.tui.differences import Comparison, Words, compare
from arena.tui.language import _, plural
from arena.tui.screens.base import TranslatedKeys

COLUMNS_FROM = 100
"""Columns of the terminal from which the answers stand beside each other."""
_GONE, _NEW = "- ", "+ "


class DifferenceScreen(TranslatedKeys[None]):
    """Two answers compared, by their labels alone. Of three, the digits choose which two."""

    AUTO_FOCUS = "#difference"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "pair(0)", "Which two", key_display="1 2 3", id="difference.first"),
        Binding("2", "pair(1)", show=False, id="difference.second"),
        Binding("3", "pair(2)", show=False, id="difference.third"),
        Binding("j", "scroll(1)", "Down", show=False, id="difference.down"),
        Binding("k", "scroll(-1)", "Up", show=False, id="difference.up"),
        Binding("escape,D", "dismiss", "Back", id="difference.back"),
        Binding("question_mark", "app.help", "Help", id="difference.help"),
    ]

    def __init__(self, answers: Sequence[tuple[str, str]]) -> None:
        """`answers`: label and clean text of two or three."""
        super().__init__()
        self._pairs = list(combinations(answers, 2))
        self._shown = 0
        self._comparison = Comparison((), cut=False)

    def compose(self) -> ComposeResult:
        """What is compared, and the comparison."""
        yield Static(markup=False, id="difference-head")
        with VerticalScroll(id="difference"):
            yield Static(markup=False, id="difference-rows")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Compare the first two."""
        self.action_pair(0)

    def on_resize(self) -> None:
        """Lay out as the width allows."""
        self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Of two answers there is one pair."""
        return action != "pair" or len(self._pairs) > 1

    def action_pair(self, index: int) -> None:
        """Compare other two."""
        self._shown = index
        self.run_worker(self._compare(), exclusive=True)

    def action_scroll(self, lines: int) -> None:
        """A line down, or up."""
        self.query_one("#difference").scroll_relative(y=lines, animate=False)

    async def _compare(self) -> None:
        (_one, said), (_other, says) = self._pairs[self._shown]
        self._comparison = await asyncio.to_thread(compare, said, says)
        self._draw()

    def _draw(self) -> None:
        (one, _said), (other, _says) = self._pairs[self._shown]
        found = self._comparison
        common = plural("{n} sentence in common.", "{n} sentences in common.", found.in_common)
        cut = _("Only the first part of these long answers is compared.") if found.cut else ""
        head = Content.assemble(
            (f" {one} ", "bold reverse"),
            (f" {_GONE}", "bold"),
            (f" {other} ", "bold reverse"),
            (f" {_NEW}", "bold"),
            (f"  {common}  ", "$text-muted"),
            (cut, "$warning"),
        )
        self.query_one("#difference-head", Static).update(head)
        rows = _columns(found) if self.size.width >= COLUMNS_FROM else _unified(found)
        self.query_one("#difference-rows", Static).update(rows)


def _columns(found: Comparison) -> Table:
    table = Table.grid(expand=True)
    for ratio in (None, 1, None, None, 1):
        table.add_column(ratio=ratio)
    for row in found.rows:
        marks = ("  ", "  ") if row.same else (_GONE if row.one else "  ", _NEW if row.other else "  ")
        table.add_row(marks[0], _text(row.one, same=row.same), " │ ", marks[1], _text(row.other, same=row.same))
    return table


def _unified(found: Comparison) -> Table:
    table = Table.grid(expand=True)
    table.add_column()
    table.add_column(ratio=1)
    for row in found.rows:
        if row.same:
            table.add_row("  ", _text(row.one, same=True))
            continue
        for mark, words in ((_GONE, row.one), (_NEW, row.other)):
            if words is not None:
                table.add_row(mark, _text(words, same=False))
    return table


def _text(words: Words | None, *, same: bool) -> Text:
    """A sentence: dim where both have it; what the other one lacks is bold and underlined."""
    text = Text(overflow="fold")
    for piece, differs in words or ():
        text.append(piece, "bold underline" if differs else "dim" if same else "")
    return text
