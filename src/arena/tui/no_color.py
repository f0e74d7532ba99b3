"""NO_COLOR taken at its word: no colour at all, where Textual would send shades of grey.

What stood out by its background alone, such as the cursor, is reversed instead.
"""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter


class NoColor(LineFilter):
    """Takes the colours from every segment."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments without colours, reversed where light and dark were."""
        dark = background.brightness < 0.5
        return [
            Segment(text, None if style is None else _without_colors(style, dark=dark), control)
            for text, style, control in segments
        ]


@lru_cache(2048)
def _without_colors(style: Style, *, dark: bool) -> Style:
    plain = style.without_color
    if style.color is None or style.bgcolor is None or style.color.is_default or style.bgcolor.is_default:
        return plain
    ink, paper = (Color.from_rich_color(color).brightness for color in (style.color, style.bgcolor))
    if ink == paper or (paper < ink) == dark:
        return plain
    return plain + Style(reverse=not style.reverse)
