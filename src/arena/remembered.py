"""What the screens were set to the last time: a small file of the program's own, which nothing depends on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from arena.core.folders import private_folder

KEPT = ("theme", "pace", "seats")
"""What is kept, by the name of its setting. The config file and the environment win over it."""


def read(path: Path) -> tuple[dict[str, Any], str]:
    """What was kept, and a sentence where it can't be read; nothing at all where nothing was kept."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {}, f"What the screens were set to can't be read from {path}; the next change writes it anew."
    return {name: found[name] for name in KEPT if name in found}, ""


def keep(path: Path, values: Mapping[str, str | int]) -> None:
    """Keep these besides what is kept already: complete or not at all, and readable by the user alone.

    A disk that is full or read-only is no reason to stop: the next start asks for less than it could know.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        private_folder(path.parent)
        draft.touch(0o600)
        draft.write_text(json.dumps({**read(path)[0], **values}), "utf-8")
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
