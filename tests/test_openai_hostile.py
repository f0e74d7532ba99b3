"""Servers that never come to an end, or that say far too much: they hold up neither a question nor anybody else."""

from __future__ import annotations

import re

import pytest

from arena.backends import openai_flavours
from arena.backends.openai import OpenAIBackend
from arena.backends.openai_faults import Secret, in_words
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import ArenaError, MissingModelError, SeatError
from arena.core.events import Chunk, Usage
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from arena.engine.room import Room
from arena.lineup import Lineup
from arena.watch import Watch
from faulty_server import TEXT, Act, FaultyServer, said, status, stream

SAMPLING = Sampling(seed=3, max_tokens=20)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
DRIPPING_HEAD = Act(HEAD, "drip")
DRIPPING_BODY = Act(HEAD + b"\r\n", "drip")
LLAMA = {"owned_by": "llamacpp"}
COUNTS = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}
LONG = "x" * 2_000_000
BIG = 10**400


@pytest.fixture
async def backend_at():
    """Backends to close when the test is over."""
    opened = []

    def opening(url, **options):
        opened.append(OpenAIBackend(Endpoint("cluster", Wire.OPENAI, url, **{"silence_s": 5.0, **options})))
        return opened[-1]

    yield opening
    for backend in opened:
        await backend.close()


async def ask(backend):
    info, *_ = await backend.models()
    request = Request(Contestant.of(info, SAMPLING), Prompt("Hi there"), SAMPLING)
    return [piece async for piece in backend.stream(request)]


def text_of(pieces):
    return "".join(piece.text for piece in pieces if isinstance(piece, Chunk))


# What drips


@pytest.mark.parametrize("act", [DRIPPING_HEAD, DRIPPING_BODY])
@pytest.mark.parametrize("where", ["listing", "pages"])
async def test_a_list_that_drips_is_given_up(act, where, backend_at, monkeypatch):
    monkeypatch.setattr("arena.backends.http.LIST_S", 0.2)
    says = r"cluster did not answer at .* within 0\.2 s\. It may be busy"
    with FaultyServer(**{where: act}) as server, pytest.raises(SeatError, match=says):
        await backend_at(server.url).models()


async def test_questions_that_take_too_long_together_are_given_up(backend_at, monkeypatch):
    monkeypatch.setattr("arena.backends.http.LIST_S", 0.4)
    says = r"cluster did not answer at .* within 0\.4 s\."
    with FaultyServer(pause_s=0.3) as server, pytest.raises(SeatError, match=says):
        await backend_at(server.url).models()


@pytest.mark.parametrize(
    ("acts", "says"),
    [
        ({"warming": (DRIPPING_HEAD,)}, r"cluster said nothing for 0\.3 s\."),
        ({"warming": (DRIPPING_BODY,)}, r"cluster did not come to the end of its answer within 0\.3 s\. .*`silence_s`"),
        ({"warming": (Act(DRIPPING_BODY.raw.replace(b"200", b"500"), "drip"),)}, r"cluster did not come to the end"),
        ({"acts": (DRIPPING_HEAD,)}, r"cluster said nothing for 0\.3 s\."),
        ({"acts": (DRIPPING_BODY,)}, r"cluster did not come to the end of its answer within 0\.3 s\."),
        ({"acts": (stream(said("Once"), then="drip"),)}, r"cluster said nothing for 0\.3 s\."),
    ],
)
async def test_an_answer_that_drips_is_given_up(acts, says, backend_at):
    with FaultyServer(*acts.pop("acts", ()), **acts) as server, pytest.raises(SeatError) as caught:
        await ask(backend_at(server.url, silence_s=0.3))
    assert re.match(says, str(caught.value)), str(caught.value)


# What is too much


@pytest.mark.parametrize("frame", [f"data: {LONG}", f": {LONG}", f"event: {LONG}", "data: x\n" * 200_000])
async def test_a_frame_without_an_end_is_not_kept(frame, backend_at):
    act, says = stream(said("Once"), frame, then="hang", end="\n"), r"is no answer: a line without an end\."
    with FaultyServer(act) as server, pytest.raises(SeatError, match=says):
        await ask(backend_at(server.url))


async def test_a_long_answer_is_no_endless_frame(backend_at):
    frames = [said("x" * 100_000)] * 30
    with FaultyServer(stream(*frames, said(finish="stop"), "data: [DONE]")) as server:
        assert len(text_of(await ask(backend_at(server.url)))) == 3_000_000


async def test_what_comes_behind_the_end_is_no_fault(backend_at):
    with FaultyServer(stream(said(TEXT, "stop"), "data: [DONE]", f"data: {LONG}", then="hang")) as server:
        assert text_of(await ask(backend_at(server.url))) == TEXT


async def test_a_list_without_an_end_is_not_kept(backend_at):
    endless = Act(status(200).raw.replace(b"Content-Length: 0", b"X: 0") + b'{"data": [' + b" " * 5_000_000, "hang")
    with FaultyServer(listing=endless) as server, pytest.raises(SeatError, match="sent something that is no answer"):
        await backend_at(server.url).models()


async def test_numbers_beyond_all_bounds_are_no_counts(backend_at):
    usage = {"prompt_tokens": BIG, "completion_tokens": 2**63}
    timings = {"predicted_n": 5, "predicted_ms": BIG, "prompt_ms": 1e308}
    with FaultyServer(stream({**said(TEXT, "stop"), "usage": usage, "timings": timings})) as server:
        assert (await ask(backend_at(server.url)))[-1] == Usage(out_tokens=5, source="server")


# What is over, though the server holds the stream open


@pytest.mark.parametrize("then", ["hang", "drip", "close"])
@pytest.mark.parametrize("behind", [(), (COUNTS,)])
async def test_an_answer_with_its_finish_reason_is_whole(then, behind, backend_at, monkeypatch):
    monkeypatch.setattr("arena.backends.openai_stream._GRACE_S", 0.3)
    act = stream(said(TEXT), said(" <thi"), said(finish="length"), *behind, then=then)
    promising_more = act.raw.replace(b"Connection", b"Content-Length: 9999\r\nConnection", 1)
    with FaultyServer(Act(promising_more, then)) as server:
        pieces = await ask(backend_at(server.url))
    assert text_of(pieces) == f"{TEXT} <thi"
    counted = {"prompt_tokens": 9, "out_tokens": 5, "source": "usage"}
    assert pieces[-1] == Usage(finish="length", **(counted if behind else {"source": "estimate"}))


async def test_what_may_be_a_tag_is_not_held_back_behind_the_finish_reason(backend_at):
    with FaultyServer(stream(said("<thi"), said(finish="stop"), then="hang")) as server:
        backend = backend_at(server.url)
        info, *_ = await backend.models()
        pieces = backend.stream(Request(Contestant.of(info, SAMPLING), Prompt("Hi there"), SAMPLING))
        await anext(pieces)
        assert await anext(pieces) == Chunk("<thi")
        await pieces.aclose()


# What is odd


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://127.0.0.1:-1", f"http://{'a' * 70}.localhost:80"])
async def test_an_address_that_can_not_be(url, backend_at):
    with pytest.raises(ArenaError, match=r"is no address of a server\.|There is no host of that name"):
        await backend_at(url).models()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OverflowError("int too large"), "cluster sent something that is no answer: int too large."),
        (OSError("gone"), "cluster closed the connection without an answer."),
        (SeatError("It is so.", "Well."), "It is so."),
        (TypeError("odd"), "cluster closed the connection without an answer."),
        (UnicodeError("label too long"), "http://127.0.0.1:1 is no address of a server."),
    ],
)
def test_errors_that_come_wrapped_have_their_sentence(error, says):
    group = ExceptionGroup("unhandled errors in a TaskGroup", [ExceptionGroup("inner", [error])])
    with (
        pytest.raises(ArenaError) as caught,
        in_words(Endpoint("cluster", Wire.OPENAI, "http://127.0.0.1:1"), Secret()),
    ):
        raise group
    assert caught.value.sentence == says


class Fake:
    """A backend that lists one model, or fails."""

    at = None

    def __init__(self, name, fault=None):
        self.endpoints = (name,)
        self._fault = fault

    async def models(self):
        if self._fault is not None:
            raise self._fault
        return [ModelInfo(ModelRef(self.endpoints[0], "one"))]

    async def close(self):
        pass


@pytest.mark.parametrize("fault", [TypeError("odd"), ExceptionGroup("many", [OverflowError("port")])])
def test_one_odd_backend_does_not_take_the_list_down(fault):
    room, watch = Room(), Watch(512)
    lineup = Lineup(lambda: (Fake("odd", fault), Fake("good")), room, watch, SAMPLING)
    try:
        odd, good = lineup.reach().result(20)
    finally:
        room.close(lineup.close)
        watch.close()
    assert [info.ref.name for info in good.infos] == ["one"]
    assert (odd.name, odd.infos) == ("odd", ())
    assert odd.fault.sentence == f"odd can't be asked for its models ({type(fault).__name__})."
    assert odd.fault.hint


# What a model is called


def test_the_folder_of_a_file_is_no_part_of_its_name():
    ids = ("models/x.gguf", "C:\\m\\y.GGUF", "m\\z.gguf", "org/repo/w.gguf", "org/three", "org/four:Q4_K_M")
    names = ["x", "y", "z", "w", "org/three", "org/four:Q4_K_M"]
    assert list(openai_flavours.named([{"id": each} for each in ids])) == names
    twins = openai_flavours.named([{"id": "models/x.gguf"}, {"id": "other/x.gguf"}])
    assert list(twins) == ["x", "other/x.gguf"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x", "x"),
        ("x.gguf", "x"),
        ("models/x.gguf", "x"),
        ("/elsewhere/x.gguf", "x"),
        ("three", "org/three"),
        ("other/three", None),
        ("/elsewhere/three", None),
        ("twin", "twin"),
        ("/b/twin.gguf", "b/twin.gguf"),
        ("/c/twin.gguf", None),
        ("nobody", None),
        ("", None),
    ],
)
async def test_a_model_is_found_by_the_last_part_of_its_name(name, found, backend_at):
    ids = ("models/x.gguf", "org/three", "/a/twin.gguf", "/b/twin.gguf")
    with FaultyServer(listing=status(200, {"data": [{"id": each, **LLAMA} for each in ids]})) as server:
        backend = backend_at(server.url)
        if found is None:
            with pytest.raises(MissingModelError):
                await backend.find(ModelRef("cluster", name))
        else:
            assert (await backend.find(ModelRef("cluster", name))).ref.name == found


async def test_it_is_asked_by_the_name_that_the_server_has_for_it(backend_at):
    with FaultyServer(listing=status(200, {"data": [{"id": "models/x.gguf", **LLAMA}]})) as server:
        backend = backend_at(server.url)
        (info,) = await backend.models()
        assert info.location == server.url, "where `models/` is, only the server knows"
        for name in ("x", "models/x.gguf", "/elsewhere/x.gguf"):
            one = Contestant(ModelRef("cluster", name))
            assert [piece async for piece in backend.stream(Request(one, Prompt("Hi"), SAMPLING))]
        assert {chat["model"] for chat in server.chats} == {"models/x.gguf"}
