"""Whether the keys of the config can be what they say: every binding that has a name, and who would clash with whom."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from itertools import combinations

from textual.binding import Binding, BindingType
from textual.keys import Keys

from arena.core.errors import UsageError
from arena.tui.app import ArenaApp
from arena.tui.keymap import bound, split, use
from arena.tui.phases import ALLOWED, Phase
from arena.tui.screens.board import BoardScreen
from arena.tui.screens.copy import CopyScreen
from arena.tui.screens.difference import DifferenceScreen
from arena.tui.screens.help import HelpScreen
from arena.tui.screens.history import HistoryScreen
from arena.tui.screens.line import LineScreen
from arena.tui.screens.picker import PickerScreen
from arena.tui.screens.prompts import PromptsScreen
from arena.tui.screens.pull import PullScreen
from arena.tui.screens.table import TableScreen
from arena.tui.screens.variant import VariantScreen
from arena.tui.widgets.answer_pane import AnswerText
from arena.tui.widgets.find_line import FindLine
from arena.tui.widgets.prompt_box import PromptBox

TYPED_INTO = (PromptBox, FindLine.Words, LineScreen, PullScreen, VariantScreen)
"""Where a letter is text."""
_TOGETHER: tuple[tuple[type, ...], ...] = (
    (TableScreen, AnswerText, ArenaApp),
    (HistoryScreen, AnswerText, ArenaApp),
    (BoardScreen, ArenaApp),
    *(
        (kind, ArenaApp)
        for kind in (HelpScreen, PickerScreen, PromptsScreen, CopyScreen, DifferenceScreen, *TYPED_INTO)
    ),
)
"""What hears the same key press."""
LETTERS = frozenset(("space", "comma", *(name for code in range(0x21, 0x7F) for name in split(chr(code)))))
"""What types a character, as Textual calls it: `a`, `question_mark`."""
PREFIXES = {"tmux": "ctrl+b", "screen": "ctrl+a"}
"""What a multiplexer keeps for itself."""
_FLOW = {"ctrl+s": "stops the output of many terminals", "ctrl+q": "starts the output of many terminals again"}


def bindings_of(kind: type) -> list[BindingType]:
    """What a screen or a widget of arena's own binds."""
    found: list[BindingType] = getattr(kind, "BINDINGS", [])
    return found


def all_bindings() -> Iterator[Binding]:
    """Every binding of arena's own, as it is bound now."""
    for kind in dict.fromkeys(kind for group in _TOGETHER for kind in group):
        yield from bound(bindings_of(kind))


def take(keys: Mapping[str, str], where: str = "[keys] of the config") -> None:
    """Bind by these keys from now on. Raises UsageError where a name is unknown, or two actions are on one key."""
    use({})
    known = {binding.id for binding in all_bindings() if binding.id}
    for name, text in keys.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {close[0]}?" if close else "docs/settings.md lists all names."
            raise UsageError(f"{where}: nothing is called '{name}'.", hint)
        for key in split(text) or ("",):
            if not _is_key(key):
                raise UsageError(
                    f"{where}: '{name}' can't be on '{key}'.", 'Write a key such as "x", "f2" or "ctrl+n".'
                )
    meant = clashes()  # the key for finding is that of the pane in focus, by design
    use(keys)
    typed = [each for kind in TYPED_INTO for each in bound(bindings_of(kind)) if each.id in keys]
    letter = next((each for each in typed if each.key in LETTERS or len(each.key) == 1), None)
    clash = min(clashes() - meant, default=None)
    if letter is not None or clash is not None:
        use({})
    if letter is not None:
        raise UsageError(f"{where}: '{letter.id}' can't be on '{letter.key}'.", "A letter is text there.")
    if clash is not None:
        one, other, key = clash
        raise UsageError(f"{where}: '{one}' and '{other}' are both on '{key}'.", "Give one another key.")


def clashes() -> set[tuple[str, str, str]]:
    """Two bindings, by name, that are possible at the same moment on the same key, and the key."""
    found = set()
    for group in _TOGETHER:
        bindings = [binding for kind in group for binding in bound(bindings_of(kind))]
        for one, other in combinations(bindings, 2):
            if one.key == other.key and one.id != other.id and _phases(one) & _phases(other):
                found.add((one.id or "", other.id or "", one.key))
    return found


def _phases(binding: Binding) -> frozenset[Phase]:
    """When a binding of the round screen means something; those of others always do."""
    return ALLOWED.get(binding.action.removeprefix("screen.").partition("(")[0], frozenset(Phase))


def _is_key(key: str) -> bool:
    name = key.removeprefix("ctrl+").removeprefix("shift+") or key
    return len(name) == 1 or name in LETTERS or key in {each.value for each in Keys}


def warnings(environ: Mapping[str, str] | None = None) -> list[str]:
    """What may keep a key of the config from ever arriving here, a sentence each."""
    environ = os.environ if environ is None else environ
    inside = [name for name, variable in (("tmux", "TMUX"), ("screen", "STY")) if environ.get(variable)]
    found = []
    for binding in all_bindings():
        if told := next((name for name in inside if PREFIXES[name] == binding.key), None):
            found.append(f"{binding.key} ({binding.id}) is the prefix of {told}: press it twice, or bind another key.")
        elif binding.key in _FLOW:
            found.append(f"{binding.key} ({binding.id}) {_FLOW[binding.key]}. Another key is safer.")
    return found
