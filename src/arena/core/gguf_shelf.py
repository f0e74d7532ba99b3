"""Keeps what GGUF headers say, so that a file is read again only when it has changed.

Reading a header with a large tokenizer takes up to 150 ms, and a person with fifty models wants an answer at a glance.
What is kept is JSON in the user's cache folder; whatever can't be read there is read from the model again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from arena.core.folders import private_folder
from arena.core.gguf import GgufHeader, Tensor, quick_digest, read_header
from arena.core.gguf_cursor import Skipped

_FORM = 2
"""Of the JSON; another one is read as nothing. Since 2 the digest may be missing."""
_SKIPPED = "skipped"


class HeaderShelf:
    """Headers by path."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is made when something is put there; None: only this process remembers."""
        self._folder = folder
        self._known: dict[Path, tuple[list[Any], GgufHeader, str]] = {}

    def read(self, path: str | Path) -> tuple[GgufHeader, str]:
        """The header, and the digest of the model. Raises ArenaError as `read_header` does, OSError, ValueError."""
        return self._read(path, with_digest=True)

    def header(self, path: str | Path) -> GgufHeader:
        """The header alone, which is read faster than the digest. Raises as `read` does."""
        return self._read(path, with_digest=False)[0]

    def _read(self, path: str | Path, *, with_digest: bool) -> tuple[GgufHeader, str]:
        path = Path(path).expanduser().absolute()
        known = self._known.get(path) or self._taken(path)
        if known is not None and known[0] == _stamps(known[1].files):
            self._known[path] = known
            if known[2] or not with_digest:
                return known[1], known[2]
            header = known[1]
        else:
            header = read_header(path)
        found = (_stamps(header.files), header, quick_digest(path, header) if with_digest else "")
        self._known[path] = found
        self._put(path, *found)
        return header, found[2]

    def _place(self, path: Path) -> Path | None:
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
        return None if self._folder is None else self._folder / f"{name}.json"

    def _taken(self, path: Path) -> tuple[list[Any], GgufHeader, str] | None:
        place = self._place(path)
        try:
            kept = json.loads(place.read_text("utf-8")) if place is not None else None
            if kept is None or kept["form"] != _FORM or kept["path"] != str(path):
                return None
            return kept["stamps"], _header_of(kept["header"], path), str(kept["digest"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _put(self, path: Path, stamps: list[Any], header: GgufHeader, digest: str) -> None:
        place = self._place(path)
        if place is None:
            return
        kept = {"form": _FORM, "path": str(path), "stamps": stamps, "digest": digest, "header": _json_of(header)}
        with suppress(OSError, ValueError):  # a full disk costs time the next time, and nothing else
            private_folder(place.parent)
            draft = place.with_suffix(f".{os.getpid()}")
            draft.touch(0o600)  # it names the paths of models
            draft.write_text(json.dumps(kept), "utf-8")
            draft.replace(place)


def _stamps(files: Sequence[Path]) -> list[Any]:
    """Size and time of change of every file: what has changed when they differ."""
    stats = [path.stat() for path in files]
    return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in zip(files, stats, strict=True)]


def _json_of(header: GgufHeader) -> dict[str, Any]:
    def plain(value: object) -> object:
        return {_SKIPPED: asdict(value)} if isinstance(value, Skipped) else value

    return {
        "version": header.version,
        "metadata": {key: plain(value) for key, value in header.metadata.items()},
        "tensors": [[tensor.name, list(tensor.dims), tensor.type] for tensor in header.tensors],
        "header_bytes": header.header_bytes,
        "file_bytes": header.file_bytes,
        "files": [str(path) for path in header.files],
    }


def _header_of(kept: dict[str, Any], path: Path) -> GgufHeader:
    def value(item: Any) -> Any:  # noqa: ANN401 - JSON holds anything
        if isinstance(item, list):
            return tuple(item)
        return Skipped(**item[_SKIPPED]) if isinstance(item, dict) else item

    return GgufHeader(
        path=path,
        version=kept["version"],
        metadata={key: value(item) for key, item in kept["metadata"].items()},
        tensors=tuple(Tensor(name, tuple(dims), kind) for name, dims, kind in kept["tensors"]),
        header_bytes=kept["header_bytes"],
        file_bytes=kept["file_bytes"],
        files=tuple(Path(file) for file in kept["files"]),
    )
