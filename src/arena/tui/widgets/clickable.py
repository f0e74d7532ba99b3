"""Words that can be clicked. There is a key for everything that they do."""

from __future__ import annotations

from textual.content import Content
from textual.style import Style


def clickable(text: str, style: str, action: str) -> Content:
    """`text` in that style; a click on it does the action, such as `screen.pane(0)`."""
    return Content.styled(text, style).stylize(Style.from_meta({"@click": action}))
