"""How a cell is drawn: the SGR codes of a style, and the shortest way from one to another."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rich.color import Color, ColorSystem
from rich.style import Style

_ATTRIBUTES = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "21", "51", "52", "53")
"""In the order of the bits in which Rich keeps them."""
_ON_BLANKS = frozenset({"4", "7", "9", "21", "51", "52", "53"})
"""Attributes that a blank shows."""
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "6": "25", "7": "27", "8": "28", "9": "29", "21": "24"}
"""What turns an attribute off. The rest, which hardly anything draws, takes a reset."""


class Pen(NamedTuple):
    """The look of a cell, as SGR codes."""

    attributes: tuple[str, ...] = ()
    foreground: str = ""
    """`` is the terminal's own."""
    background: str = ""

    @property
    def codes(self) -> str:
        """All codes, for a terminal that was reset."""
        return ";".join(part for part in (*self.attributes, self.foreground, self.background) if part)

    @property
    def on_blanks(self) -> Pen:
        """What is seen of it where there is no glyph."""
        return _on_blanks(self)


PLAIN = Pen()


@lru_cache(4096)
def _on_blanks(pen: Pen) -> Pen:
    return pen if _ON_BLANKS.intersection(pen.attributes) else Pen(background=pen.background)


@lru_cache(4096)
def pen_of(style: Style | None, colors: ColorSystem) -> Pen:
    """The pen of a Rich style. A link is none of its business: no link reaches the terminal."""
    if style is None:
        return PLAIN
    on = style._attributes & style._set_attributes  # noqa: SLF001 - as Textual's own writer reads it
    attributes = tuple(code for bit, code in enumerate(_ATTRIBUTES) if on & (1 << bit))
    return Pen(attributes, _codes(style.color, colors, ground="39"), _codes(style.bgcolor, colors, ground="49"))


def _codes(color: Color | None, colors: ColorSystem, ground: str) -> str:
    if color is None:
        return ""
    codes = ";".join(color.downgrade(colors).get_ansi_codes(foreground=ground == "39"))
    return "" if codes == ground else codes


@lru_cache(4096)
def change(old: Pen | None, new: Pen) -> str:
    """The shortest sequence from one pen to another; `old` None: nobody knows what is set."""
    if old == new:
        return ""
    afresh = f"0;{new.codes}" if new.codes else "0"
    codes = None if old is None else _steps(old, new)
    return f"\x1b[{afresh if codes is None or len(codes) >= len(afresh) else codes}m"


def _steps(old: Pen, new: Pen) -> str | None:
    """The codes that lead from one to another without a reset, None where there is no such way."""
    gone = [code for code in old.attributes if code not in new.attributes]
    if any(code not in _OFF for code in gone):
        return None
    off = dict.fromkeys(_OFF[code] for code in gone)
    kept = [code for code in old.attributes if code in new.attributes and _OFF.get(code) not in off]
    codes = [*off, *(code for code in new.attributes if code not in kept)]
    if new.foreground != old.foreground:
        codes.append(new.foreground or "39")
    if new.background != old.background:
        codes.append(new.background or "49")
    return ";".join(codes)
