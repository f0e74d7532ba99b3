"""Writes docs/commands.md and docs/settings.md from what the program itself says.

`python tools/reference_pages.py`. A test holds the pages against the program.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path

import click
from textual.binding import Binding

from arena import config
from arena.cli import main as _  # noqa: F401 - its modules add their commands to the group
from arena.cli.commands import main_group
from arena.core.models import Sampling
from arena.tui.keys import all_bindings

DOCS = Path(__file__).parents[1] / "docs"
_COMMANDS = """# Every command

Made from the program by `python tools/reference_pages.py`; `arena COMMAND --help` says the same. stdout is data, stderr
is for the person in front of it. Exit codes: 0 done, 1 it failed, 2 the arguments are off, 130 stopped by Ctrl+C.
Every command takes `--db FILE` (`ARENA_DB`) and `--config FILE` (`ARENA_CONFIG`).
"""
_SETTINGS = """# Every setting

Made from the program by `python tools/reference_pages.py`. Defaults, then `config.toml` in the config folder (`arena
doctor` says where that is; `--config FILE` or `ARENA_CONFIG` names another), then variables, then the command line. A
key or value that is off is one sentence with the line it stands on.
"""
_SAMPLING = "\n## `[sampling]`\n\nAlways sent explicitly; `-m MODEL,temperature=0` makes a contestant with its own.\n"
_SERVERS = """## `[endpoints.NAME]`

A server of your own, one table each; its models are called NAME/MODEL. `kind` is `ollama`, or `openai` for every other
server; `url` its address, with `/v1` where it is not Ollama; `api_key_env` the variable that holds its key, which is
never written anywhere; `silence_s` how long it may say nothing before it is given up. See [backends.md](backends.md).
"""
_KEYS = """## `[keys]`

`"vote.tie" = "f6"` binds an action anew, to one key or several with commas between. Two actions that are possible at
the same moment can't share a key: arena names both and does not start. Letters can't be bound where text is written.
"""
_SHARED = frozenset({"db", "config", "help"})


def commands() -> str:
    """The page of the commands, in Markdown."""
    every = (main_group, *(command for _name, command in sorted(main_group.commands.items())))
    return "\n".join([_COMMANDS, *(line for command in every for line in _section(command))])


def _section(command: click.Command) -> Iterator[str]:
    name = "arena" if command is main_group else f"arena {command.name}"
    context = click.Context(command, info_name=name)
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    yield f"## `{' '.join([name, *pieces])}`\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    options = [option for option in command.params if isinstance(option, click.Option)]
    told = [option.get_help_record(context) for option in options if option.name not in _SHARED]
    if any(told):
        yield "| option | |\n|---|---|"
        yield from (f"| `{_cell(names)}` | {_cell(' '.join(text.split()))} |" for names, text in filter(None, told))
        yield ""


def settings() -> str:
    """The page of the settings, in Markdown."""
    lines = [_SETTINGS, "| key | variable | default | |\n|---|---|---|---|"]
    for entry in fields(config.Settings):
        if entry.name not in ("endpoints", "sampling", "keys", *config.NOT_SET):
            variable = f"`ARENA_{entry.name.upper()}`" if entry.name in config.VARIABLES else ""
            default, said = _default(entry), _said_of(config.Settings)[entry.name]
            lines.append(f"| `{entry.name}` | {variable} | {default} | {_cell(said)} |")
    lines += [
        "\n## `[sampling]`\n\nAlways sent explicitly, the same for all contestants unless one is given its own.\n"
    ]
    lines += ["| key | default | |\n|---|---|---|"]
    said = _said_of(Sampling)
    lines += [f"| `{entry.name}` | {_default(entry)} | {_cell(said[entry.name])} |" for entry in fields(Sampling)]
    return "\n".join([*lines, "", _SERVERS, *_keys()])


def _keys() -> Iterator[str]:
    """The names under which keys can be bound anew."""
    yield _KEYS
    yield "| name | key | |\n|---|---|---|"
    named: dict[str, list[Binding]] = {}
    for binding in all_bindings():
        named.setdefault(binding.id or "", []).append(binding)
    for name, bindings in named.items():
        said = bindings[0].tooltip or bindings[0].description or bindings[0].action
        yield f"| `{name}` | {', '.join(f'`{each.key}`' for each in bindings)} | {_cell(said)} |"
    yield ""


def _default(entry: Field[object]) -> str:
    if entry.default is MISSING or isinstance(entry.default, Path):
        return ""
    value = getattr(entry.default, "value", entry.default)
    if value in ((), None, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _said_of(kind: type) -> dict[str, str]:
    """What stands under each field of a class."""
    body = next(node for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    said = {entry.name: "" for entry in fields(kind)}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            said[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return said


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(commands(), "utf-8")
    (DOCS / "settings.md").write_text(settings(), "utf-8")
