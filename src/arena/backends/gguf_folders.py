"""Finds GGUF files: in the user's folders, and where LM Studio, Hugging Face, llama.cpp, GPT4All and Jan keep theirs.

It goes by names alone and opens no file: what is inside, `core.gguf` reads.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path

MAX_ENTRIES = 20_000
"""Files and folders that are looked at below one folder, nearest first and hidden ones last: `~` would take minutes."""

_PART = re.compile(r"-(\d{5})-of-(\d{5})$")
_MOST_PARTS = 1000
_REPOSITORY = "models--"
_NO_MODELS = ("datasets--", "spaces--")
_SAYS_NOTHING = ("model", "ggml-model")
"""Stems that Jan and converters give to every model: the folder is part of the name then."""


@dataclass(frozen=True, slots=True)
class GgufFile:
    """One model on disk."""

    name: str
    """The stem of the file, `ollama:NAME`, or where that is not unique, as much of the path as makes it so."""
    path: Path
    """What llama.cpp opens: the file, or the first part of a split model. Links in it are kept: they carry names."""
    parts: tuple[Path, ...]
    """Every file of the model that should be there, in order."""
    projector: Path | None = None
    """The vision projector in the same folder."""
    missing: tuple[Path, ...] = ()
    """Those of `parts` that are not there."""
    also: tuple[str, ...] = ()
    """Other names of the same file."""
    address: tuple[str, ...] = ()
    """The path in pieces, the stem last: what names are made of."""

    @property
    def fault(self) -> tuple[str, str] | None:
        """A sentence on what is wrong, and what to do; None for a model that is whole."""
        if not self.missing:
            return None
        numbers = ", ".join(str(self.parts.index(path) + 1) for path in self.missing)
        if len(self.missing) == 1:
            said = f"Part {numbers} of the {len(self.parts)} parts of this model is not there."
            return said, f"Put {self.missing[0].name} beside the others, or fetch it again."
        said = f"Parts {numbers} of the {len(self.parts)} parts of this model are not there."
        return said, "Put them beside the others, or fetch the model again."


def search(
    folders: Sequence[Path], environ: Mapping[str, str], blobs: Sequence[tuple[str, Path]] = ()
) -> list[GgufFile]:
    """Every model below the folders, in the usual places and in `blobs`, sorted by name; the same file only once.

    `folders` may hold files too. `blobs`: (name in Ollama, file). What can't be read is passed over. Names are
    distinct. Vision projectors are no models of their own.
    """
    seen: dict[object, Path] = {}
    for root in dict.fromkeys((*folders, *usual_places(environ))):
        for path in _newest_revisions(list(_below(root))):
            seen.setdefault(_identity(path), path)
    projectors = [path for path in seen.values() if _is_projector(path)]
    models = list(_whole([path for path in seen.values() if not _is_projector(path)], projectors))
    return sorted(_distinct(_with_ollama(models, blobs)), key=lambda file: (file.name.casefold(), file.name))


def matching(files: Iterable[GgufFile], name: str) -> list[GgufFile]:
    """The models that a name may mean: the one that is called so, else those whose path ends so.

    Whether letters are large or small decides only where it has to. `.gguf` at its end, the number of a part and
    Ollama's `:latest` may be there or not.
    """
    files = list(files)
    plain = _PART.sub("", name[: -len(".gguf")] if name.lower().endswith(".gguf") else name)
    for fold in (str, str.casefold):
        wanted = {fold(each) for each in (name, plain, f"{plain}:latest")}
        exact = [file for file in files if wanted & {fold(each) for each in (file.name, *file.also)}]
        if exact:
            return exact
        ends = [file for file in files if f"/{fold('/'.join(file.address))}".endswith(f"/{fold(plain)}")]
        if ends:
            return ends
    return []


def usual_places(environ: Mapping[str, str]) -> list[Path]:
    """Where other programs keep GGUF files, whether it is there or not."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    windows = [Path(environ[name]) for name in ("LOCALAPPDATA", "APPDATA") if environ.get(name)]
    hub = environ.get("HF_HUB_CACHE") or Path(environ.get("HF_HOME") or cache / "huggingface") / "hub"
    data = [Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share"), home / "Library" / "Application Support"]
    data += windows
    return [
        _lm_studio(home) / "models",
        home / ".lmstudio" / "models",
        home / ".cache" / "lm-studio" / "models",
        Path(hub),
        *([Path(environ["LLAMA_CACHE"])] if environ.get("LLAMA_CACHE") else []),
        cache / "llama.cpp",
        *(folder / "llama.cpp" for folder in (home / "Library" / "Caches", *windows)),
        *(folder / "nomic.ai" / "GPT4All" for folder in data),
        *(folder / "Jan" / "data" / "llamacpp" / "models" for folder in (*data, home / ".config")),
    ]


def _lm_studio(home: Path) -> Path:
    """LM Studio's folder, which it can be told to keep elsewhere."""
    with suppress(OSError, ValueError):
        if told := (home / ".lmstudio-home-pointer").read_text("utf-8")[:4096].strip():
            return Path(told)
    return home / ".lmstudio"


def _below(root: Path) -> Iterator[Path]:
    """The .gguf files below a folder, nearest first; the folder may be such a file itself."""
    try:
        root = root.expanduser().absolute()
        if _is_gguf(root.name) and not root.is_dir():
            yield from [root] if root.exists() else []
            return
    except (OSError, RuntimeError, ValueError):  # a user that is not there, a NUL
        return
    waiting = [(False, 0, root)]
    seen: set[tuple[int, int]] = set()
    left = MAX_ENTRIES
    while waiting and left > 0:
        hidden, depth, folder = heappop(waiting)
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                found = sorted(islice(entries, left), key=lambda entry: entry.name)
        except (OSError, ValueError):
            continue
        left -= len(found)
        for entry in found:
            if _is_folder(entry):
                if _may_hold_models(folder, entry.name):
                    heappush(waiting, (hidden or entry.name.startswith("."), depth + 1, folder / entry.name))
            elif _is_gguf(entry.name):
                yield folder / entry.name


def _is_gguf(name: str) -> bool:
    # What begins with a dot is not the model: macOS keeps `._NAME` beside each file on foreign disks.
    return name.lower().endswith(".gguf") and not name.startswith(".")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: listed as a file, so that its fault is told
        return False


def _may_hold_models(folder: Path, name: str) -> bool:
    """Whether to go on into a folder: of a repository of Hugging Face only into the links that carry names."""
    if folder.name.startswith(_REPOSITORY):
        return name == "snapshots"
    return not name.startswith(_NO_MODELS)


def _identity(path: Path) -> object:
    """What two names of one file have in common."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return str(path)
    return (status.st_dev, status.st_ino)


def _is_projector(path: Path) -> bool:
    return "mmproj" in path.name.lower()


def _newest_revisions(paths: list[Path]) -> list[Path]:
    """Of each file in a Hugging Face cache its newest revision; all other files as they are."""
    newest: dict[object, tuple[tuple[bool, int], Path]] = {}
    for path in paths:
        at = _repository_at(path)
        if at is None:
            newest[path] = ((True, 0), path)
            continue
        repository, revision = Path(*path.parts[: at + 1]), Path(*path.parts[: at + 3])
        rank, key = _age_rank(repository, revision), (repository, path.parts[at + 3 :])
        if key not in newest or newest[key][0] < rank:
            newest[key] = (rank, path)
    return [path for _, path in newest.values()]


def _repository_at(path: Path) -> int | None:
    """Where in the path `models--ORG--REPO` stands, with `snapshots/REVISION` behind it."""
    pieces = path.parts
    places = (at for at, piece in enumerate(pieces[:-3]) if piece.startswith(_REPOSITORY))
    return next((at for at in places if pieces[at + 1] == "snapshots"), None)


def _age_rank(repository: Path, revision: Path) -> tuple[bool, int]:
    """Greater for a newer revision: that of the main branch, else what was fetched last."""
    main, changed_ns = "", 0
    with suppress(OSError, ValueError):
        main = (repository / "refs" / "main").read_text("ascii")[:100].strip()
    with suppress(OSError):
        changed_ns = revision.stat().st_mtime_ns
    return revision.name == main, changed_ns


def _whole(paths: Iterable[Path], projectors: Sequence[Path]) -> Iterator[GgufFile]:
    """Models out of files: the parts of a split model are one."""
    beside: dict[Path, Path] = {}
    for path in sorted(projectors):
        beside.setdefault(path.parent, path)
    models: dict[tuple[Path, str, int], tuple[Path, set[int]]] = {}
    for path in paths:
        part = _PART.search(path.stem)
        if part is not None and 1 <= int(part[1]) <= int(part[2]) <= _MOST_PARTS:
            key = (path.parent, path.stem[: part.start()], int(part[2]))
            models.setdefault(key, (path, set()))[1].add(int(part[1]))
        else:
            models[path.parent, path.stem, 0] = (path, set())
    called = Counter((folder, stem) for folder, stem, _ in models)
    for (folder, stem, count), (path, there) in models.items():
        parts = tuple(folder / f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)) or (path,)
        missing = tuple(part for number, part in enumerate(parts, start=1) if count and number not in there)
        # A split model and a whole one may have the same name in the same folder.
        address = _address(path, stem if called[folder, stem] == 1 else parts[0].stem)
        yield GgufFile("", parts[0], parts, beside.get(folder), missing, address=address)


def _address(path: Path, stem: str) -> tuple[str, ...]:
    """The pieces that names are made of: ORG, REPO stand for what Hugging Face's cache makes of them."""
    pieces, at = path.parts, _repository_at(path)
    if at is None:
        return (*pieces[:-1], stem)
    repository = pieces[at].removeprefix(_REPOSITORY).split("--", 1)
    return (*pieces[:at], *repository, *pieces[at + 3 : -1], stem)


def _with_ollama(files: Iterable[GgufFile], blobs: Iterable[tuple[str, Path]]) -> list[GgufFile]:
    """The models and those that Ollama has. Its files have no names: a colon tells theirs from those of files."""
    known = {_identity(file.path): file for file in files}
    for name, path in sorted(blobs):
        identity, called = _identity(path), f"ollama:{name}"
        if (file := known.get(identity)) is not None:
            known[identity] = replace(file, also=(*file.also, called))
        else:
            # The same name may stand in the user's folder and in that of the service; behind it is `blobs/DIGEST`.
            known[identity] = GgufFile(called, path, (path,), address=(*path.parts[:-2], called))
    return list(known.values())


def _distinct(files: Sequence[GgufFile]) -> Iterator[GgufFile]:
    """The files with names: the stem, and pieces of the path before it only where another file has the same."""
    endings = Counter(file.address[-count:] for file in files for count in range(1, len(file.address) + 1))
    for file in files:
        least = 2 if file.address[-1].casefold() in _SAYS_NOTHING else 1
        unique = (
            file.address[-count:]
            for count in range(least, len(file.address) + 1)
            if endings[file.address[-count:]] == 1
        )
        yield replace(file, name="/".join(next(unique, file.address)))
