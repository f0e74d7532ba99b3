"""Two screens of cells: the one that is wanted and the one that the terminal shows. A frame is what differs.

Textual sends whole regions again when a line of them has changed, each piece with its colours set and reset. Here only
the cells that differ are sent, colours are changed only where they change, and every run says in which column it
stands. A character on whose width terminals disagree can spoil no more than its own cells: they are blanked first,
what it may have reached over is sent again, and what follows says its column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.color import ColorSystem
from rich.segment import Segment

from arena.tui.wire.clusters import clusters
from arena.tui.wire.pens import PLAIN, Pen, change, pen_of

Cell = tuple[str, Pen, int, int]
"""Text, pen, width, and reach as `clusters` tells it. The second half of a wide character is None."""
Row = list[Cell | None]
_BLANK: Cell = (" ", PLAIN, 1, 0)
_GAP = 4
"""So many unchanged cells are sent again rather than jumped over."""
_ERASE_FROM = 8
"""So many blanks are erased rather than sent."""


class _Alphabet(dict[str, Cell]):
    """The ASCII cells of one pen, each made once: comparing rows is then mostly comparing pointers."""

    def __init__(self, pen: Pen) -> None:
        self._pen = pen

    def __missing__(self, character: str) -> Cell:
        cell = self[character] = (character, self._pen.on_blanks if character == " " else self._pen, 1, 0)
        return cell


class Grid:
    """The screen that is wanted, and the one that is shown."""

    def __init__(
        self, width: int, height: int, colors: ColorSystem, *, erases: bool = False, safe: bool = False
    ) -> None:
        """A screen of `width` x `height` cells; what the terminal shows is not known.

        `erases`: the terminal erases in the colour of the background (bce of terminfo). `safe`: see `clusters`.
        """
        self.width, self.height = width, height
        self._colors, self._erases, self._safe = colors, erases, safe
        self._alphabets: dict[Pen, _Alphabet] = {}
        self._wanted: list[Row] = [[_BLANK] * width for _ in range(height)]
        self._shown: list[Row] = []
        self._dirty: set[int] = set()
        self._out: list[str] = []
        self._pen: Pen | None = None
        self._row = self._column = -1
        """Where the cursor is, -1 where nobody knows."""

    def forget(self) -> None:
        """Nobody knows any more what the terminal shows: the next frame clears it and draws everything."""
        self._shown = []

    def paint(self, y: int, x: int, segments: Iterable[Segment]) -> None:
        """Want these segments from column `x` of row `y` on. What does not fit is cut off."""
        if not 0 <= y < self.height or x < 0:
            return
        row = self._wanted[y]
        cells = self._cells(segments)[: max(0, self.width - x)]
        end = x + len(cells)
        if not cells or row[x:end] == cells:
            return
        if row[x] is None and x:  # half of what stood here is gone: so is the other half
            row[x - 1] = self._blank_like(row[x - 1])
        if end < self.width and row[end] is None:
            row[end] = self._blank_like(row[end - 1])
        row[x:end] = cells
        if end == self.width and (last := row[-1]) is not None and last[2] == 2:
            row[-1] = self._blank_like(last)
        self._dirty.add(y)

    def frame(self) -> str:
        """What makes the terminal show what is wanted, '' for nothing. It counts as shown from now on.

        It ends with all colours reset, and the cursor anywhere.
        """
        self._out, self._pen, self._row, self._column = [], None, -1, -1
        if not self._shown:
            self._clear()
        for y in sorted(self._dirty):
            if self._wanted[y] != self._shown[y]:
                self._draw_row(y)
                self._shown[y] = self._wanted[y].copy()
        self._dirty.clear()
        if self._out and self._pen != PLAIN:
            self._out.append("\x1b[0m")
        return "".join(self._out)

    # Cells

    def _cells(self, segments: Iterable[Segment]) -> Row:
        cells: Row = []
        for text, style, control in segments:
            if control:
                continue
            pen = pen_of(style, self._colors)
            if text.isascii() and text.isprintable():
                alphabet = self._alphabets.get(pen)
                if alphabet is None:
                    alphabet = self._alphabets[pen] = _Alphabet(pen)
                cells += [alphabet[character] for character in text]
            else:
                self._add_clusters(cells, text, pen)
        return cells

    def _add_clusters(self, cells: Row, text: str, pen: Pen) -> None:
        for part, width, reach in clusters(text, safe=self._safe):
            if width == 0:
                self._join(cells, part)
            else:
                cells.append((part, pen.on_blanks if part.isspace() else pen, width, reach))
                cells += [None] * (width - 1)

    @staticmethod
    def _join(cells: Row, mark: str) -> None:
        """Add a mark to the cell before."""
        at = len(cells) - 1
        while at > 0 and cells[at] is None:
            at -= 1
        if at >= 0 and mark and (cell := cells[at]) is not None and len(cell[0]) < 8:
            text, pen, width, reach = cell
            cells[at] = (text + mark, pen, width, max(2, width, reach))

    @staticmethod
    def _blank_like(cell: Cell | None) -> Cell:
        return _BLANK if cell is None else (" ", cell[1].on_blanks, 1, 0)

    # Frames

    def _clear(self) -> None:
        """Fill the terminal with the blank that is wanted most, so that blanks need not be sent."""
        blanks = Counter(cell[1] for row in self._wanted for cell in row if cell is not None and cell[0] == " ")
        pen = next((pen for pen, _ in blanks.most_common() if self._can_erase(pen)), PLAIN)
        self._set(pen)
        self._out.append("\x1b[2J")
        self._shown = [[(" ", pen, 1, 0)] * self.width for _ in range(self.height)]
        self._dirty.update(range(self.height))

    def _can_erase(self, pen: Pen) -> bool:
        """Erasing leaves cells in the colour of the background at best, never with attributes."""
        return not pen.attributes and (self._erases or not pen.background)

    def _draw_row(self, y: int) -> None:
        row = self._wanted[y]
        for start, end in self._runs(row, self._shown[y]):
            x = start
            while x < end:
                cell = row[x] or _BLANK
                if cell[0] == " ":
                    x = self._draw_blanks(y, x, end, cell)
                elif cell[3]:
                    x = self._draw_doubtful(y, x, cell)
                else:
                    x = self._draw_text(y, x, end, cell)

    def _runs(self, row: Row, shown: Row) -> list[tuple[int, int]]:
        """The stretches to send, as (start, end): what differs, and what a doubtful character reaches over."""
        runs: list[tuple[int, int]] = []
        begin = end = -1
        reached = 0
        for x, (now, was) in enumerate(zip(row, shown, strict=True)):
            if now == was and x >= reached:
                continue
            if x < end:  # the second half of a character
                continue
            cell = now
            at = x
            if cell is None and x:
                at = x - 1
                cell = row[at]
            width, reach = (1, 0) if cell is None else (cell[2], cell[3])
            if reach:
                reached = max(reached, at + reach)
            if begin < 0:
                begin = at
            elif at > end and not self._bridges(row, end, at):
                runs.append((begin, end))
                begin = at
            end = at + width
        if begin >= 0:
            runs.append((begin, min(end, self.width)))
        return runs

    @staticmethod
    def _bridges(row: Row, end: int, start: int) -> bool:
        """Whether what lies between two runs is cheaper to send again than to jump over."""
        if start - end > _GAP:
            return False
        before = row[end - 1] or row[end - 2]
        return before is not None and all(
            cell is not None and cell[3] == 0 and cell[1] in (before[1], before[1].on_blanks) for cell in row[end:start]
        )

    def _draw_text(self, y: int, x: int, end: int, first: Cell) -> int:
        """Draw the cell at `x`, and what follows in the same pen. Returns the column after it, as the others do."""
        row, pen, text = self._wanted[y], first[1], [first[0]]
        blank = pen.on_blanks
        after = x + first[2]
        while after < end:
            cell = row[after]
            if cell is None or cell[3]:
                break
            if cell[0] == " ":
                if cell[1] != blank or (after + 1 < end and row[after + 1] == cell):
                    break
            elif cell[1] != pen:
                break
            text.append(cell[0])
            after += cell[2]
        self._go(y, x)
        self._set(pen)
        self._out += text
        self._column = after if after < self.width else -1
        return after

    def _draw_doubtful(self, y: int, x: int, cell: Cell) -> int:
        """Its cells are blanked before, and where it ends is not known afterwards."""
        text, pen, width, _ = cell
        self._go(y, x)
        self._set(pen)
        self._out.append(" " * width)
        self._column = -1
        self._go(y, x)
        self._out.append(text)
        self._column = -1
        return x + width

    def _draw_blanks(self, y: int, x: int, end: int, blank: Cell) -> int:
        row, pen, after = self._wanted[y], blank[1], x + 1
        self._go(y, x)
        while after < end and row[after] == blank:
            after += 1
        if after - x >= _ERASE_FROM and self._can_erase(pen):
            if self._pen is None or self._pen.attributes or self._pen.background != pen.background:
                self._set(pen)
            self._out.append("\x1b[K" if after == self.width else f"\x1b[{after - x}X")
            return after
        if self._pen is None or self._pen.on_blanks != pen:
            self._set(pen)
        self._out.append(" " * (after - x))
        self._column = after if after < self.width else -1
        return after

    def _go(self, y: int, x: int) -> None:
        """Always to a column, never by a number of columns: no error of width is carried on."""
        if (self._row, self._column) == (y, x):
            return
        if self._row == y:
            self._out.append(f"\x1b[{x + 1}G")
        else:
            self._out.append(f"\x1b[{y + 1};{x + 1}H")
        self._row, self._column = y, x

    def _set(self, pen: Pen) -> None:
        if self._pen != pen:
            self._out.append(change(self._pen, pen))
            self._pen = pen
