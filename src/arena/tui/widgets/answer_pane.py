"""The pane of one seat: a label, the answer as it grows, and what is known of it afterwards."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import Static

from arena.core.text import clean, clean_line
from arena.tui.keymap import rebound
from arena.tui.language import _

if TYPE_CHECKING:
    from arena.tui.widgets.finding import Found
    from arena.tui.widgets.markdown_lines import MarkdownLines

JUMPS, SLOW_JUMPS = 3, 2
"""A pane that follows the end moves by a third of its height, on a slow line by half: each time it is sent anew."""

_NOTHING = Strip([])
_PIECE, _LOOK = 128, 1000
"""Characters that are laid out before another look at the clock, and that are looked through for something to read."""
_AT_ONCE_S, _PAUSE_S = 0.015, 0.03
"""So long may a pane lay out before it lets others in, and for how long: a key is not held up by a megabyte."""

_HIDDEN_WIDTH = 80
"""At which a pane that is not shown is laid out: at its own, none, every word would be broken."""


class AnswerText(ScrollView, can_focus=True):
    """The text of one answer, drawn line by line. It follows the end, in jumps, until somebody scrolls up."""

    # `scroll`, not `auto`: Textual scrolls only where a scrollbar is shown, and `auto` shows it a layout too late.
    # It takes no room: each new line would repaint it, and the header says what is hidden.
    DEFAULT_CSS = "AnswerText { height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-size: 0 0; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False, id="text.down"),
        Binding("k", "scroll_up", "Up", show=False, id="text.up"),
        Binding("g", "scroll_home", "Top", show=False, id="text.top"),
        Binding("G", "scroll_end", "End", show=False, id="text.end"),
    ]

    class Moved(Message):
        """The part that is seen has changed."""

    def __init__(self) -> None:
        """An empty answer."""
        super().__init__()
        self._bindings = rebound(self._bindings)
        self._turns = [("", "")]
        """Question, cleaned, and answer, raw, of each."""
        self._lines: MarkdownLines | None = None
        self._turn = self._at = 0
        """How far they are laid out: the turn, and how many characters of its answer."""
        self._later: Timer | None = None
        """Runs while there is more to lay out."""
        self._seeks = False
        """Whether somebody wanted to see the beginning of a turn that is not laid out."""
        self._begins = 0
        """The line at which the last turn begins."""
        self._follows = True
        self._room = 0
        """Lines that it has made room for while it grows, 0 once it is complete."""
        self._ground = Style()
        """What every line stands on."""
        self._words = ""
        """What is looked for."""
        self._found: Found | None = None
        """Where it stands; None: in other lines than those of now."""
        self._current = -1
        """The match that one has gone to."""

    @property
    def text(self) -> str:
        """What was said in the last turn, cleaned."""
        return clean(self._turns[-1][1])

    @property
    def is_empty(self) -> bool:
        """Whether nothing of what was said in the last turn can be seen."""
        said = self._turns[-1][1]
        return not any(clean(said[at : at + _LOOK]).strip() for at in range(0, len(said), _LOOK))

    @property
    def hidden_below(self) -> bool:
        """Whether there are lines below the part that is seen."""
        return self._lines is not None and self.scroll_offset.y + self.size.height < len(self._lines)

    def clear(self) -> None:
        """Empty the pane."""
        self._turns, self._begins, self._follows, self._seeks = [("", "")], 0, True, False
        self._relay()

    def divide(self, question: str) -> None:
        """Begin a further turn below a rule with what was asked; it is cleaned here."""
        self._turns.append((clean_line(question, 200), ""))
        self._follows = True
        self._lay_out()
        self.to_the_turn()
        self.refresh()
        self.post_message(self.Moved())

    def to_the_turn(self) -> None:
        """Scroll to where the last turn begins."""
        self._seeks = not self._is_laid_out
        self.scroll_to(y=self._begins, animate=False, immediate=True, force=True)

    def append(self, text: str) -> None:
        """Add raw text of a model; it is cleaned here."""
        question, said = self._turns[-1]
        self._turns[-1] = question, said + text
        self._lay_out(grows=True)

    def complete(self) -> None:
        """Nothing more is coming: no room is kept for it."""
        self._room = 0
        self._fit()
        if self._follows:
            self._to_the_end()

    def replace(self, texts: Sequence[str]) -> None:
        """Show these raw texts instead, one a turn, from where the reader is; they are cleaned here."""
        questions = (question for question, _ in self._turns)
        self._turns = list(zip(questions, texts, strict=True))
        self._relay()
        self.post_message(self.Moved())

    def find(self, words: str) -> None:
        """Mark these words wherever they stand; '' marks nothing."""
        self._words, self._found, self._current = words, None, -1
        self.refresh()

    @property
    def matches(self) -> int:
        """How often they stand there."""
        return len(self._matches.lines)

    def go_to_match(self, index: int) -> None:
        """Show a match in the middle of the pane, and mark it as the one that is meant; -1: it is in another pane."""
        self._current = index
        if 0 <= index < self.matches:
            at = self._matches.lines[index] - self.size.height // 2
            self.scroll_to(y=max(0, at), animate=False, immediate=True, force=True)
        self.refresh()

    @property
    def _matches(self) -> Found:
        if self._found is None:
            from arena.tui.widgets.finding import Found  # noqa: PLC0415 - likewise

            self._found = Found(self._words, self._laid_out().texts)
        return self._found

    def render_line(self, y: int) -> Strip:
        """Line y of the part that is seen."""
        y += self.scroll_offset.y
        strip = self._laid_out().line(y) or _NOTHING
        if self._words:
            strip = self._matches.mark(y, strip, self._current)
        return strip.crop_extend(0, self.size.width, self._ground)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a part of it. They bring their colours, and keep what was made of them: none is drawn twice."""
        background = self.background_colors[1]
        strips = [self.render_line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def on_resize(self, event: Resize) -> None:
        """Wrap again at the new width."""
        if event.size.width:
            self._relay()
            if self._current >= 0:
                self.go_to_match(self._current)
        self.post_message(self.Moved())

    def notify_style_update(self) -> None:
        """Colours are part of the laid-out lines: lay them out again with the new ones."""
        super().notify_style_update()
        if self._lines is not None and self.rich_style != self._ground:
            self._relay()

    def watch_scroll_y(self, old: float, new: float) -> None:
        """Tell the pane's header how much is hidden."""
        super().watch_scroll_y(old, new)
        self._follows = self.scroll_offset.y >= self.max_scroll_y
        self.post_message(self.Moved())

    def _make_room(self, lines: int) -> None:
        """Have room for so many lines, and for some more where that takes a jump."""
        room = max(self._room, self.size.height)
        if lines > room:
            jumps = SLOW_JUMPS if self.app.has_class("-slow-link") else JUMPS
            jump = max(1, self.size.height // jumps)
            self._room = room + math.ceil((lines - room) / jump) * jump

    def _to_the_end(self) -> None:
        if self.scroll_offset.y != self.max_scroll_y:
            self.scroll_end(animate=False, immediate=True, x_axis=False)

    @property
    def _is_laid_out(self) -> bool:
        return self._turn == len(self._turns) - 1 and self._at >= len(self._turns[-1][1])

    def _relay(self) -> None:
        """Lay everything out anew."""
        self._lines, self._room, self._turn, self._at = None, 0, 0, 0
        self._lay_out()
        self.refresh()

    def _laid_out(self) -> MarkdownLines:
        if self._lines is None:
            from arena.tui.widgets.markdown_lines import MarkdownLines  # noqa: PLC0415 - the first frame needs no Markdown

            self._ground = self.rich_style
            self._lines = MarkdownLines(self.size.width or _HIDDEN_WIDTH, self._ground)
        return self._lines

    def _lay_out(self, *, grows: bool = False) -> None:
        """Go on laying out for a while; what is left then has its turn a little later."""
        lines, hidden = self._laid_out(), self.hidden_below
        first, until = len(lines), time.thread_time() + _AT_ONCE_S
        while not self._is_laid_out and time.thread_time() < until:
            said = self._turns[self._turn][1]
            if self._at < len(said):
                first = min(first, lines.feed(clean(said[self._at : self._at + _PIECE])))
                self._at = min(self._at + _PIECE, len(said))
            else:
                self._turn, self._at = self._turn + 1, 0
                self._begins = lines.divide(self._turns[self._turn][0])
        if grows or self._room:
            self._make_room(len(lines))
        self._fit()
        if self._seeks and self._is_laid_out:
            self.to_the_turn()
        elif self._follows:
            self._to_the_end()
        self.refresh_lines(first, max(1, self.virtual_size.height - first))
        if self.hidden_below is not hidden:
            self.post_message(self.Moved())
        if self._later is not None:
            self._later.stop()
        self._later = None if self._is_laid_out else self.set_timer(_PAUSE_S, self._lay_out)

    def _fit(self) -> None:
        """Say how far one can scroll. There is no scrollbar to draw, so the screen need not be laid out anew."""
        self._found = None
        height = max(len(self._laid_out()), self._room, self.size.height)
        self.set_reactive(AnswerText.virtual_size, Size(self.size.width, height))


class AnswerPane(Vertical):
    """Label, answer, and after the reveal the name above and the figures below."""

    def __init__(self, label: str) -> None:
        """`label` is A, B or C."""
        super().__init__(id=f"pane-{label.lower()}", classes="pane")
        self.label = label
        self._about = Content("")
        self._head = Content("")

    def compose(self) -> ComposeResult:
        """Header, text, footer."""
        yield Static(markup=False, classes="pane-header")
        yield AnswerText()
        yield Static(markup=False, classes="pane-footer")

    def on_mount(self) -> None:
        """Show the label."""
        self._draw_header()

    @property
    def answer(self) -> AnswerText:
        """The text inside."""
        return self.query_one(AnswerText)

    def reveal(self, name: Content, figures: Content) -> None:
        """Say who it was. `name` goes into the header, `figures` below the answer."""
        self._about = name
        self.add_class("-revealed")
        self.query_one(".pane-footer", Static).update(figures)
        self._draw_header()

    def tell(self, sentence: str) -> None:
        """Put a sentence of arena's own below the answer, such as why it failed."""
        self.add_class("-told")
        self.query_one(".pane-footer", Static).update(Content(sentence))

    def on_click(self) -> None:
        """A click anywhere in the pane is meant for its text."""
        self.answer.focus()

    def clear_told(self) -> None:
        """Take that sentence away."""
        self.remove_class("-told")

    def on_answer_text_moved(self) -> None:
        """Keep the mark for hidden lines right."""
        self._draw_header()

    def _draw_header(self) -> None:
        more = Content.styled("  ↓ " + _("more"), "$text-muted") if self.answer.hidden_below else Content("")
        head = Content.assemble((f" {self.label} ", "bold reverse"), " ", self._about, more)
        if head != self._head:  # writing it lays the screen out anew
            self._head = head
            self.query_one(".pane-header", Static).update(head)
