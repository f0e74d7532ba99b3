"""Models behind an Ollama server: listed, loaded off the clock, asked and fetched through its own API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from arena.backends import http
from arena.backends.last_asked import LastAsked
from arena.backends.ollama_chat import KEEP_ALIVE, NS_PER_MS, chunks_of, question, usage_of
from arena.backends.ollama_disk import installed, models_in
from arena.backends.ollama_header import ShowDesk, Shown
from arena.backends.ollama_listing import blob_named_by, full_name, model_info
from arena.backends.ollama_wire import OllamaWire
from arena.backends.thinking import ThoughtSplitter
from arena.core.endpoints import Endpoint, PullProgress
from arena.core.errors import ArenaError, MissingModelError, SeatError
from arena.core.events import Piece, Sent
from arena.core.models import Contestant, ModelInfo, ModelRef
from arena.core.ports import Request

if TYPE_CHECKING:
    from ollama import ChatResponse, ListResponse, ProcessResponse, ProgressResponse

_T = TypeVar("_T")
_KEEP_NS = 600_000_000_000
_UNLOAD_S = 2.0
_PULL_SILENCE_S = 900.0
"""Checking what was fetched takes minutes on a slow disk, and Ollama says nothing meanwhile."""
_SHOWS_AT_ONCE = 4
_ANEW = "Choose it anew in the picker."


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What is known of a model in the server's memory."""

    context: int
    """As it was asked for."""
    told: int | None
    """As /api/ps says it: a server may round it or count its slots in."""
    until_ns: int
    digest: str = ""
    """Of what is loaded under that name; empty: the server does not say."""


class OllamaBackend:
    """One Ollama server. It lives in one event loop; after `close` it can be used again."""

    def __init__(self, endpoint: Endpoint, models_folder: Path | None = None) -> None:
        """`models_folder`: where a server on this machine keeps its models; None: where Ollama looks for them."""
        self.endpoints: tuple[str, ...] = (endpoint.name, *endpoint.aliases)
        self.at: Endpoint | None = endpoint
        self._endpoint = endpoint
        self._models_folder = models_folder
        self._wire = OllamaWire(endpoint)
        self._desk = ShowDesk(self._wire)
        self._loaded: dict[str, _Loaded] = {}
        self._own: set[str] = set()
        """Names of what nobody had loaded before arena did; the rest is not arena's to unload at the end."""
        self._asked = LastAsked()

    async def models(self) -> Sequence[ModelInfo]:
        """What the server has. Raises ArenaError when it can't be reached; one odd model hides no other.

        A model of which it does not say in time what it is has a note: played so, it would be another contestant.
        """
        if not self._endpoint.wanted:
            await http.knock(self._endpoint)
        listed = await self._listed()
        told = await _in_time(partial(self._desk.show, model) for model in listed)
        infos = await self._described(listed, [None if isinstance(each, BaseException) else each for each in told])
        return [
            replace(info, note=info.note or _why_untold(each)) if isinstance(each, BaseException) else info
            for info, each in zip(infos, told, strict=True)
        ]

    async def find(self, ref: ModelRef) -> ModelInfo:
        """The model of that name; without a tag it is `latest`. Raises MissingModelError, else ArenaError.

        Here a server that does not say what the model is, is a fault: it would seem to be another contestant.
        """
        name = self._endpoint.name
        for model in await self._listed():
            if model.model and full_name(model.model) == full_name(ref.name):
                return (await self._described([model], [await self._desk.show(model)]))[0]
        raise MissingModelError(
            f"{name} has no model {ref.name}.",
            f"Fetch it with `arena pull {name}/{ref.name}`.",
            pullable=f"{name}/{ref.name}",
        )

    async def prepare(self, contestant: Contestant) -> float:
        """Load it with its context by an empty request. Returns ms, 0 when it was loaded so. Raises SeatError."""
        load_ms = 0.0
        async for load_ms in http.retried(lambda: self._load(contestant)):  # noqa: B007 - there is only one
            pass
        return load_ms

    async def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """Sent, chunks, then Usage. Closing the iterator closes the connection, which stops Ollama."""
        if not self.is_loaded(request.contestant):
            await self.prepare(request.contestant)
        async with aclosing(http.retried(lambda: self._answer(request))) as pieces:
            async for piece in pieces:
                yield piece

    def is_loaded(self, contestant: Contestant) -> bool:
        """Whether it was in memory with that context when the server was last asked, and its time is not over."""
        loaded = self._loaded.get(full_name(contestant.ref.name))
        if loaded is None or loaded.context != contestant.context or _differs(contestant, loaded.digest):
            return False
        return time.monotonic_ns() < loaded.until_ns

    async def release(self, contestant: Contestant) -> None:
        """Have it unloaded, whoever loaded it. Never raises: it goes by itself when its time is over."""
        name = full_name(contestant.ref.name)
        self._loaded.pop(name, None)
        self._asked.forget(name)
        self._own.discard(name)
        await self._unload(name)

    async def close(self) -> None:
        """Have unloaded what arena loaded, and close the connections."""
        own, self._own = self._own, set()
        self._loaded.clear()
        self._asked.forget_all()
        await asyncio.gather(*(self._unload(name) for name in own))
        await self._wire.close()

    async def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch a model. Closing the iterator closes the connection: Ollama keeps the parts. Raises ArenaError."""
        patient = replace(self._endpoint, silence_s=max(self._endpoint.silence_s, _PULL_SILENCE_S))
        wire, status, parts = OllamaWire(patient), "", dict[str, tuple[int, int]]()
        try:
            frames = await (await wire.client()).pull(name, stream=True)
            async with aclosing(cast("AsyncGenerator[ProgressResponse, None]", frames)) as steps:
                async for step in steps:
                    status = step.status or ""
                    if step.digest:
                        parts[step.digest] = (step.completed or 0, step.total or 0)
                    yield PullProgress(status, *map(sum, zip((0, 0), *parts.values(), strict=True)))
            if status != "success":
                raise EOFError  # noqa: TRY301 - a connection that broke off, as all the others
        except Exception as error:
            raise wire.pull_fault(error, name, begun=bool(status)) from error
        finally:
            await wire.close()

    async def _listed(self) -> Sequence[ListResponse.Model]:
        with self._wire.faults():
            client = await self._wire.client()
            async with asyncio.timeout(http.LIST_S):
                return [model for model in (await client.list()).models if model.model]

    async def _described(self, listed: Sequence[ListResponse.Model], shown: Sequence[Shown | None]) -> list[ModelInfo]:
        held = await self._held() or {}
        here = self._endpoint.local
        places = await asyncio.to_thread(self._places) if here else {}
        infos = []
        for model, each in zip(listed, shown, strict=True):
            told, entry = each.told if each else None, held.get(full_name(model.model or ""))
            blob, projector_bytes = places.get(model.digest or "", (None, 0))
            infos.append(
                replace(
                    model_info(self._endpoint, model, told),
                    resident_bytes=None if entry is None else int(entry.size_vram or 0),
                    location=str(blob or blob_named_by(told)) if here else "",
                    projector_bytes=projector_bytes,
                )
            )
        return await self._with_headers(infos, listed, shown)

    async def _with_headers(
        self, infos: Sequence[ModelInfo], listed: Sequence[ListResponse.Model], shown: Sequence[Shown | None]
    ) -> list[ModelInfo]:
        """With what the server says of the files that can't be read from here. Who is not in time, goes without."""
        lacking = {
            number: each
            for number, (info, each) in enumerate(zip(infos, shown, strict=True))
            if each is not None and info.local and not info.location
        }
        whole = await _in_time(partial(self._desk.whole, listed[number], each) for number, each in lacking.items())
        headers = {number: each.header for number, each in zip(lacking, whole, strict=True) if isinstance(each, Shown)}
        return [replace(info, header=headers.get(number)) for number, info in enumerate(infos)]

    def _places(self) -> dict[str, tuple[Path, int]]:
        """By digest: the file with the weights, and the bytes of the one that looks at images."""
        found = installed() if self._models_folder is None else models_in(self._models_folder)
        return {model.digest: (model.blob, _size(model.projector)) for model in found}

    async def _held(self) -> dict[str, ProcessResponse.Model] | None:
        """What is in its memory now, by full name; None when it does not say."""
        try:
            with self._wire.faults():
                client = await self._wire.client()
                async with asyncio.timeout(http.LIST_S):
                    found = (await client.ps()).models
        except SeatError:  # what is really wrong, the next request says as well
            return None
        # What has the longest time left comes first. A model that was fetched anew may be there twice for a while.
        held = {full_name(entry.model or entry.name or ""): entry for entry in reversed(found)}
        self._note(held)
        return held

    def _note(self, held: Mapping[str, ProcessResponse.Model]) -> None:
        """Bring what is known to be loaded up to date: other programs load and unload as well."""
        until_ns = time.monotonic_ns() + _KEEP_NS
        known, self._loaded = self._loaded, {}
        for name, entry in held.items():
            digest = _hex(entry.digest)
            if name in known and (known[name].told, known[name].digest) == (entry.context_length, digest):
                self._loaded[name] = known[name]
            elif entry.context_length:
                self._loaded[name] = _Loaded(entry.context_length, entry.context_length, until_ns, digest)

    async def _load(self, contestant: Contestant) -> AsyncGenerator[float, None]:
        """One try to load it. Yields ms once."""
        name, context = full_name(contestant.ref.name), contestant.context
        await self._check(contestant)
        before = await self._held()
        if before is not None and name not in before:
            self._own.add(name)  # already now: a load that is called off may go on over there
        with self._wire.faults():
            client = await self._wire.client()
            began_ns = time.monotonic_ns()
            await client.generate(contestant.ref.name, options={"num_ctx": context}, keep_alive=KEEP_ALIVE)
            took_ms = (time.monotonic_ns() - began_ns) / NS_PER_MS
        ready = before is not None and self._was_ready(before.get(name), contestant)
        if not ready:
            self._asked.forget(name)
        after = before if ready else await self._held()
        entry = after.get(name) if after else None
        told, digest = (entry.context_length, _hex(entry.digest)) if entry else (None, "")
        self._loaded[name] = _Loaded(context, told, time.monotonic_ns() + _KEEP_NS, digest)
        yield 0.0 if ready else took_ms

    async def _check(self, contestant: Contestant) -> None:
        """Raise SeatError when the name stands for another model by now, or when too little was known of it.

        To fetch or to create a model anew puts other weights under the same name.
        """
        if not contestant.ref.digest:
            return
        with self._wire.faults():
            client = await self._wire.client()
            listed = (await client.list()).models  # as patient as with the load itself
        name = full_name(contestant.ref.name)
        model = next((each for each in listed if each.model and full_name(each.model) == name), None)
        if model is None:  # the load says so, and what to do
            return
        if _differs(contestant, model.digest):
            raise SeatError("This model has changed since it was chosen.", _ANEW)
        shown = await self._desk.show(model)
        info = model_info(self._endpoint, model, shown.told if shown else None)
        if info.template_hash != contestant.template_hash or contestant.context > (info.context or contestant.context):
            raise SeatError("Not all was known of this model when it was chosen.", _ANEW)

    def _was_ready(self, entry: ProcessResponse.Model | None, contestant: Contestant) -> bool:
        """Whether what the server held is this very contestant, with its context."""
        if entry is None or _differs(contestant, entry.digest):
            return False
        mine = self._loaded.get(full_name(contestant.ref.name))
        as_before = mine is not None and (mine.context, mine.told) == (contestant.context, entry.context_length)
        return as_before or entry.context_length == contestant.context

    async def _unload(self, name: str) -> None:
        """Have it unloaded, and wait a moment until it is gone: Ollama answers before. Never raises."""
        with suppress(ArenaError), self._wire.faults():
            async with asyncio.timeout(_UNLOAD_S):
                client = await self._wire.client()
                await client.generate(name, keep_alive=0)
                while name in (await self._held() or {}):  # noqa: ASYNC110 - only the server knows
                    await asyncio.sleep(0.05)

    async def _answer(self, request: Request) -> AsyncGenerator[Piece, None]:
        """One try to ask. `Sent` comes with the first frame: before it, another try may follow."""
        splitter, begun, reused = ThoughtSplitter(), False, False
        try:
            client = await self._wire.client()
            sent_ns = time.monotonic_ns()
            frames = await client.chat(**question(request), stream=True)
            async with aclosing(cast("AsyncGenerator[ChatResponse, None]", frames)) as answer:
                async for frame in answer:
                    if not begun:
                        begun = True
                        reused = self._asked.again(full_name(request.contestant.ref.name), request.messages)
                        yield Sent(sent_ns)
                    for chunk in chunks_of(frame, splitter):
                        yield chunk
                    if frame.done:
                        self._used(request.contestant)
                        yield usage_of(frame, reused=reused)
                        return
            raise EOFError  # noqa: TRY301 - a connection that broke off, as all the others
        except Exception as error:
            raise self._wire.fault(error, streaming=begun) from error

    def _used(self, contestant: Contestant) -> None:
        """Its ten minutes begin again."""
        name = full_name(contestant.ref.name)
        if name in self._loaded:
            self._loaded[name] = replace(self._loaded[name], until_ns=time.monotonic_ns() + _KEEP_NS)


async def _in_time(questions: Iterable[Callable[[], Coroutine[Any, Any, _T]]]) -> list[_T | BaseException]:
    """The answers, asked for a few at once, or their faults: CancelledError for what does not come within LIST_S."""
    few = asyncio.Semaphore(_SHOWS_AT_ONCE)

    async def ask(question: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        async with few:
            return await question()

    tasks = [asyncio.create_task(ask(question)) for question in questions]
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=http.LIST_S)
    finally:
        for task in tasks:
            task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


def _why_untold(fault: BaseException) -> str:
    """The note of a model of which the server did not say what it is."""
    return fault.sentence if isinstance(fault, ArenaError) else "Its details did not come in time; look again."


def _differs(contestant: Contestant, digest: str | None) -> bool:
    """Whether that is the digest of another model, as far as both are known."""
    return bool(contestant.ref.digest and digest and _hex(digest) != contestant.ref.digest)


def _hex(digest: str | None) -> str:
    return (digest or "").removeprefix("sha256:")


def _size(path: Path | None) -> int:
    """Bytes of a file; 0 for none, and for one that can't be looked at."""
    try:
        return path.stat().st_size if path else 0
    except OSError:
        return 0
