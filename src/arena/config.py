"""Settings: defaults, then the config file, then ARENA_* variables, then the command line. Frozen once read."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import UsageError
from arena.core.models import Sampling
from arena.core.rounds import Pace, Schedule
from arena.core.text import clean_line
from arena.core.variants import MOST_WHOLE
from arena.remembered import read

_APP = "arena"
_LEAST = {"max_tokens": 1, "context": 16}
_FROM_TO = {"controls": (0.0, 0.5), "reveal_after_s": (0.0, 60.0)}
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_SWITCHES = ("discover", "slow_link", "ascii")
VARIABLES = ("pace", "schedule", "seats", "theme", "lang", "db", "discover", "slow_link", "ascii")
"""Settings that ARENA_NAME in the environment sets."""
_ENDPOINT_KEYS = ("kind", "url", "api_key_env", "silence_s")
NOT_SET = ("state_file", "note")
"""Fields that are no settings."""
_OWN_ENDPOINTS = ("demo", "gguf")
_DAY_S = 86_400
Where = Callable[[str], str]
"""Names the place in which a key was set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. A key of the config file has the name of its field."""

    db: Path = Path()
    """The SQLite file with rounds and votes."""
    prompts_folder: Path = Path()
    """Packs of the user's own."""
    cache_folder: Path | None = None
    """What can be thrown away at any time."""
    gguf_folders: tuple[Path, ...] = ()
    """Searched for .gguf files, with everything below."""
    seats: int = 2
    """Models in a round: 2 or 3."""
    pace: Pace = Pace.EVEN
    """How answers are shown: even, at the pace of the slowest; live, as they come; whole, when all are there."""
    schedule: Schedule = Schedule.AUTO
    """Who runs when: turn, one after another; together; auto, one after another on each device."""
    theme: str = "auto"
    """The colours of the screens, as the command palette lists them; auto: arena-dark, arena-16 where there are 16."""
    ascii: bool | None = None
    """Whether borders and signs are drawn in ASCII; not set: where the terminal has no others."""
    controls: float = 0.02
    """The share of rounds in which one model sits on every seat, to measure the voter's noise; 0: none."""
    reveal_after_s: float = 1.5
    """How long a vote can be taken back on the screen before its names come out; 0: not at all."""
    lang: str = "auto"
    """The language of the screens: en, ko, or auto for that of the locale."""
    slow_link: bool = False
    """Whether the terminal is at the end of a slow line: fewer frames, no animation."""
    discover: bool = True
    """Whether servers are looked for on their usual loopback ports."""
    endpoints: tuple[Endpoint, ...] = ()
    """The tables [endpoints.NAME] of the config file."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The table [keys] of the config file: the name of a binding, and its keys with commas between."""
    state_file: Path | None = None
    """Where the screens keep what was chosen in them; None: nowhere."""
    note: str = ""
    """What could not be read and was left out, in a sentence."""
    sampling: Sampling = field(default_factory=Sampling)
    """The table [sampling] of the config file."""


def config_folder() -> Path:
    """Where the config file and the user's prompt packs are."""
    from platformdirs import user_config_path  # noqa: PLC0415 - 30 ms that `--help` need not pay

    return user_config_path(_APP, appauthor=False)


def load(
    config: Path | None = None,
    db: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    screens: bool = False,
) -> Settings:
    """Read the settings. Raises UsageError that names file, key and line.

    `screens`: what was chosen in them the last time counts where nothing else is set.
    """
    from platformdirs import user_cache_path, user_data_path, user_state_path  # noqa: PLC0415

    environ = os.environ if environ is None else environ
    folder = config_folder()
    named = None
    if config is not None:
        named = _path("config", str(config), "--config")
    elif environ.get("ARENA_CONFIG"):
        named = _path("config", environ["ARENA_CONFIG"], "ARENA_CONFIG")
    settings = Settings(
        db=user_data_path(_APP, appauthor=False) / "arena.db",
        prompts_folder=folder / "prompts",
        cache_folder=user_cache_path(_APP, appauthor=False),
        state_file=user_state_path(_APP, appauthor=False) / "screens.json",
    )
    if screens:
        settings = _remembered(settings)
    path = named or folder / "config.toml"
    if named is not None or path.is_file():
        settings = _from_file(settings, path)
    for name in VARIABLES:
        if value := environ.get(f"ARENA_{name.upper()}"):
            settings = _set(settings, name, _from_text(name, value), lambda key: f"ARENA_{key.upper()}")
    return replace(settings, db=db) if db is not None else settings


def _remembered(settings: Settings) -> Settings:
    path = settings.state_file
    values, note = read(path) if path else ({}, "")
    for name, value in values.items():
        try:
            settings = _set(settings, name, value, lambda _: str(path))
        except UsageError as fault:
            note = str(fault)
    return replace(settings, note=note)


def _from_text(name: str, value: str) -> str | int | bool:
    """The value of an environment variable, as a config file would have it."""
    if name == "seats" and value.isascii() and value.isdecimal():
        return int(value)
    if name in _SWITCHES and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    return value


def _from_file(settings: Settings, path: Path) -> Settings:
    import tomllib  # noqa: PLC0415 - most people have no config file

    try:
        text = path.read_text("utf-8-sig")
        table = tomllib.loads(text)
    except OSError as fault:
        raise UsageError(
            f"The config file {path} can't be read: {fault.strerror}.", "Name another with --config."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"The config file {path} is not UTF-8 text.", "Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as fault:
        raise UsageError(
            f"The config file {path} is not valid TOML: {clean_line(str(fault))}.", "Mend that line."
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets a thousand deep
        raise UsageError(
            f"A number or a nesting in {path} is out of bounds.", "Keep to what docs/settings.md names."
        ) from None
    for key, value in table.items():
        settings = _set(settings, key, value, lambda name: f"{path}, line {_line_of(name, text)}")
    return settings


def _set(settings: Settings, key: str, value: Any, where: Where) -> Settings:  # noqa: ANN401 - TOML holds anything
    known = [entry.name for entry in fields(Settings) if entry.name not in NOT_SET]
    if key not in known:
        close = difflib.get_close_matches(key, known, 1)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
        raise UsageError(f"{where(key)}: there is no setting '{clean_line(key, 80)}'.", hint)
    if key == "sampling":
        return replace(settings, sampling=_sampling(settings.sampling, value, where))
    if key == "keys":
        return replace(settings, keys=_keys(value, where))
    if key == "endpoints":
        return replace(settings, endpoints=_endpoints(value, where))
    return replace(settings, **{key: _converted(key, value, where(key))})


def _converted(key: str, value: Any, where: str) -> Any:  # noqa: ANN401
    """The value in the type of its field. Raises UsageError."""
    convert: Callable[[str, Any, str], Any] = _CONVERTERS.get(key, _text)
    return convert(key, value, where)


def _text(key: str, value: Any, where: str) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise UsageError(f"{where}: {key} must be text, not {value!r}.", f'Write {key} = "...".')
    return value


def _choice(key: str, value: Any, where: str) -> Pace | Schedule | str:  # noqa: ANN401
    kind = _CHOICES[key]
    choices = [choice.value for choice in kind] if isinstance(kind, type) else list(kind)
    if value not in choices:
        raise UsageError(f"{where}: {key} can't be {value!r}.", f"It is one of: {', '.join(choices)}.")
    return kind(value) if isinstance(kind, type) else str(value)


def _seats(key: str, value: Any, where: str) -> int:  # noqa: ANN401
    if type(value) is not int or value not in (2, 3):
        raise UsageError(f"{where}: {key} can't be {value!r}.", "A round has 2 or 3.")
    return value


def _number(key: str, value: Any, where: str) -> float:  # noqa: ANN401
    least, most = _FROM_TO[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UsageError(f"{where}: {key} can't be {value!r}.", f"It is a number from {least:g} to {most:g}.")
    return float(value)


def _switch(key: str, value: Any, where: str) -> bool:  # noqa: ANN401
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {key} can't be {value!r}.", "It is true or false.")
    return value


def _folders(key: str, value: Any, where: str) -> tuple[Path, ...]:  # noqa: ANN401
    if not (isinstance(value, list) and all(isinstance(folder, str) for folder in value)):
        raise UsageError(f"{where}: {key} must be a list of folders.", f'Write {key} = ["~/models"].')
    return tuple(_path(key, folder, where) for folder in value)


def _path(key: str, value: Any, where: str) -> Path:  # noqa: ANN401
    text = _text(key, value, where)
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # the home of nobody
        path = None
    if path is None or "\0" in text:
        raise UsageError(f"{where}: {key} can't be {text!r}.", "Write the path of a file or folder.")
    return path


_CHOICES: dict[str, type[Pace | Schedule] | tuple[str, ...]] = {
    "pace": Pace,
    "schedule": Schedule,
    "lang": ("auto", "en", "ko"),
}
_CONVERTERS: dict[str, Callable[[str, Any, str], Any]] = {
    **dict.fromkeys(_CHOICES, _choice),
    **dict.fromkeys(_FROM_TO, _number),
    **dict.fromkeys(("db", "prompts_folder", "cache_folder"), _path),
    "seats": _seats,
    **dict.fromkeys(_SWITCHES, _switch),
    "gguf_folders": _folders,
}


def _keys(table: Any, where: Where) -> dict[str, str]:  # noqa: ANN401
    if not isinstance(table, dict):
        raise UsageError(f"{where('keys')}: keys must be a table.", "Write [keys] on a line of its own.")
    for name, value in table.items():
        if not isinstance(value, str):
            raise UsageError(f"{where(name)}: {name} must be text.", f'Write "{name}" = "x", the name in quotes too.')
    return dict(table)


def _sampling(sampling: Sampling, table: Any, where: Where) -> Sampling:  # noqa: ANN401
    if not isinstance(table, dict):
        raise UsageError(f"{where('sampling')}: sampling must be a table.", "Write [sampling] on a line of its own.")
    known = [entry.name for entry in fields(Sampling)]
    for name, value in table.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
            raise UsageError(f"{where(name)}: there is no sampling setting '{name}'.", hint)
        whole, least = isinstance(getattr(sampling, name), int), _LEAST.get(name, 0)
        right = not isinstance(value, bool) and isinstance(value, int if whole else int | float)
        if not right or not least <= value <= MOST_WHOLE:  # NaN is in no range
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"{where(name)}: {name} can't be {value!r}.", f"It is {kind}, {least} or more.")
        sampling = replace(sampling, **{name: value})
    return sampling


def _endpoints(tables: Any, where: Where) -> tuple[Endpoint, ...]:  # noqa: ANN401
    if not (isinstance(tables, dict) and all(isinstance(table, dict) for table in tables.values())):
        raise UsageError(
            f"{where('endpoints')}: each endpoint must be a table.", "Write [endpoints.NAME] on a line of its own."
        )
    return tuple(_endpoint(name, table, where) for name, table in tables.items())


def _endpoint(name: str, table: dict[str, Any], where: Where) -> Endpoint:
    place = where(f"endpoints.{name}")
    if not re.fullmatch(r"[\w][\w.-]*", name) or name in _OWN_ENDPOINTS:
        raise UsageError(f"{place}: an endpoint can't be called {name!r}.", "Use letters, digits, dots and dashes.")
    for key, value in table.items():
        if key not in _ENDPOINT_KEYS:
            close = difflib.get_close_matches(key, _ENDPOINT_KEYS, 1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(_ENDPOINT_KEYS)}."
            if "key" in key.lower() or "token" in key.lower():
                hint = 'A key does not belong in a file: write api_key_env = "VARIABLE" and set that variable.'
            raise UsageError(f"{place}: an endpoint has no setting '{key}'.", hint)
        if key == "silence_s":
            if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= _DAY_S:
                raise UsageError(f"{place}: silence_s can't be {value!r}.", "It is a number of seconds, 1 or more.")
        elif not isinstance(value, str):
            raise UsageError(f"{place}: {key} must be text, not {_without_user(value)}.", f'Write {key} = "...".')
    kind, url = table.get("kind", "openai"), table.get("url", "")
    if kind not in [wire.value for wire in Wire]:
        raise UsageError(f"{place}: kind can't be {kind!r}.", "It is ollama, or openai for every other server.")
    endpoint = Endpoint(name, Wire(kind), _url(url, place), table.get("api_key_env", ""))
    return replace(endpoint, silence_s=float(table["silence_s"])) if "silence_s" in table else endpoint


def _url(text: str, place: str) -> str:
    """The address of a server, its scheme in small letters. Raises UsageError."""
    try:
        parts = urlsplit(text)
        named = bool(re.fullmatch(r"https?://[^\s/]+\S*", text, re.IGNORECASE) and parts.hostname)
    except ValueError:  # half an IPv6 address
        named = False
    if not named:
        hint = 'Write url = "http://HOST:PORT/v1", without /v1 for Ollama.'
        raise UsageError(f"{place}: url can't be {_without_user(text)}.", hint)
    try:
        right = parts.port != 0
    except ValueError:
        right = False
    if not right:
        why = f"{place}: url can't be {_without_user(text)}: that port is none."
        raise UsageError(why, "A port is a number from 1 to 65535.")
    return f"{parts.scheme}{text[len(parts.scheme) :].rstrip('/')}"


def _without_user(value: object) -> str:
    """What to show of a value in which an address may stand with a password."""
    shown = repr(value)
    return f"'{shown.rpartition('@')[2]}" if "@" in shown else shown


def _line_of(key: str, text: str) -> int:
    """The line on which a key or table of that name stands, 1 for the first."""
    found = re.search(rf"^[ \t]*\[?[ \t]*[\"']?{re.escape(key)}\b", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1
