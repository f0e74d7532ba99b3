"""Markdown as it streams in, rendered to lines. Closed blocks are rendered once; only the open block again.

Rendering everything on every flush costs O(n^2) over an answer, and one widget a block (Textual's Markdown) takes
seconds for 10 KB of short paragraphs. Here the cost of a flush is that of the last block, and no block is larger than a
page: what a stranger writes without an end is broken, as a printer would.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.segment import Segment
from rich.style import Style
from rich.theme import Theme
from textual.strip import Strip

from arena.core.text import clean
from arena.tui.language import _
from arena.tui.widgets.table_lines import TableLines

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_FENCE_OPENS = re.compile(r"`{3,}[^`\n]*(?=\n|$)")
_FENCE_CLOSES = re.compile(r"\n {0,3}`{3,}[ \t]*(?=\n|$)")
_ITEM_NUMBER = re.compile(r"^(\s*)\d{1,9}")
_PAGE_CHARS, _PAGE_MARKS = 6000, 300
"""A block with more characters, or more of those that mean something in Markdown, is closed and goes on as another."""
_MARKS = "*_`[]!<>&|~\\\n"
_HEAD_CHARS, _HEAD_MARKS = 500, 80
"""The most of both that the head of a table or of a fence may have to be repeated on its next page."""
_TABLE_HEAD = re.compile(r"[^\n]*\|[^\n]*\n[ :|-]*-[ :|-]*\n")
_MOST_LINES = 20_000
"""So many lines of one turn are laid out; nobody reads more, and each takes memory."""
_MOST_COLOURED = 150
"""Lines of code."""
_THEME = Theme(
    {
        "markdown.h1": "bold underline",
        "markdown.h2": "bold",
        "markdown.h3": "bold italic",
        "markdown.code": "bold",
        "markdown.item.bullet": "bold",
        "markdown.item.number": "bold",
        "markdown.link_url": "underline",
        "markdown.hr": "dim",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)


@lru_cache(2)
def _parse(source: str) -> Sequence[Token]:
    """The last block of an answer is looked at twice: for where it ends, and for what it shows.

    Entities are read by the parser, behind the boundary at which text is cleaned: so its words are cleaned again.
    """
    tokens = _PARSER.parse(source)
    for token in tokens:
        for child in token.children or ():
            child.content = clean(child.content)
    return tokens


class _PlainHeading(Heading):
    """A heading on the left: no box, no centring, which would jump while it streams."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Code(CodeBlock):
    """A block of code. A long one stays without colours: the frame in which it closes would take too long."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = str(self.text).rstrip().split("\n")
        if len(lines) <= _MOST_COLOURED:
            yield from super().__rich_console__(console, options)
            return
        for line in lines:
            for piece in _chopped(line, options.max_width):
                yield Segment(piece)
                yield Segment.line()


class _SafeMarkdown(Markdown):
    """Rich's Markdown without HTML (it would vanish) and without links that run something."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _PlainHeading,
        "fence": _Code,
        "code_block": _Code,
    }

    def __init__(self, source: str) -> None:
        # Not through Rich's own: it builds a parser for each block, which costs more than the block.
        self.markup = source
        self.parsed = list(_parse(source))
        self.code_theme = self.inline_code_theme = "ansi_dark"
        self.justify = None
        self.style = "none"
        self.hyperlinks = False
        self.inline_code_lexer = None


class MarkdownLines:
    """The lines of a growing Markdown text at one width."""

    def __init__(self, width: int, style: Style) -> None:
        """`width` in cells; `style` is what every segment stands on."""
        self._console = Console(
            file=io.StringIO(), width=max(width, 1), force_terminal=True, color_system="truecolor", theme=_THEME
        )
        self._style = style
        self._table = TableLines(self._console, style)
        self._closed: list[Strip] = []
        self._open_source = ""
        self._drawn: list[Strip] | None = []
        """The lines of what is open; None: nobody has asked for them since it grew."""
        self._fence: list[Strip] = []
        self._fence_lines = self._fence_strips = 0
        """Of an open fence: how many lines are laid out for good, and how many lines of the pane they take."""
        self._begins = 0
        """The line with which the last turn begins."""
        self._full = False

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._closed) + len(self._open)

    def line(self, y: int) -> Strip | None:
        """Line y, or None behind the end."""
        if y < len(self._closed):
            return self._closed[y]
        y -= len(self._closed)
        return self._open[y] if y < len(self._open) else None

    @property
    def texts(self) -> list[str]:
        """What stands in each line."""
        return [strip.text for strip in (*self._closed, *self._open)]

    def feed(self, text: str) -> int:
        """Append clean text; how long it takes grows with its length. Returns the first line that changed."""
        first_changed = len(self._closed)
        if self._full:
            return first_changed
        self._open_source += text
        self._drawn = None
        if not self._in_fence():
            self._fence_lines = 0
            *closed, (self._open_source, _gap) = _blocks(self._open_source)
            for block, gap in closed:
                self._closed += self._render(block)
                if gap:
                    self._closed.append(Strip([]))
        while _is_a_page(self._open_source):
            self._turn_the_page()
        if len(self._closed) - self._begins > _MOST_LINES:
            self._full, self._open_source = True, ""
            told = _("It goes on, and is too long to be shown here.")
            self._closed.append(Strip([Segment(told, self._style + Style(bold=True))]))
        return first_changed

    def divide(self, title: str) -> int:
        """Close whatever is open, and begin anew below a rule with a title. Returns the line of the rule."""
        self._closed += self._open
        self._drawn, self._open_source, self._fence_lines, self._full = [], "", 0, False
        if self._closed:
            self._closed.append(Strip([]))
        rule, strong = self._style + Style(dim=True), self._style + Style(bold=True)
        told = Strip([Segment("── ", rule), Segment(title, strong)]).crop(0, self._console.width)
        self._begins = len(self._closed)
        self._closed += [told, Strip([])]
        return self._begins

    @property
    def _open(self) -> list[Strip]:
        """The lines of the open block."""
        if self._drawn is None:
            if self._in_fence():
                self._drawn = self._draw_fence()
            else:
                self._drawn = self._render(self._open_source) if self._open_source.strip() else []
        return self._drawn

    def _turn_the_page(self) -> None:
        """Close what is open of a block that has no end. A fence and a table go on below their head."""
        source, fenced = self._open_source, self._in_fence()
        found = _FENCE_OPENS.match(source) if fenced else _TABLE_HEAD.match(source)
        head = found[0].rstrip("\n") + "\n" if found else ""
        if len(head) > _HEAD_CHARS or _marks_in(head) > _HEAD_MARKS:
            head = ""
        end = source.rfind("\n") + 1
        if end <= len(head) or end < len(source) - _PAGE_CHARS // 2:
            end = len(source)
        self._closed += self._render(source[:end])
        self._open_source, self._drawn, self._fence_lines = head + source[end:], None, 0

    def _in_fence(self) -> bool:
        return bool(_FENCE_OPENS.match(self._open_source)) and not _FENCE_CLOSES.search(self._open_source)

    def _draw_fence(self) -> list[Strip]:
        """Lay out what is new of a fence that is still open, plainly; it gets its colours when it closes."""
        _opener, *lines = self._open_source.split("\n")
        if self._fence_lines == 0:
            self._fence, self._fence_strips = [], 0
        del self._fence[self._fence_strips :]
        for number in range(self._fence_lines, len(lines)):
            self._fence += self._plain(lines[number])
            if number < len(lines) - 1:  # the last line may still grow
                self._fence_lines, self._fence_strips = number + 1, len(self._fence)
        return self._fence

    def _plain(self, line: str) -> list[Strip]:
        """A line of code, wrapped where it does not fit."""
        return [Strip([Segment(piece, self._style)]) for piece in _chopped(line, self._console.width)]

    def _render(self, source: str) -> list[Strip]:
        tokens = _parse(source)
        opens = [at for at, token in enumerate(tokens) if token.type == "table_open" and token.level == 0]
        if not opens:
            return self._render_text(source)
        lines, shown, begins = source.split("\n"), list[list[Strip]](), 0
        for at in opens:
            ends = next(end for end in range(at, len(tokens)) if tokens[end].type == "table_close")
            first, after = tokens[at].map or (0, 0)
            shown.append(self._render_text("\n".join(lines[begins:first])))
            shown.append(self._table.show(tokens[at:ends], lines))
            begins = after
        shown.append(self._render_text("\n".join(lines[begins:])))
        first_shown, *others = filter(None, shown)
        return [*first_shown, *(strip for part in others for strip in (Strip([]), *part))]

    def _render_text(self, source: str) -> list[Strip]:
        """Everything but tables, which Rich lays out whole with each new row."""
        segments = self._console.render(_SafeMarkdown(source), self._console.options)
        lines = [
            Strip(
                [
                    Segment(text, self._style + style if style else self._style)
                    for text, style, control in line
                    if not control
                ]
            )
            for line in Segment.split_lines(segments)
        ]
        while lines and not lines[-1].text.strip():
            lines.pop()
        while lines and not lines[0].text.strip():
            lines.pop(0)
        return lines


def _is_a_page(source: str) -> bool:
    return len(source) > _PAGE_CHARS or _marks_in(source) > _PAGE_MARKS


def _marks_in(source: str) -> int:
    return sum(map(source.count, _MARKS))


def _chopped(line: str, width: int) -> list[str]:
    """A line of code in as many pieces as it needs, with a blank on either side."""
    return [f" {piece}" for piece in chop_cells(line.expandtabs(4), max(1, width - 2)) or [""]]


def _blocks(source: str) -> list[tuple[str, bool]]:
    """The blocks of a text, and whether a blank line follows each: all but the last can't change any more.

    Each item of a list is a block of its own, so that a long list is not laid out again with every word; an ordered
    item gets the number that it has in its list.
    """
    tokens = _parse(source)
    starts: list[tuple[int, int | None, bool]] = []  # line, number in its list, whether it goes on with a list
    number: int | None = None
    for token in tokens:
        if token.map is None or token.nesting < 0:
            continue
        if token.level == 0 and token.type.endswith("_list_open"):
            number = int(token.attrGet("start") or 1) if token.type == "ordered_list_open" else None
            fresh = True
        elif token.level == 1 and token.type == "list_item_open":
            starts.append((token.map[0], number, not fresh))
            fresh = False
            number = None if number is None else number + 1
        elif token.level == 0:
            starts.append((token.map[0], None, False))
    lines = source.split("\n")
    for line, its_number, _goes_on in starts:
        if its_number is not None:
            lines[line] = _ITEM_NUMBER.sub(rf"\g<1>{its_number}", lines[line], count=1)
    # The last line may still turn out to be something else than it looks like: a fence may be the code of a sentence.
    starts = [start for start in starts if start[0] < len(lines) - 1]
    edges = [0, *(start[0] for start in starts[1:]), len(lines)]
    blocks = ["\n".join(lines[start:end]) for start, end in pairwise(edges)]
    gaps = [not start[2] for start in starts[1:]]
    return [*((f"{block}\n", gap) for block, gap in zip(blocks[:-1], gaps, strict=True)), (blocks[-1], False)]
