"""Text in the cells of a terminal: letters of Korean, Chinese and Japanese take two of them."""

from __future__ import annotations

from rich.cells import cell_len


def left(text: str, width: int) -> str:
    """The text at the left of `width` cells; a longer one stays as it is."""
    return text + " " * (width - cell_len(text))


def right(text: str, width: int) -> str:
    """The text at the right of `width` cells; a longer one stays as it is."""
    return " " * (width - cell_len(text)) + text
