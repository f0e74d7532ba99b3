"""Whoever plays is who was chosen: other weights under the same name, or details that came too late, are no secret."""

from __future__ import annotations

import asyncio

import pytest

from arena.backends.ollama import OllamaBackend
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import SeatError
from arena.core.events import Usage
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from ollama_server import OllamaServer, ServedModel

SAMPLING = Sampling(max_tokens=20, context=2048)
REF = ModelRef("ollama", "m:1")
LATE = "Its details did not come in time; look again."


@pytest.fixture
def server():
    with OllamaServer({"m:1": ServedModel(digest="ab" * 32, trained_context=512)}) as running:
        yield running


@pytest.fixture
async def backend(server):
    made = OllamaBackend(Endpoint("ollama", Wire.OLLAMA, server.url))
    yield made
    await made.close()


async def found(backend):
    return Contestant.of(await backend.find(REF), SAMPLING)


async def ask(backend, who):
    return [piece async for piece in backend.stream(Request(who, Prompt("Hello?"), who.sampling(SAMPLING)))]


@pytest.mark.parametrize("loaded", [False, True])
async def test_a_model_that_was_fetched_anew_does_not_play_as_the_old_one(server, backend, loaded):
    old = await found(backend)
    if loaded:
        await backend.prepare(old)
    server.asked.clear()
    server.models["m:1"].digest = "cd" * 32
    with pytest.raises(SeatError) as caught:
        await backend.prepare(old)
    assert caught.value.sentence == "This model has changed since it was chosen."
    assert caught.value.hint == "Choose it anew in the picker."
    assert not server.bodies("/api/generate"), "nothing is loaded for it"
    new = await found(backend)
    assert new.fingerprint != old.fingerprint
    assert isinstance((await ask(backend, new))[-1], Usage)
    assert backend.is_loaded(new)
    assert not backend.is_loaded(old)


async def test_a_model_that_changed_between_two_answers_is_noticed_at_the_next_list(server, backend):
    old = await found(backend)
    await backend.prepare(old)
    server.models["m:1"].digest = "cd" * 32
    await backend.models()
    with pytest.raises(SeatError, match="has changed"):
        await ask(backend, old)


async def test_a_model_that_is_gone_is_said_to_be(server, backend):
    who = await found(backend)
    del server.models["m:1"]
    with pytest.raises(SeatError, match="does not know m:1"):
        await backend.prepare(who)


async def test_details_that_do_not_come_in_time_are_noted(server, backend, monkeypatch):
    monkeypatch.setattr("arena.backends.http.LIST_S", 0.5)
    server.silent.add("/api/show")
    (late,) = await backend.models()
    assert late.note == LATE
    server.silent.clear()
    (whole,) = await backend.models()
    assert whole.note == ""
    assert Contestant.of(whole, SAMPLING).fingerprint == (await found(backend)).fingerprint


async def test_details_that_can_not_be_had_are_noted(server, backend):
    server.models["m:1"].show_fault = 500
    (info,) = await backend.models()
    assert info.note == "ollama failed (500): something went wrong."


async def test_who_was_chosen_without_details_does_not_play_under_another_identity(server, backend):
    server.models["m:1"].show_fault = 500
    (poor,) = await backend.models()
    server.models["m:1"].show_fault = 0
    who = Contestant.of(poor, SAMPLING)
    assert who.fingerprint != (await found(backend)).fingerprint
    with pytest.raises(SeatError) as caught:
        await backend.prepare(who)
    assert caught.value.sentence == "Not all was known of this model when it was chosen."
    assert caught.value.hint == "Choose it anew in the picker."
    assert not server.loaded


async def test_a_context_that_was_not_known_is_no_other_identity(server, backend):
    server.models["m:1"].template = ""
    server.models["m:1"].show_fault = 500
    (poor,) = await backend.models()
    server.models["m:1"].show_fault = 0
    assert Contestant.of(poor, SAMPLING).context == 2048
    with pytest.raises(SeatError, match="Not all was known"):
        await backend.prepare(Contestant.of(poor, SAMPLING))
    assert await asyncio.wait_for(backend.prepare(await found(backend)), 20) > 0
    assert server.loaded == {"m:1": 512}
