"""Prompt packs: the collections of prompts that come with arena, and those a user puts beside them.

A pack is a TOML file with `[[prompts]]`, or a Markdown file with a `+++` TOML head in which every `## Title` section is
one prompt. A user's pack replaces the shipped one of the same name. Every fault is a PackError that names the file and
the key or the line, and a faulty pack never hides the good ones: `shelf` returns both.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Any

from arena.core.errors import ArenaError
from arena.core.prompts import Pack, Prompt
from arena.core.text import clean, clean_line

SHIPPED = ("general", "coding", "reasoning", "writing", "korean", "demo")
"""The packs that come with arena, in the order they are shown. Their names are also the tags of the leaderboard."""

MAX_BYTES = 1024 * 1024
"""A larger file is taken for something else than a pack."""

_HEAD_KEYS = ("name", "title", "description", "tags", "language", "system", "store", "prompts")
_PROMPT_KEYS = ("slug", "title", "text", "system", "tags", "language")
_NAME = re.compile(r"[^\W_][\w-]{0,63}")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*)?")
_SECTION = re.compile(r" {0,3}##(?=[ \t]|$)")
_FENCE = re.compile(r" {0,3}(?P<marks>`{3,}|~{3,})(?P<rest>.*)")
_Drafts = tuple[dict[str, Any], list[tuple["_Place", dict[str, Any]]]]  # The head, and the prompts with their places.


class PackError(ArenaError):
    """A pack that can't be read: which file (`source`), where in it, and what to do."""

    def __init__(self, source: str, where: str, problem: str, hint: str) -> None:
        """`where` is a line or a prompt and may be empty; `problem` has no full stop yet."""
        place = ", ".join(filter(None, (clean_line(source, 500), where)))
        super().__init__(f"{place}: {problem}.", hint)
        self.source = source


@dataclass(frozen=True, slots=True)
class PackShelf:
    """Every pack that could be read, and what is wrong with the others."""

    packs: tuple[Pack, ...]
    faults: tuple[PackError, ...]


def shelf(user_dir: Path | None = None) -> PackShelf:
    """The shipped packs and the user's own, which replace shipped ones of the same name; and every fault."""
    faults: list[PackError] = []
    found = _folder(_shipped_folder(), faults)
    if not found:
        faults.append(PackError("arena", "", "its own prompt packs are missing", "Install arena again."))
    found |= _folder(user_dir, faults) if user_dir else {}
    order = sorted(found, key=lambda key: (SHIPPED.index(key) if key in SHIPPED else len(SHIPPED), key))
    return PackShelf(tuple(found[key] for key in order), tuple(faults))


def packs(user_dir: Path | None = None) -> list[Pack]:
    """The packs that can be read. `shelf` also says what is wrong with the others."""
    return list(shelf(user_dir).packs)


def pack(name: str, user_dir: Path | None = None) -> Pack:
    """The pack of that name, in any case. Raises ArenaError when it is unknown, or what is wrong with its file."""
    everything = shelf(user_dir)
    found = {_key(each.name): each for each in everything.packs}
    for fault in everything.faults:  # A shipped pack must not stand in silently for the user's broken one.
        if _slugified(Path(fault.source).stem) == _slugified(name):
            raise fault
    if _key(name) in found:
        return found[_key(name)]
    hint = _did_you_mean(name, found) or f"There are: {', '.join(found)}."
    if everything.faults:
        hint += f" One can't be read: {everything.faults[0].sentence}"
    raise ArenaError(f"There is no prompt pack '{clean_line(name, 80)}'.", hint)


def find_prompt(slug: str, user_dir: Path | None = None) -> Prompt:
    """The prompt `pack/slug`, or `slug` alone where only one pack has it. Raises ArenaError."""
    name, slash, short = _key(slug).rpartition("/")
    among = [pack(name, user_dir)] if slash else packs(user_dir)
    known = {_key(prompt.slug): prompt for each in among for prompt in each.prompts}
    same = [key for key in known if key.rpartition("/")[2] == short]
    if len(same) == 1:
        return known[same[0]]
    if same:
        raise ArenaError(f"The prompt '{clean_line(short, 80)}' is in several packs.", f"Write {' or '.join(same)}.")
    hint = _did_you_mean(short, [key.rpartition("/")[2] for key in known]) or "`arena prompts` lists what there is."
    raise ArenaError(f"There is no prompt '{clean_line(slug, 80)}'.", hint)


def read_pack(file: Traversable) -> Pack:
    """The pack in that file (a Path will do). Raises PackError."""
    place = _Place(str(file))
    text = _text(file, place)
    head, drafts = (_markdown if file.name.lower().endswith(".md") else _toml)(text, place)
    name = place.name("name", place.string(head, "name") or _slugified(Path(place.source).stem))
    if not drafts:
        raise place.fault("it holds no prompt", "Add [[prompts]] with a text, or in Markdown a ## section.")
    base = Prompt(
        *("", name, "", place.string(head, "system"), place.tags(head), place.string(head, "language")),
        stored=place.flag(head, "store", default=True),
    )
    prompts: dict[str, Prompt] = {}
    for at, table in drafts:
        prompt = _prompt(at, table, base)
        if prompts.setdefault(_key(prompt.slug), prompt) is not prompt:
            short = prompt.slug.partition("/")[2]
            raise at.fault(f"an earlier prompt has the slug '{short}'", "Give one of the two another slug or title.")
    title = " ".join(place.string(head, "title").split())
    return Pack(name, title or name, place.string(head, "description"), tuple(prompts.values()), place.source)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something stands, to take it out with its type checked and to point at it when it is wrong."""

    source: str
    where: str = ""

    def fault(self, problem: str, hint: str) -> PackError:
        return PackError(self.source, self.where, problem, hint)

    def unreadable(self, error: OSError) -> PackError:
        return self.fault(f"it can't be read ({error.strerror})", "See that it is there and that you may read it.")

    def prompt(self, where: str) -> _Place:
        return _Place(self.source, f"prompt {where}")

    def keys(self, table: dict[str, Any], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                hint = _did_you_mean(key, known) or f"The keys are: {', '.join(known)}."
                if known is _PROMPT_KEYS and key in _HEAD_KEYS:
                    hint = f"'{key}' belongs to the pack: write it above the first [[prompts]]."
                raise self.fault(f"the key '{clean_line(key, 80)}' is unknown", hint)

    def string(self, table: dict[str, Any], key: str) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.fault(f"'{key}' must be a string", f'Write {key} = "...", with quotes.')
        if key == "language" and not _LANGUAGE.fullmatch(value.strip()):
            raise self.fault(f"'language' can't be '{clean_line(value, 80)}'", 'Write a code such as "en" or "ko".')
        return value if key == "text" else value.strip()

    def flag(self, table: dict[str, Any], key: str, *, default: bool) -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            raise self.fault(f"'{key}' must be true or false", f"Write {key} = false, without quotes.")
        return value

    def name(self, key: str, value: str) -> str:
        name = unicodedata.normalize("NFC", value)
        if not _NAME.fullmatch(name) or clean(name) != name:
            problem = f"'{key}' can't be '{clean_line(name, 80)}'" if name else f"'{key}' is missing"
            raise self.fault(problem, f"Give a {key} of at most 64 letters, digits, - or _.")
        return name

    def tags(self, table: dict[str, Any]) -> tuple[str, ...]:
        value = table.get("tags", [])
        if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
            raise self.fault("'tags' must be a list of strings", 'Write tags = ["coding"].')
        return tuple(self.name("tags", tag) for tag in value)


def _shipped_folder() -> Traversable:
    """In the package when it was installed from a wheel, beside pyproject.toml in a checkout."""
    inside, root = resources.files("arena") / "prompts", Path(__file__).resolve().parents[2]
    return root / "prompts" if (root / "pyproject.toml").is_file() and not inside.is_dir() else inside


def _folder(folder: Traversable, faults: list[PackError]) -> dict[str, Pack]:
    """The packs of a folder by the key of their names. No folder, no packs."""
    found: dict[str, Pack] = {}
    try:
        files = sorted(folder.iterdir(), key=lambda file: file.name)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            faults.append(_Place(str(folder)).unreadable(error))
        return found
    # Hidden files are mostly shadows that other systems leave; a README describes packs and is none.
    for file in files:
        if not re.fullmatch(r"(?!\.|readme\.).*\.(toml|md)", file.name, re.IGNORECASE | re.DOTALL):
            continue
        try:
            read = read_pack(file)
        except PackError as fault:
            faults.append(fault)
            continue
        if (first := found.setdefault(_key(read.name), read)) is not read:
            problem = f"the name '{read.name}' is taken by {clean_line(first.source, 500)}"
            faults.append(PackError(read.source, "", problem, 'Give one of the two another name = "...".'))
    return found


def _text(file: Traversable, place: _Place) -> str:
    """What the file holds, with every line break as LF."""
    try:
        if not file.is_file():  # A pipe would be waited on for ever.
            raise place.fault("it is not a regular file", "Move it out of the folder of the packs.")
        with file.open("rb") as stream:
            data: bytes = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise place.unreadable(error) from error
    if len(data) > MAX_BYTES:
        raise place.fault("it is larger than 1 MiB", "Split it into several packs.")
    try:
        return data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        where = "line " + str(data[: error.start].count(b"\n") + 1)
        raise PackError(place.source, where, "it is not UTF-8", "Save it as UTF-8, not CP949 or UTF-16.") from error


def _parsed(text: str, place: _Place, first_line: int = 1) -> dict[str, Any]:
    """A TOML document that begins on that line of its file."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, at = str(error).removesuffix(")").rpartition(" (at ")
        line = int(at.split()[1].strip(",")) if at.startswith("line ") else text.rstrip("\n").count("\n") + 1
        hint = "Look at that line: a text over several lines needs three quotes at both ends, a list its brackets."
        problem = f"it is not TOML ({clean_line(what)})"
        raise PackError(place.source, f"line {line + first_line - 1}", problem, hint) from error
    except (ValueError, RecursionError) as error:  # A number of thousands of digits; brackets a thousand deep.
        raise place.fault("a number or a nesting in it is out of bounds", "Keep to strings and lists.") from error


def _toml(text: str, place: _Place) -> _Drafts:
    head = _parsed(text, place)
    place.keys(head, _HEAD_KEYS)
    tables = head.get("prompts", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise place.fault("'prompts' must be a list of tables", "Write [[prompts]] above every prompt.")
    where = [
        f"at line {number}"
        for number, line in enumerate(text.split("\n"), 1)
        if line.partition("#")[0].strip() == "[[prompts]]"
    ]
    if len(where) != len(tables):  # A text holds such a line, or the list is written in another way.
        where = [str(number) for number in range(1, len(tables) + 1)]
    return head, list(zip(map(place.prompt, where), tables, strict=True))


def _markdown(text: str, place: _Place) -> _Drafts:
    """What stands between the head and the first section is a note to the reader."""
    lines = text.split("\n")
    marks = [number for number, line in enumerate(lines, 1) if line.rstrip() == "+++"][:2]
    if len(marks) < 2 or any(line.strip() for line in lines[: marks[0] - 1]):
        raise place.fault("its +++ head is missing or has no end", 'Begin with +++, title = "...", +++ on three lines.')
    head = _parsed("\n".join(lines[marks[0] : marks[1] - 1]), place, marks[0] + 1)
    place.keys(head, _HEAD_KEYS[:-1])
    starts: list[int] = []
    fence, opened = "", 0
    for number, line in enumerate(lines[marks[1] :], marks[1] + 1):
        edge = _FENCE.fullmatch(line)
        if fence:  # A line inside a code block is code, whatever it looks like.
            if edge and edge["marks"].startswith(fence) and not edge["rest"].strip():
                fence = ""
        elif edge and not (edge["marks"][0] == "`" and "`" in edge["rest"]):
            fence, opened = edge["marks"], number
        elif _SECTION.match(line):
            starts.append(number)
    if fence:
        hint = f"Close it with a line {fence}."
        raise PackError(place.source, f"line {opened}", "this code block has no end", hint)
    return head, [
        (place.prompt(f"at line {at}"), {"title": lines[at - 1].strip()[2:], "text": "\n".join(lines[at : end - 1])})
        for at, end in pairwise([*starts, len(lines) + 1])
    ]


def _prompt(place: _Place, table: dict[str, Any], base: Prompt) -> Prompt:
    place.keys(table, _PROMPT_KEYS)
    text = re.sub(r"\A(?:[^\S\n]*\n)+", "", place.string(table, "text").rstrip())
    if not text:
        raise place.fault("'text' is missing or empty", "Write what is asked of the models.")
    title = " ".join(place.string(table, "title").split()) or clean_line(text.partition("\n")[0], 40)
    slug = place.name("slug", place.string(table, "slug") or _slugified(title))
    system = place.string(table, "system") or base.system
    tags = tuple(dict.fromkeys((*base.tags, *place.tags(table))))
    language = place.string(table, "language") or base.language
    return Prompt(text, f"{base.slug}/{slug}", title, system, tags, language, stored=base.stored)


def _did_you_mean(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(_key(name), list(names), 1)
    return f"Did you mean '{close[0]}'?" if close else ""


def _slugified(title: str) -> str:
    """A name made from a title or a file: lower case, letters and digits of any script, dashes between."""
    plain = clean(unicodedata.normalize("NFC", title)).lower()
    return "-".join(re.findall(r"\w+", plain))[:64].strip("-_")


def _key(name: str) -> str:
    """What names are compared by: macOS spells Hangul in parts, and nobody remembers capitals."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
