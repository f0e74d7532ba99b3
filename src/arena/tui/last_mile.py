"""The last thing that every line passes on its way to the terminal: no control byte and no link, from any widget.

Texts are cleaned at the boundary already (`core.text`). This filter stands for what gets in behind it: a Markdown
entity that turns into a bidi override, or a widget that shows a text nobody cleaned.
"""

from __future__ import annotations

import re

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_BAD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """The text without C0, C1, bidi controls, tags and surrogates. The one place that knows what they are."""
    return _BAD.sub("", text)


class LastMile(LineFilter):
    """Removes C0, C1, bidi controls, tags and surrogates from every segment, and links from every style."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - Textual's interface
        """The same segments, harmless."""
        return [self._harmless(segment) for segment in segments]

    @staticmethod
    def _harmless(segment: Segment) -> Segment:
        text, style, control = segment
        linked = style is not None and style.link
        if not linked and not _BAD.search(text):
            return segment
        return Segment(harmless(text), style.update_link(None) if style and linked else style, control)
