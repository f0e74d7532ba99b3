"""A Markdown table as it grows. A row is laid out once, and again only when a column has got another width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from markdown_it.token import Token
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

_STYLES = {"strong_open": Style(bold=True), "em_open": Style(italic=True), "s_open": Style(strike=True)}
_CODE, _LINK = Style(bold=True), Style(underline=True)
_MOST_COLUMNS = 30
"""More are not shown."""


class TableLines:
    """The lines of one table at one width."""

    def __init__(self, console: Console, style: Style) -> None:
        """An empty table as wide as the console; `style` is what every segment stands on."""
        self._console, self._style = console, style
        self._sources: list[str] = []
        self._cells: list[list[Text]] = []
        self._strips: list[list[Strip]] = []
        self._widths: list[int] = []
        self._aligns: list[str] = []

    def show(self, tokens: Sequence[Token], lines: Sequence[str]) -> list[Strip]:
        """Lay out a table: its tokens from `table_open` to `table_close`, and all lines of their source.

        Rows that were there the last time are taken over.
        """
        rows = list(_rows(tokens))
        sources = [lines[line] for line, _ in rows]
        aligns = [str(cell.attrGet("style") or "") for cell in tokens if cell.type == "th_open"]
        pairs = enumerate(zip_longest(sources, self._sources))
        same = next((at for at, (now, before) in pairs if now != before), len(rows)) if aligns == self._aligns else 0
        self._sources, self._aligns = sources, aligns
        del self._cells[same:], self._strips[same:]
        self._cells += [[_text(cell) for cell in cells[:_MOST_COLUMNS]] for _, cells in rows[same:]]
        widths = self._fitting()
        if widths != self._widths:
            self._widths, self._strips = widths, []
        for at in range(len(self._strips), len(self._cells)):
            self._strips.append(self._row(self._cells[at], Style(bold=True) if at == 0 else Style.null()))
        rule = Strip([Segment(f" {'─' * (sum(widths) + 2 * len(widths) - 2)} ", self._style + Style(dim=True))])
        head, *body = self._strips
        return [*head, rule, *(strip for row in body for strip in row)]

    def _fitting(self) -> list[int]:
        """How wide each column is: as its widest cell, or less where they don't fit beside each other."""
        most = self._console.width
        widths = [max(1, *(min(most, cell.cell_len) for cell in column)) for column in zip(*self._cells, strict=True)]
        room = most - 2 * len(widths)
        while sum(widths) > room and max(widths) > 1:
            widths[widths.index(max(widths))] -= 1
        return widths

    def _row(self, cells: Sequence[Text], style: Style) -> list[Strip]:
        columns = [self._wrapped(cell, width) for cell, width in zip(cells, self._widths, strict=True)]
        ground = self._style + style
        blank = Segment(" ", ground)
        strips = []
        for pieces in zip_longest(*columns, fillvalue=Text("")):
            segments: list[Segment] = []
            for piece, width, align in zip(pieces, self._widths, self._aligns, strict=False):
                gap = max(0, width - piece.cell_len)
                left = gap if "right" in align else gap // 2 if "center" in align else 0
                segments += [Segment(" " * (1 + left), ground), *self._segments(piece, ground)]
                segments += [Segment(" " * (gap - left), ground), blank]
            strips.append(Strip([segment for segment in segments if segment.text]))
        return strips

    def _wrapped(self, cell: Text, width: int) -> list[Text]:
        return [cell] if cell.cell_len <= width else list(cell.wrap(self._console, width))

    def _segments(self, piece: Text, ground: Style) -> list[Segment]:
        if not piece.spans:
            return [Segment(piece.plain, ground)]
        return [Segment(text, ground + style if style else ground) for text, style, _ in piece.render(self._console)]


def _rows(tokens: Sequence[Token]) -> Iterator[tuple[int, list[Token]]]:
    """Each row as its line and its cells, the head first."""
    row: list[Token] = []
    line = 0
    for token in tokens:
        if token.type == "tr_open":
            row, line = [], token.map[0] if token.map else 0
        elif token.type == "inline":
            row.append(token)
        elif token.type == "tr_close":
            yield line, row


def _text(cell: Token) -> Text:
    """What is written in a cell."""
    text = Text(end="")
    styles: list[Style] = []
    targets: list[str] = []
    for token in cell.children or ():
        if token.type == "link_open":
            targets.append(str(token.attrGet("href") or ""))
        elif token.type == "link_close":
            text.append(f" ({targets.pop()})", _LINK)
        elif token.type in _STYLES:
            styles.append(_STYLES[token.type])
        elif token.type.endswith("_close"):
            styles.pop()
        else:
            said = " " if token.type in ("softbreak", "hardbreak") else token.content
            worn = [*styles, _CODE] if token.type == "code_inline" else styles
            text.append(said, Style.combine(worn) if worn else None)
    return text
