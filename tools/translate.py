"""Collects what the screens say into the translations, and compiles these.

python tools/translate.py    brings each arena.po up to date, and writes the arena.mo beside it

A sentence that is new stands in the .po without a translation until somebody writes it there; one that nobody says any
more is dropped. Marked are the calls of `_`, `N_`, `plural` and `say`, names and tooltips of keys, and NOUNS.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from arena.core.machine import Fits
from arena.core.ratings import Lead, Status
from arena.core.rounds import Outcome, RoundState
from arena.core.telling import LEAD_WORDS, RATES
from arena.core.votes import Kind
from arena.tui.widgets.board_view import View

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for room in ("tui", "core") for path in (ROOT / "src/arena" / room).rglob("*.py"))
LOCALE = ROOT / "src/arena/tui/locale"
DOMAIN = "arena"
NOUNS: tuple[type[StrEnum], ...] = (Status, Lead, Fits, RoundState, Outcome, View)
"""Whose values are shown as words."""
FLAGS = ("named", "interrupted", "missing", "rerolled", "repeated", "damaged", "private")
"""What a round may be marked with, beside the outcomes of its answers."""
VERDICTS = (Kind.ALL_BAD.value, Kind.SKIP.value)
FILTERS = ("tag", "period", "language")
_MARKS = ("_", "N_", "say")
_OF_KEYS = ("description", "tooltip")

Message = str | tuple[str, str]
"""A sentence, or its two forms: of one and of many."""


def collect() -> list[Message]:
    """Every sentence once, in the order of the files."""
    said = [message for path in SOURCES for message in _said_in(path)]
    said += [noun.value for kind in NOUNS for noun in kind]
    return list(dict.fromkeys([*said, *RATES.values(), *LEAD_WORDS.values(), *VERDICTS, *FLAGS, *FILTERS]))


def _said_in(path: Path) -> Iterator[Message]:
    calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        texts = [_text(argument) for argument in call.args]
        if name == "Binding":
            named = {keyword.arg: _text(keyword.value) for keyword in call.keywords}
            yield from filter(None, (*texts[2:3], *(named.get(each) for each in _OF_KEYS)))
        elif name == "plural" and texts[0] and texts[1]:
            yield texts[0], texts[1]
        elif name in _MARKS and texts[0]:
            yield texts[0]


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def read(po: Path) -> Catalog:
    """The translations in that file."""
    with po.open("rb") as file:
        return read_po(file, domain=DOMAIN)


def renew(catalog: Catalog) -> None:
    """Make it hold what `collect` found and nothing else; translations that are there stay, none is guessed."""
    template = Catalog(domain=DOMAIN)
    for message in collect():
        template.add(message)
    catalog.update(template, no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()


def main() -> None:
    """Renew and compile every language."""
    for po in sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        catalog = read(po)
        renew(catalog)
        with po.open("wb") as file:
            write_po(file, catalog, width=120, no_location=True)
        with po.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalog)
        missing = [message.id for message in catalog if message.id and not _is_translated(message.string)]
        print(f"{po.parent.parent.name}: {len(catalog)} sentences, {len(missing)} to translate")
        for each in missing:
            print(f"  {each}", file=sys.stderr)


def _is_translated(string: str | tuple[str, ...] | None) -> bool:
    return bool(string) and all(string)


if __name__ == "__main__":
    main()
