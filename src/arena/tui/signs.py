"""Signs for terminals that draw ASCII only: the one table of what stands for which sign, cell for cell."""

from __future__ import annotations

import unicodedata

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SIGNS = {
    "…": "~",
    "·": "-",
    "•": "*",
    "±": "~",
    "°": " ",
    "–": "-",
    "—": "-",
    "×": "x",
    "≈": "~",
    "⇄": "=",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "›": ">",
    "»": ">",
    "←": "<",
    "→": ">",
    "↑": "^",
    "↓": "v",
    "⏎": "<",
    "⌫": "<",
    "␣": "_",
    "▲": "+",
    "▼": "-",
    "▾": "v",
    "▸": ">",
    "▶": ">",
    "○": "-",
    "◐": "@",
    "●": "O",
    "★": "*",
    "✓": "v",
    "✗": "x",
    "✉": "#",
    "╱": "/",
    "╲": "\\",
    "╳": "X",
    "◌": ".",
    "↳": ">",
    "▁": "_",
    "▔": "-",
    "▏": "|",
    "▎": "|",
    "▊": "|",
    "▕": "|",
    "🔎": "> ",
}
_DRAWN = range(0x2500, 0x25A0)
"""Box drawing and blocks."""
_DOTS = range(0x2800, 0x2900)
"""Braille, of which spinners are made."""


def _sign(character: str) -> str:
    """What stands for a box glyph, a block or a pattern of dots."""
    name = unicodedata.name(character)
    if "SHADE" in name:
        return "."
    if "BLOCK" in name or "QUADRANT" in name:
        return "#"
    if "BRAILLE" in name:
        return "*"
    if " AND " in name:
        return "+"
    lies, dashed = name.endswith(("HORIZONTAL", " LEFT", " RIGHT")), "DASH" in name
    if "HEAVY" in name or ("DOUBLE" in name and not dashed):
        return ("~" if dashed else "=") if lies else "#"
    return "-" if lies else (":" if dashed else "|")


ASCII = {ord(sign): plain for sign, plain in _SIGNS.items()}
ASCII |= {code: _sign(chr(code)) for code in (*_DRAWN, *_DOTS) if code not in ASCII}


class AsciiSigns(LineFilter):
    """Draws borders, bars and signs in ASCII. Letters stay: what a model says in Korean is still Korean."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - Textual's interface
        """The same segments with other signs, as wide as before."""
        return [
            segment
            if segment.text.isascii()
            else Segment(segment.text.translate(ASCII), segment.style, segment.control)
            for segment in segments
        ]
