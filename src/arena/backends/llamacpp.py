"""GGUF models in this machine's memory, through llama-cpp-python: one worker process a model."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from arena.backends.thinking import ThoughtSplitter
from arena.backends.worker import Worker
from arena.core.endpoints import Endpoint
from arena.core.errors import ArenaError, MissingModelError, SeatError
from arena.core.events import Chunk, Piece, Sent, Usage
from arena.core.gguf import quick_digest, read_header
from arena.core.models import Contestant, ModelInfo, ModelRef
from arena.core.ports import Request
from arena.core.text import clean_line

_NO_ENGINE = 'The embedded engine is not installed: pip install "local-arena[embedded]".'
_FIRST_PART = "-00001-of-"
_LATER_PART = "-of-"


class LlamaCppBackend:
    """The endpoints `demo` (the embedded models) and `gguf` (files in folders, or by path)."""

    endpoints: tuple[str, ...] = ("demo", "gguf")
    at: Endpoint | None = None

    def __init__(self, demo_folder: Path, gguf_folders: Sequence[Path] = (), *, keep: int = 3) -> None:
        """`keep`: how many loaded models stay in memory between answers; the oldest goes first."""
        self._demo_folder = demo_folder
        self._gguf_folders = tuple(gguf_folders)
        self._keep = keep
        self._loading = asyncio.Lock()
        """One load at a time: two at once would only slow each other down, and start a worker twice."""
        self._workers: dict[tuple[str, int], Worker] = {}
        self._paths: dict[ModelRef, str] = {}
        self._infos: dict[tuple[str, int, int], ModelInfo] = {}

    async def models(self) -> Sequence[ModelInfo]:
        """Every GGUF file in the demo folder and in the configured folders. Unreadable ones carry a note."""
        return await asyncio.to_thread(self._scan)

    async def find(self, ref: ModelRef) -> ModelInfo:
        """The model of that name, or at that path. Raises ArenaError when there is none or it is no GGUF."""
        if ref.endpoint == "gguf" and ref.name.lower().endswith(".gguf"):
            return await asyncio.to_thread(self._describe, Path(ref.name), "gguf")
        known = await self.models()
        for info in known:
            if str(info.ref) == str(ref):
                if info.note:
                    raise ArenaError(info.note)
                return info
        names = ", ".join(str(info.ref) for info in known if info.ref.endpoint == ref.endpoint)
        hint = f"There are: {names}." if names else "Give the path of a .gguf file, or set gguf_folders in the config."
        raise MissingModelError(f"There is no model {ref}.", hint)

    async def prepare(self, contestant: Contestant) -> float:
        """Load the model in a worker of its own. Returns ms, 0 when it is loaded already. Raises SeatError."""
        key = (await self._path(contestant.ref), contestant.context)
        async with self._loading:
            worker = self._workers.pop(key, None)
            if worker is not None and (worker.busy.locked() or await worker.settled()):
                self._workers[key] = worker  # the youngest again
                return 0.0
            if worker is not None:
                await worker.stop()
            await self._make_room()
            worker = await Worker.start()
            try:
                load_ms = await worker.load(*key)
            except BaseException:
                await worker.stop()
                raise
            self._workers[key] = worker
            return load_ms

    async def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """Chunks, then Usage. Closing the iterator cancels between two tokens. Raises SeatError."""
        await self.prepare(request.contestant)
        worker = self._workers[await self._path(request.contestant.ref), request.contestant.context]
        async with worker.busy:
            events = worker.generate(request.system, request.prompt.text, asdict(request.sampling))
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
        worker = self._workers.get((self._paths.get(contestant.ref, ""), contestant.context))
        return worker is not None and worker.alive

    async def release(self, contestant: Contestant) -> None:
        """End the worker of that model."""
        await self._drop((await self._path(contestant.ref), contestant.context))

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

    async def _drop(self, key: tuple[str, int]) -> None:
        if (worker := self._workers.pop(key, None)) is not None:
            await worker.stop()

    async def _path(self, ref: ModelRef) -> str:
        if ref not in self._paths:
            try:
                await self.find(ref)
            except ArenaError as fault:
                raise SeatError(fault.sentence, fault.hint) from fault
        return self._paths[ref]

    def _scan(self) -> list[ModelInfo]:
        found = [self._listed(path, "demo") for path in sorted(self._demo_folder.glob("*.gguf"), key=_size)]
        for folder in self._gguf_folders:
            parts = (path for path in sorted(folder.expanduser().rglob("*.gguf")) if _is_whole_or_first(path))
            found += [self._listed(path, "gguf") for path in parts]
        return found

    def _listed(self, path: Path, endpoint: str) -> ModelInfo:
        try:
            return self._describe(path, endpoint)
        except ArenaError as fault:
            return ModelInfo(ModelRef(endpoint, path.stem), location=str(path), note=str(fault))

    def _describe(self, path: Path, endpoint: str) -> ModelInfo:
        """Read the header. Raises ArenaError with a sentence about what is wrong with the file."""
        try:
            path = path.expanduser().resolve()
            header = read_header(path)
            stat = path.stat()
        except (OSError, RuntimeError, ValueError) as fault:  # a user that is not there, a loop of links, a NUL
            why = clean_line(str(fault), 100)
            raise ArenaError(f"{clean_line(str(path))} can't be opened: {why}.", "Name another file.") from fault
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._infos:
            ref = ModelRef(endpoint, path.stem.split(_FIRST_PART)[0], quick_digest(path))
            self._infos[key] = ModelInfo(
                ref,
                family=header.architecture,
                parameters=header.parameters,
                quantization=header.quantization,
                size_bytes=header.file_bytes,
                context=header.context_length,
                location=str(path),
                template_hash=header.template_hash,
                note="" if _engine_installed() else _NO_ENGINE,
            )
        info = self._infos[key]
        self._paths[info.ref] = str(path)
        return info


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


def _engine_installed() -> bool:
    return importlib.util.find_spec("llama_cpp") is not None


def _size(path: Path) -> int:
    return path.stat().st_size


def _is_whole_or_first(path: Path) -> bool:
    return _FIRST_PART in path.name or _LATER_PART not in path.name
