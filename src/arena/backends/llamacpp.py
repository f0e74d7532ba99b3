"""GGUF models in this machine's memory, through llama-cpp-python: one worker process a model."""

from __future__ import annotations

import asyncio
import difflib
import importlib.util
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from arena.backends.gguf_folders import GgufFile, matching, search
from arena.backends.thinking import ThoughtSplitter
from arena.backends.worker import Build, Worker, engine_version
from arena.core.endpoints import Endpoint
from arena.core.errors import ArenaError, MissingModelError, SeatError
from arena.core.events import Chunk, Piece, Sent, Usage
from arena.core.gguf import GgufHeader
from arena.core.gguf_shelf import HeaderShelf
from arena.core.loads import LoadFacts
from arena.core.models import ADJUSTABLE, Contestant, ModelInfo, ModelRef
from arena.core.ports import Request
from arena.core.text import clean_line

_NO_ENGINE = 'The embedded engine is not installed: pip install "local-arena[embedded]".'
_ADD_SOME = "Give the path of a .gguf file, or set gguf_folders in the config."
_SWITCH = re.compile(r"\benable_thinking\b|\b(?:if|not|and|or|set)\s+thinking\b")
"""A chat template that asks whether to think. The word alone may stand in any text or name of a field."""
_EFFORT = re.compile(r"\breasoning_effort\b")
_ENCODERS = re.compile(r"bert|^t5encoder$|^gemma-embedding$|^llama-embed$")
_KINDS = {"adapter": "an adapter for a model", "mmproj": "a vision projector", "imatrix": "an importance matrix"}
_PATIENCE_S = 15.0
"""How long the question for the layers that fit may take: a driver may hang, and every other load waits behind it."""
_NAMED = 8
_READERS = 4

Key = tuple[str, int, str]
"""What a worker has loaded: path, context, type of the KV cache."""


class _NoContestantError(ArenaError):
    """A whole GGUF file, but nothing that answers."""


class LlamaCppBackend:
    """The endpoints `demo` (the embedded models) and `gguf` (files in folders, or by path)."""

    endpoints: tuple[str, ...] = ("demo", "gguf")
    at: Endpoint | None = None

    def __init__(
        self,
        demo_folder: Path,
        gguf_folders: Sequence[Path] = (),
        *,
        keep: int = 3,
        environ: Mapping[str, str] = os.environ,
        blobs: Callable[[], Sequence[tuple[str, Path]]] = lambda: (),
        headers: HeaderShelf | None = None,
        gpu_layers: Callable[[ModelInfo, Contestant], Awaitable[int | None]] | None = None,
        on_load: Callable[[ModelInfo, Contestant, LoadFacts], None] | None = None,
    ) -> None:
        """`keep`: how many loaded models stay in memory between answers; the oldest goes first.

        `environ` says where other programs keep models, `blobs` what Ollama has: (name, GGUF file). `gpu_layers` is
        asked before a load on a build that can offload; None, or no answer: all layers. `on_load` is told of
        every load after it; it is called in the engine's thread, must not wait and must not raise.
        """
        self._demo_folder = demo_folder
        self._gguf_folders = tuple(gguf_folders)
        self._keep = keep
        self._environ = environ
        self._headers = headers or HeaderShelf()
        self._blobs = blobs
        self._gpu_layers = gpu_layers
        self._on_load = on_load
        self._loading = asyncio.Lock()
        """One load at a time: two at once would only slow each other down, and start a worker twice."""
        self._build: Build | None = None
        self._workers: dict[Key, Worker] = {}
        self._known: dict[ModelRef, ModelInfo] = {}
        self._infos: dict[object, ModelInfo] = {}
        self._modes: dict[str, frozenset[str]] = {}
        """What `thinking` may be, by the path of the model."""

    async def models(self) -> Sequence[ModelInfo]:
        """Every model in the demo folder, the configured folders and those of other programs.

        Unreadable ones carry a note; what answers nothing, such as a projector or an embedding model, is left out.
        """
        return await asyncio.to_thread(self._scan)

    async def find(self, ref: ModelRef) -> ModelInfo:
        """The model of that name, or at that path. Raises ArenaError when there is none or it can't play."""
        return await asyncio.to_thread(self._find, ref)

    async def build(self) -> Build:
        """What the installed llama.cpp was built for. Raises SeatError when there is none."""
        if self._build is None:
            worker = await Worker.start()
            try:
                self._build = await worker.build()
            finally:
                await worker.stop()
        return self._build

    async def prepare(self, contestant: Contestant) -> float:
        """Load the model in a worker of its own. Returns ms, 0 when it is loaded already. Raises SeatError."""
        info = await self._info(contestant.ref)
        self._check_thinking(info, contestant.thinking)
        key = _key(info, contestant)
        async with self._loading:
            worker = self._workers.get(key)
            if worker is not None and (worker.busy.locked() or await worker.settled()):
                self._workers[key] = self._workers.pop(key, worker)  # the youngest again
                return 0.0
            await self._drop(key)
            await self._make_room()
            worker = await Worker.start()
            try:
                self._build = await worker.build()
                layers = await self._layers(info, contestant) if self._build.offload else 0
                load_ms = await worker.load(*key, gpu_layers=layers)
            except BaseException:
                await worker.stop()
                raise
            self._workers[key] = worker
            if self._on_load is not None:
                built = f"{self._build} {engine_version()}".rstrip()
                self._on_load(info, contestant, LoadFacts(worker.pid, worker.gpu_layers, built))
            return load_ms

    async def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """Chunks, then Usage. Closing the iterator cancels between two tokens. Raises SeatError."""
        contestant = request.contestant
        await self.prepare(contestant)
        worker = self._workers[_key(await self._info(contestant.ref), contestant)]
        async with worker.busy:
            sampling = asdict(request.sampling)
            events = worker.generate(request.messages, sampling, contestant.thinking)
            splitter, last_ns = ThoughtSplitter(), None
            try:
                async for event in events:
                    if event["event"] == "start":
                        splitter = ThoughtSplitter(inside=event["thinking"])
                        yield Sent(event["at_ns"])
                    elif event["event"] == "delta":
                        last_ns = event["at_ns"]
                        for kind, text in splitter.feed(event["text"]):
                            yield Chunk(text, kind, last_ns)
                    else:
                        for kind, text in splitter.finish():
                            yield Chunk(text, kind, last_ns)
                        yield _usage(event)
            finally:
                await events.aclose()

    def is_loaded(self, contestant: Contestant) -> bool:
        """Whether a worker holds it."""
        info = self._known.get(contestant.ref)
        worker = self._workers.get(_key(info, contestant)) if info is not None else None
        return worker is not None and worker.alive

    async def release(self, contestant: Contestant) -> None:
        """End the worker of that model."""
        await self._drop(_key(await self._info(contestant.ref), contestant))

    async def close(self) -> None:
        """End every worker."""
        workers = list(self._workers.values())
        self._workers.clear()
        await asyncio.gather(*(worker.stop() for worker in workers), return_exceptions=True)

    async def _make_room(self) -> None:
        """End the oldest idle workers until another one may be kept. One that answers is never ended."""
        idle = [key for key, worker in self._workers.items() if not worker.busy.locked()]
        for key in idle[: max(0, len(self._workers) - self._keep + 1)]:
            await self._drop(key)

    async def _drop(self, key: Key) -> None:
        if (worker := self._workers.pop(key, None)) is not None:
            await worker.stop()

    async def _layers(self, info: ModelInfo, contestant: Contestant) -> int:
        """How many layers go to the GPU; -1: all. What can't be estimated, or not in time, is tried."""
        layers = None
        if self._gpu_layers is not None:
            with suppress(ArenaError, TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    layers = await self._gpu_layers(info, contestant)
        return -1 if layers is None else layers

    async def _info(self, ref: ModelRef) -> ModelInfo:
        """The model of a contestant. Raises SeatError."""
        if ref not in self._known:
            try:
                info = await self.find(ref)
            except ArenaError as fault:
                raise SeatError(fault.sentence, fault.hint) from fault
            if ref.digest and info.ref.digest != ref.digest:
                raise SeatError("The file of this model has changed since it was chosen.", "Choose it again.")
            self._known[ref] = info
        return self._known[ref]

    def _check_thinking(self, info: ModelInfo, thinking: str) -> None:
        """Raises SeatError when the chat template would take no notice: the contestant would not be what it says."""
        modes = self._modes.get(info.location, frozenset())
        if thinking not in ("default", *modes):
            can = ", ".join(sorted(modes)) or "nothing"
            raise SeatError(
                f"The chat template of this model can't be told thinking={thinking}.", f"It can be told: {can}."
            )

    def _scan(self) -> list[ModelInfo]:
        files = [(file, "demo") for file in self._demo_files()] + [(file, "gguf") for file in self._search()]
        # reading and hashing leave the other threads alone
        with ThreadPoolExecutor(_READERS, "headers") as pool:
            found = pool.map(lambda each: self._listed(*each), files)
            return [info for info in found if info is not None]

    def _search(self) -> list[GgufFile]:
        blobs: Sequence[tuple[str, Path]] = ()
        with suppress(ArenaError, OSError):
            blobs = self._blobs()
        return search(self._gguf_folders, self._environ, blobs)

    def _demo_files(self) -> list[GgufFile]:
        paths = sorted(self._demo_folder.glob("*.gguf"), key=lambda path: path.stat().st_size)
        return [GgufFile(path.stem, path, (path,), address=(path.stem,)) for path in paths]

    def _listed(self, file: GgufFile, endpoint: str) -> ModelInfo | None:
        """As it stands in the list, with a note where something is wrong; None for what is no contestant."""
        try:
            return self._describe(file, endpoint)
        except _NoContestantError:
            return None
        except ArenaError as fault:
            return ModelInfo(ModelRef(endpoint, file.name), location=str(file.path), note=str(fault))

    def _find(self, ref: ModelRef) -> ModelInfo:
        """Raises ArenaError: MissingModelError for a name that nothing has."""
        if ref.endpoint == "gguf" and (path := _typed_path(ref.name)) is not None:
            return self._describe(GgufFile(re.sub(r"-00001-of-\d{5}$", "", path.stem), path, (path,)), "gguf")
        files = self._demo_files() if ref.endpoint == "demo" else self._search()
        meant = matching(files, ref.name)
        if len(meant) == 1:
            info = self._describe(meant[0], ref.endpoint)
            if info.note:
                raise ArenaError(info.note)
            return info
        if meant:
            names = ", ".join(f"{ref.endpoint}/{file.name}" for file in meant[:_NAMED])
            raise ArenaError(f"{clean_line(str(ref))} may mean {len(meant)} models.", f"Name one of them: {names}.")
        if ref.name.lower().endswith(".gguf"):
            return self._describe(GgufFile(Path(ref.name).stem, Path(ref.name), ()), "gguf")  # which says why it can't
        raise MissingModelError(f"There is no model {ref}.", _names_hint(ref, [file.name for file in files]))

    def _describe(self, file: GgufFile, endpoint: str) -> ModelInfo:
        """Read the header. Raises ArenaError with a sentence about what is wrong with the file."""
        if file.fault:
            raise ArenaError(*file.fault)
        try:
            # Not resolved: Hugging Face's cache links NAME-00001-of-00002.gguf to a file without a name, and a split
            # model is found by the names of its parts.
            path = file.path.expanduser().absolute()
            header, digest = self._headers.read(path)
            stats = [part.stat() for part in header.files]
        except (OSError, RuntimeError, ValueError) as fault:  # a user that is not there, a loop of links, a NUL
            why = clean_line(str(fault), 100)
            raise ArenaError(f"{clean_line(str(file.path))} can't be opened: {why}.", "Name another file.") from fault
        if what := _no_contestant(header):
            raise _NoContestantError(f"'{clean_line(path.name)}' is {what}: it gives no answers.", "Name another file.")
        key = (endpoint, str(path), *((stat.st_size, stat.st_mtime_ns) for stat in stats))
        if key not in self._infos:
            self._infos[key] = _info_of(header, ModelRef(endpoint, file.name, digest), path)
            self._modes[str(path)] = _thinking_modes(header.chat_template)
        info = self._infos[key]
        # Its name may have grown since: another file of that name may be there now.
        info = replace(info, ref=replace(info.ref, name=file.name))
        self._known[info.ref] = info
        return info


def _info_of(header: GgufHeader, ref: ModelRef, path: Path) -> ModelInfo:
    thinks = {"thinking"} if _thinking_modes(header.chat_template) else set()
    return ModelInfo(
        ref,
        family=header.architecture,
        parameters=header.parameters,
        quantization=header.quantization,
        size_bytes=header.file_bytes,
        context=header.context_length,
        location=str(path),
        template_hash=header.template_hash,
        note="" if _engine_installed() else _NO_ENGINE,
        adjustable=ADJUSTABLE | {"kv_type"} | thinks,
    )


def _key(info: ModelInfo, contestant: Contestant) -> Key:
    return (info.location, contestant.context, contestant.kv_type or "f16")


def _typed_path(name: str) -> Path | None:
    """The file that is there under what was typed; None where it is rather a name.

    `gguf/x.gguf` may be x.gguf, or the file x.gguf in a folder called gguf. Raises ArenaError when both are there.
    """
    certain = name.startswith(("/", "~", "."))
    if not (certain or name.lower().endswith(".gguf") or Path(name).is_absolute()):
        return None
    tried = [Path(name)] if certain else [Path(name), Path("gguf", name)]
    there = [path for path in tried if _is_file(path)]
    if len(there) == 2 and not there[0].samefile(there[1]):
        raise ArenaError(
            f"{clean_line(name)} may mean two files.", f"Write ./{clean_line(name)} or ./gguf/{clean_line(name)}."
        )
    return there[0] if there else None


def _is_file(path: Path) -> bool:
    try:
        return path.expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def _names_hint(ref: ModelRef, names: Sequence[str]) -> str:
    """What there is instead: the closest names, else the first ones."""
    if not names:
        return _ADD_SOME
    shown = difflib.get_close_matches(ref.name, names, _NAMED, 0.5) or names[:_NAMED]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"There are: {', '.join(f'{ref.endpoint}/{name}' for name in shown)}{more}."


def _no_contestant(header: GgufHeader) -> str:
    """What the file is when nothing in it answers; '' for a language model."""
    if kind := _KINDS.get(header.text("general.type")):
        return kind
    if header.architecture == "clip":
        return _KINDS["mmproj"]
    if not header.tensors:
        return "a vocabulary without a model"
    # Embedding models and rerankers pool what a decoder hands out token by token; 0 is no pooling.
    if _ENCODERS.search(header.architecture) or header.field("pooling_type"):
        return "an embedding model"
    return ""


def _thinking_modes(template: str) -> frozenset[str]:
    """What `thinking` can be for a model with that chat template, besides `default`."""
    switch, effort = _SWITCH.search(template), _EFFORT.search(template)
    # A template that knows efforts alone always thinks: it can't be told off.
    return frozenset(
        (("on", "off") if switch else ("on",) if effort else ()) + (("low", "medium", "high") * bool(effort))
    )


def _usage(done: dict[str, Any]) -> Usage:
    gaps, decode_ms = done["out_tokens"] - 1, (done["last_ns"] - done["first_ns"]) / 1e6
    told = done["out_tokens"] > 0
    return Usage(
        prompt_tokens=done["prompt_tokens"],
        cached_tokens=0,
        out_tokens=done["out_tokens"],
        prompt_ms=(done["first_ns"] - done["began_ns"]) / 1e6 if told else None,
        decode_ms=decode_ms,
        decode_tps=gaps / decode_ms * 1000 if gaps > 0 and decode_ms > 0 else None,
        first_ns=done["first_ns"] if told else None,
        last_ns=done["last_ns"] if told else None,
        finish=done["finish"],
        source="server",
    )


@cache
def _engine_installed() -> bool:
    return importlib.util.find_spec("llama_cpp") is not None
