"""Models behind a server that speaks the OpenAI wire: vLLM, llama-server, LM Studio, transformers serve and others."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from arena.backends import http, httpx, openai_flavours
from arena.backends.bounds import UNPACKED, bounded
from arena.backends.last_asked import LastAsked
from arena.backends.openai_faults import in_words
from arena.backends.openai_flavours import GENERIC, LLAMA_SERVER, LM_STUDIO, TRANSFORMERS, Flavour
from arena.backends.openai_frames import Reading
from arena.backends.openai_stream import body_of, drain, frames_of, heard_within
from arena.backends.secrets import Secret
from arena.core.endpoints import Endpoint
from arena.core.errors import ArenaError, MissingModelError, PassingFaultError, SeatError
from arena.core.events import Chunk, Piece, Sent
from arena.core.models import Contestant, ModelInfo, ModelRef
from arena.core.ports import Request
from arena.core.text import clean_line

_WARM_S = 240.0
"""The model that answered last is taken for loaded that long: `transformers serve` unloads after 300 s."""
_POLL_S = 1.0
_CHAT = "/chat/completions"
_NO_LIST = frozenset({404, 405, 500, 501})
_UNTOLD = frozenset({GENERIC.name, LLAMA_SERVER.name})
"""Flavours that may answer by any name when they list none."""
_LIST_CHARS, _ANSWER_CHARS, _FAULT_CHARS = 4_000_000, 16_000_000, 64_000


class OpenAIBackend:
    """One server. It is asked for its models first, which tells its flavour and so how it spells its settings."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Nothing is asked yet."""
        self.endpoints: tuple[str, ...] = (endpoint.name, *endpoint.aliases)
        self.at: Endpoint | None = endpoint
        self._endpoint = endpoint
        """Under the name of its flavour, once that is known."""
        self._flavour: Flavour = GENERIC
        self._client: httpx.AsyncClient | None = None
        self._infos: dict[str, ModelInfo] = {}
        self._ids: dict[str, str] = {}
        """The server's own name of each model; one that it does not list goes by the name that it was given."""
        self._listless: ArenaError | None = None
        """What it says instead of a list."""
        self._last = ("", 0.0)
        """Which model was used last, and when, in seconds on the monotonic clock."""
        self._refused: set[str] = set()
        self._latest = LastAsked()
        self._unpinned = False
        self._turn = asyncio.Lock()

    async def models(self) -> Sequence[ModelInfo]:
        """What it lists. Raises ArenaError when it can't be reached or does not speak this wire."""
        if not self._endpoint.wanted:
            await http.knock(self._endpoint)
        await self._survey()
        if self._listless is not None:
            raise self._listless
        return list(self._infos.values())

    async def find(self, ref: ModelRef) -> ModelInfo:
        """The model of that name, the server's own or as it is listed. Raises MissingModelError, or ArenaError."""
        await self._survey()
        return self._known(ref.name)

    async def prepare(self, contestant: Contestant) -> float:
        """Make the server load the model with a tiny question. Returns ms, 0 when it was used a moment ago."""
        name = contestant.ref.name
        if self._is_warm(name):
            return 0.0
        began, patience, tries = time.monotonic(), self._endpoint.silence_s, http.ATTEMPTS
        while True:
            try:
                await self._warm_up(name)
            except PassingFaultError as fault:
                loading = isinstance(fault, _LoadingError)
                tries -= not loading
                pause = min(fault.after_s, _POLL_S) if loading else fault.after_s
                if not tries or pause > http.MOST_PATIENCE_S or time.monotonic() + pause - began > patience:
                    raise
                await asyncio.sleep(pause)
            except MissingModelError as fault:
                raise SeatError(fault.sentence, fault.hint) from fault
            else:
                self._last = name, time.monotonic()
                return (time.monotonic() - began) * 1000

    async def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """Sent when it answers, chunks, then Usage. Closing the iterator ends the connection. Raises SeatError."""
        await self.prepare(request.contestant)
        async with self._alone():
            pieces = http.retried(lambda: self._answer(request))
            try:
                async for piece in pieces:
                    yield piece
            finally:
                await pieces.aclose()
        self._last = request.contestant.ref.name, time.monotonic()

    def is_loaded(self, contestant: Contestant) -> bool:
        """Whether it is the model that answered last, a short while ago."""
        return self._is_warm(contestant.ref.name)

    async def release(self, contestant: Contestant) -> None:
        """Forget that it is loaded: this wire has no word for unloading."""
        if self._last[0] == contestant.ref.name:
            self._last = "", 0.0

    async def close(self) -> None:
        """Close the connections. The next question opens new ones."""
        client, self._client = self._client, None
        self._last, self._infos, self._unpinned = ("", 0.0), {}, False
        self._refused.clear()
        self._latest.forget_all()
        if client is not None:
            await client.aclose()

    # What there is

    async def _survey(self) -> None:
        """Ask what there is, which tells the flavour too. During an answer, what was found before has to do."""
        if self._flavour.one_at_a_time and self._turn.locked():
            return
        props: object = None
        async with self._alone():
            with in_words(self._endpoint, self._secret(), listing=True):
                async with asyncio.timeout(2 * http.LIST_S):  # there are some questions, and each may take its time
                    entries = await self._listed()
                    flavour = openai_flavours.by_owner(entries or ())
                    if flavour is None:
                        flavour, entries = await self._look_closer(entries)
                    if flavour is TRANSFORMERS:
                        entries = await self._pinned(entries or [])
                    if flavour is LLAMA_SERVER and entries and len(entries) == 1 and "status" not in entries[0]:
                        props = await self._maybe(self._root + "/props")
                names = openai_flavours.named(entries or ())
        name = flavour.name if flavour.name in self.endpoints else self.endpoints[0]
        self._flavour = flavour
        self._endpoint = at = replace(self._endpoint, name=name)
        self._ids = {each: entry["id"] for each, entry in names.items()}
        about = props if isinstance(props, dict) else {}
        self._infos = {
            each: openai_flavours.described(each, entry, flavour, at, about) for each, entry in names.items()
        }

    async def _listed(self) -> list[dict[str, Any]] | None:
        """What /models lists; None: there is no such list."""
        response, text = await self._brief(self._base + "/models")
        self._listless = None if response.is_success else self._status_fault(response, text)
        if response.status_code in _NO_LIST:
            return None
        if self._listless is not None:
            raise self._listless
        if http.is_page(response):
            raise http.page_fault(self._endpoint)
        found = json.loads(text)
        if not isinstance(found, dict | list):
            raise http.garbage_fault(self._endpoint, text)
        return openai_flavours.listed(found)

    async def _look_closer(self, entries: list[dict[str, Any]] | None) -> tuple[Flavour, list[dict[str, Any]] | None]:
        """The flavour of a server that its list does not tell, and what it lists."""
        own = await self._maybe(self._root + "/api/v0/models")
        if openai_flavours.is_lm_studio(own):
            return LM_STUDIO, openai_flavours.listed(own)
        pages = await self._maybe(self._root + "/openapi.json")
        return openai_flavours.by_paths(pages, self._endpoint, entries or ()), entries

    async def _pinned(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What `transformers serve` answers for: it lists all models on the disk even where it serves but one.

        Its refusal of a name that can't be one tells which. Where it refuses none, its log gets an error, so once only.
        """
        if self._unpinned:
            return entries
        question = {"model": "//", "messages": []}
        _, text = await self._brief(self._base + _CHAT, question)
        only = openai_flavours.pinned_to(http.message_of(text, 2000))
        self._unpinned = not only
        self._listless = None
        return [{"id": only}] if only else entries

    async def _maybe(self, url: str) -> object:
        """The JSON at that address; None when there is none."""
        response, text = await self._brief(url)
        try:
            return json.loads(text) if response.is_success else None
        except (ValueError, RecursionError):
            return None

    async def _brief(self, url: str, question: Mapping[str, Any] | None = None) -> tuple[httpx.Response, str]:
        """The answer to something that a server knows at once, and its body."""
        try:
            return await self._asked(url, question)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            # uvicorn closes a connection behind a status of 500 without having said so
            return await self._asked(url, question)

    async def _asked(self, url: str, question: Mapping[str, Any] | None) -> tuple[httpx.Response, str]:
        method, options = "GET" if question is None else "POST", self._options(question, listing=True)
        async with heard_within(http.LIST_S), self._client_now.stream(method, url, **options) as response:
            return response, await body_of(response, _LIST_CHARS, http.LIST_S)

    def _known(self, name: str) -> ModelInfo:
        """The model of that name. Raises MissingModelError."""
        if (info := self._infos.get(openai_flavours.called(name, self._ids))) is not None:
            return info
        at = self._endpoint
        if not self._infos and self._flavour.name in _UNTOLD:
            ref, can = ModelRef(at.name, name), openai_flavours.adjustable(self._flavour)
            return ModelInfo(ref, location=at.shown_url, local=at.local, adjustable=can)
        names = ", ".join(clean_line(each, 60) for each in list(self._infos)[:20])
        hint = f"There are: {names}." if names else f"Load or fetch a model at {at.name} first."
        raise MissingModelError(f"There is no model {at.name}/{clean_line(name, 100)}.", hint)

    def _id_of(self, name: str) -> str:
        """The server's own name of a model."""
        return self._ids.get(openai_flavours.called(name, self._ids), name)

    # Questions

    async def _warm_up(self, name: str) -> None:
        if name not in self._infos:
            await self.find(ModelRef(self._endpoint.name, name))
        body = openai_flavours.warm_up_of(self._flavour, self._id_of(name))
        self._latest.forget(self._id_of(name))
        async with self._alone():
            with in_words(self._endpoint, self._secret()):
                async with self._post(body) as (response, _):
                    text = await self._body(response, _ANSWER_CHARS)
                    if http.is_page(response):
                        raise http.page_fault(self._endpoint)
                    if "json" in response.headers.get("content-type", ""):
                        Reading(self._endpoint).frame(text)  # raises what it says went wrong

    async def _answer(self, request: Request) -> AsyncGenerator[Piece, None]:
        """One try. Sent goes before the first piece, so that a try that failed before it leaves no trace."""
        model = self._id_of(request.contestant.ref.name)
        body = openai_flavours.body_of(request, self._flavour, model, self._refused)
        reading, secret = Reading(self._endpoint), self._secret()
        with in_words(self._endpoint, secret, lambda: reading.begun):
            async with self._post(body) as (response, at_ns):
                told, again = False, self._latest.again(model, request.messages)
                async with aclosing(self._chunks(response, reading)) as chunks:
                    async for chunk in chunks:
                        if not told:
                            yield Sent(at_ns)
                        told = True
                        yield chunk
            if not told:
                yield Sent(at_ns)
            usage, off = reading.usage(), body.get("cache_prompt") is False
            yield replace(usage, reused=again and usage.cached_tokens is None and not off)

    async def _chunks(self, response: httpx.Response, reading: Reading) -> AsyncGenerator[Chunk, None]:
        """The text of an answer, to its proper end. Raises SeatError when there is none."""
        kind = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
        if http.is_page(response):
            raise http.page_fault(self._endpoint)
        if kind and kind != "text/event-stream":
            for chunk in reading.whole(await self._body(response, _ANSWER_CHARS)):
                yield chunk
        else:
            async with aclosing(frames_of(response, self._endpoint, lambda: bool(reading.finish))) as frames:
                async for frame in frames:
                    for chunk in reading.frame(frame.data, frame.event):
                        yield chunk
                    if reading.ended:
                        break
                await drain(frames)
            if not reading.finish:
                self._check_end(reading)
        for chunk in reading.rest():
            yield chunk

    def _check_end(self, reading: Reading) -> None:
        """Raise SeatError for a stream that did not say why it ended, unless it said that it did."""
        name = self._endpoint.name
        if reading.ended and not self._flavour.one_at_a_time:
            return
        if reading.ended:
            raise SeatError(
                f"{name} broke off this answer to turn to another request.",
                "Let nothing else ask it meanwhile, or start it with `--interrupt_requests False`.",
            )
        if not reading.begun:
            raise SeatError(
                f"{name} ended its answer before the first word.",
                "Look at its log; the prompt may be longer than its context.",
            )
        raise http.transport_fault(httpx.RemoteProtocolError("ended"), self._endpoint, streaming=True)

    @asynccontextmanager
    async def _post(self, body: Mapping[str, Any]) -> AsyncIterator[tuple[httpx.Response, int]]:
        """The answer to a question, and when it went out. What the server refuses to know is left out and remembered.

        Raises SeatError for any status but success.
        """
        asked = dict(body)
        async with AsyncExitStack() as stack:
            while True:
                options, at_ns = self._options(asked), time.monotonic_ns()
                call = self._client_now.stream("POST", self._base + _CHAT, **options)
                async with heard_within(self._endpoint.silence_s):
                    response = await stack.enter_async_context(call)
                if response.is_success:
                    yield response, at_ns
                    return
                text = await self._body(response, _FAULT_CHARS)
                message = openai_flavours.complaint(text) if response.status_code in (400, 422) else ""
                room = openai_flavours.room_left(message)
                if name := openai_flavours.refused(message, asked):
                    self._refused.add(name)
                    del asked[name]
                elif 0 < room < asked["max_tokens"]:
                    asked["max_tokens"] = room
                else:
                    raise self._status_fault(response, text, str(asked["model"]))

    async def _body(self, response: httpx.Response, limit: int) -> str:
        """What comes in one piece must not take longer than what comes piece by piece may be silent."""
        return await body_of(response, limit, self._endpoint.silence_s)

    def _status_fault(self, response: httpx.Response, text: str, model: str = "") -> ArenaError:
        fault = http.status_fault(
            response.status_code, self._secret().out_of(text), self._endpoint, model, response.headers
        )
        if response.status_code == 503 and isinstance(fault, PassingFaultError):
            return _LoadingError(fault.sentence, fault.hint, fault.after_s)
        return fault

    def _alone(self) -> AbstractAsyncContextManager[None]:
        """Nothing else is asked meanwhile, where it would break off an answer."""
        return self._turn if self._flavour.one_at_a_time else nullcontext()

    def _is_warm(self, name: str) -> bool:
        last, at = self._last
        return last == name and time.monotonic() - at < _WARM_S

    # The connection

    @property
    def _client_now(self) -> httpx.AsyncClient:
        if self._client is None:
            hooks = {"response": [bounded(self._endpoint)]}
            options = http.client_options(self._endpoint)
            self._client = httpx.AsyncClient(event_hooks=hooks, headers=UNPACKED, **options)
        return self._client

    def _options(self, body: Mapping[str, Any] | None = None, *, listing: bool = False) -> dict[str, Any]:
        """What goes along with a request: the key, the question, and how long its answer is waited for."""
        headers = {"Accept": "application/json" if listing else "text/event-stream, application/json"}
        options: dict[str, Any] = {"headers": {**headers, **self._secret().headers}}
        if body is not None:
            options["headers"]["Content-Type"] = "application/json"
            options["content"] = json.dumps(body).encode()
        if listing:
            options["timeout"] = httpx.Timeout(http.LIST_S, connect=http.CONNECT_S)
        return options

    def _secret(self) -> Secret:
        return Secret.of(self._endpoint)

    @property
    def _base(self) -> str:
        """The address of the API: /v1 where the url names no path."""
        try:
            parts = urlsplit(self._endpoint.url.strip())
            _ = parts.port  # raises for one that is none
        except ValueError as error:
            raise httpx.InvalidURL(str(error)) from error
        path = parts.path.rstrip("/").removesuffix(_CHAT)
        return parts._replace(path=path or "/v1", query="", fragment="").geturl()

    @property
    def _root(self) -> str:
        return self._base.removesuffix("/v1")


class _LoadingError(PassingFaultError):
    """The server is there and its model is not yet."""
