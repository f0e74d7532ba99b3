"""Markdown as it streams in, rendered to lines. Closed blocks are rendered once; only the open block again.

Rendering everything on every flush costs O(n^2) over an answer, and one widget a block (Textual's Markdown) takes
seconds for 10 KB of short paragraphs. Here the cost of a flush is that of the last block.
"""

from __future__ import annotations

import io
import re
from itertools import pairwise
from typing import ClassVar

from markdown_it import MarkdownIt
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.segment import Segment
from rich.style import Style
from rich.theme import Theme
from textual.strip import Strip

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_FENCE = "```"
_LONG_LINE = re.compile(r"([^\n]{8000})(?=[^\n])")
"""A longer line is broken: laying it out would take too long."""
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


class _PlainHeading(Heading):
    """A heading on the left: no box, no centring, which would jump while it streams."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _SafeMarkdown(Markdown):
    """Rich's Markdown without HTML (it would vanish) and without links that run something."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _PlainHeading}

    def __init__(self, source: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        self.markup = source
        self.parsed = _PARSER.parse(source)


class MarkdownLines:
    """The lines of a growing Markdown text at one width."""

    def __init__(self, width: int, style: Style) -> None:
        """`width` in cells; `style` is what every segment stands on."""
        self._console = Console(
            file=io.StringIO(), width=max(width, 1), force_terminal=True, color_system="truecolor", theme=_THEME
        )
        self._style = style
        self._closed: list[Strip] = []
        self._open_source = ""
        self._open: list[Strip] = []

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._closed) + len(self._open)

    def line(self, y: int) -> Strip | None:
        """Line y, or None behind the end."""
        if y < len(self._closed):
            return self._closed[y]
        y -= len(self._closed)
        return self._open[y] if y < len(self._open) else None

    def feed(self, text: str) -> int:
        """Append clean text. Returns the first line that changed."""
        first_changed = len(self._closed)
        self._open_source += text
        *closed, self._open_source = self._blocks()
        for block in closed:
            self._closed += [*self._render(block), Strip([])]
        self._open = self._render(self._open_source) if self._open_source.strip() else []
        return first_changed

    def _blocks(self) -> list[str]:
        """The open source cut into its blocks: all but the last can't change any more."""
        source = self._open_source
        if source.lstrip().startswith(_FENCE) and source.count(_FENCE) < 2:
            return [source]
        tops = (token for token in _PARSER.parse(source) if token.level == 0 and token.nesting >= 0)
        starts = [token.map[0] for token in tops if token.map]
        lines = source.split("\n")
        edges = [0, *starts[1:], len(lines)]
        blocks = ["\n".join(lines[start:end]) for start, end in pairwise(edges)]
        return [f"{block}\n" for block in blocks[:-1]] + blocks[-1:]

    def _render(self, source: str) -> list[Strip]:
        source = _LONG_LINE.sub(r"\1\n", source)
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
