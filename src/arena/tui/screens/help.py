"""Help: what this program does and which keys it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Static

from arena.tui.language import N_, _
from arena.tui.screens.base import Dialog

_SECTIONS = (
    (
        N_("A round"),
        (
            ("Enter", N_("ask all contestants the same thing")),
            ("Tab", N_("an example prompt, in the empty box")),
            ("p", N_("prompt packs: take one prompt, or have a pack played while you judge")),
            ("e", N_("the pace: even, live, or whole")),
            ("Ctrl+J", N_("a new line in the prompt")),
            ("Esc", N_("leave the box: the single keys below work then; i goes back")),
            ("space", N_("show complete answers at once")),
            ("1 2 3  z", N_("go to an answer; one answer over the whole width")),
            ("v", N_("all of a long prompt, and back")),
            ("/", N_("find words in all answers: Enter or ↓ next, ↑ the one before, Esc ends")),
            ("D", N_("compare two answers, sentence by sentence")),
            ("y  Y", N_("copy an answer or its code: to the clipboard; into a file")),
        ),
    ),
    (
        N_("The vote"),
        (
            ("a b c", N_("the best; of three: letters in order, = between equals, Enter for 'best only'")),
            ("A B C", N_("the best, and clearly so")),
            ("t  x  s", N_("tie; none is any good; skip")),
            ("f  R", N_("one more turn with the same sealed models; new answers from them")),
            ("u", N_("take the vote back, until the names come out")),
            ("P", N_("peek: reveal without a vote. The round is never rated")),
            ("d", N_("after the reveal: what they thought before they answered")),
            ("a b c t  o", N_("after the reveal: which would you use, knowing this? A note on the vote")),
        ),
    ),
    (
        N_("The leaderboard"),
        (
            ("1-5  v", N_("standings, pairs, score against cost, your habits, hardware")),
            ("s  a", N_("sort by the next column; hide who can't be reached")),
            ("t  p  g  0", N_("only votes on a tag, of a period, in a language; all again")),
        ),
    ),
    (
        N_("Everywhere"),
        (
            ("m  l  h  w", N_("models, leaderboard, history, rounds that wait for a vote")),
            ("j k g G", N_("scroll an answer")),
            ("Ctrl+O", N_("command palette: everything by name, and the themes")),
            ("q", N_("quit; Ctrl+C too. Nothing is lost")),
        ),
    ),
)
_FAIR = N_(
    "Names, speeds, token counts and thinking stay sealed until the vote is on the disk. Seats and running order are "
    "shuffled independently. All answers are shown at one pace, that of the slowest. The ratings come from your votes "
    "alone, with intervals that say how little thirty votes know."
)


class HelpScreen(Dialog[None]):
    """One page of help."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Back", id="help.back")]

    def __init__(self, now: Iterable[ActiveBinding], shown: Callable[[Binding], str]) -> None:
        """`now`: the keys that mean something on the screen behind; `shown` says how a key is called."""
        super().__init__()
        self._now = _described(now, shown)

    def compose(self) -> ComposeResult:
        """The page."""
        with VerticalScroll(id="help", classes="dialog"):
            yield Static(_page(self._now), markup=False)
        yield Footer(show_command_palette=False)


def _described(now: Iterable[ActiveBinding], shown: Callable[[Binding], str]) -> list[tuple[str, str]]:
    """Keys and what they do, as they are bound now: `n enter`, `Next`."""
    found: dict[str, tuple[list[str], str]] = {}
    for active in now:
        binding = active.binding
        if binding.id and binding.description:
            told = f"{binding.description}: {active.tooltip}" if active.tooltip else binding.description
            found.setdefault(binding.id, ([], told))[0].append(shown(binding))
    return [(" ".join(dict.fromkeys(keys)), told) for keys, told in found.values()]


def _page(now: Sequence[tuple[str, str]]) -> Content:
    lines = [Content.styled(_("Here and now"), "bold $accent")]
    lines += [Content.assemble((f"  {key:<12}", "bold"), told) for key, told in now]
    lines.append(Content(""))
    for title, keys in _SECTIONS:
        lines.append(Content.styled(_(title), "bold $accent"))
        lines += [Content.assemble((f"  {key:<12}", "bold"), _(text)) for key, text in keys]
        lines.append(Content(""))
    lines.append(Content.styled(_(_FAIR), "$text-muted"))
    return Content("\n").join(lines)
