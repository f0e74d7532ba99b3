"""Servers that speak the OpenAI wire: what is asked in each dialect, and what is understood of the answers."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

import faulty_server
from arena.backends import openai_flavours
from arena.backends.openai import OpenAIBackend
from arena.backends.openai_flavours import GENERIC, LLAMA_SERVER, TRANSFORMERS
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import ArenaError, MissingModelError, SeatError
from arena.core.events import Chunk, Sent, Usage
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from arena.core.variants import Variant
from faulty_server import FaultyServer, said, stream
from openai_server import DIALECTS, TEMPLATE, Dialect, OpenAIServer

SAMPLING = Sampling(seed=11, max_tokens=50, context=512, top_k=7, min_p=0.02, repeat_penalty=1.1)
QUESTION = Prompt("Tell me a story about a fox.")
SHARED_PORT = ("transformers", "llama-cpp-python", "llama-server", "localai", "lmstudio", "gpt4all")


def backend_of(url, *, name="vllm", aliases=SHARED_PORT, **options):
    return OpenAIBackend(Endpoint(name, Wire.OPENAI, url, aliases=aliases, **options))


async def ask(backend, variant="", *, prompt=QUESTION, model=0):
    info = (await backend.models())[model].with_variant(Variant.parse(variant) if variant else Variant())
    contestant = Contestant.of(info, SAMPLING)
    request = Request(contestant, prompt, contestant.sampling(SAMPLING))
    return [piece async for piece in backend.stream(request)]


def text_of(pieces, kind="answer"):
    return "".join(piece.text for piece in pieces if isinstance(piece, Chunk) and piece.kind == kind)


@pytest.fixture
async def open_backends():
    """Backends to close when the test is over."""
    opened = []

    def opening(*args, **options):
        opened.append(backend_of(*args, **options))
        return opened[-1]

    yield opening
    for backend in opened:
        await backend.close()


@pytest.mark.parametrize("name", [*DIALECTS])
async def test_every_dialect_is_recognised_and_understood(name, open_backends):
    with OpenAIServer(name) as server:
        backend = open_backends(server.url)
        first, *_ = await backend.models()
        assert first.ref == ModelRef("vllm" if name == "openai" else name, "one")
        assert first.local
        pieces = await ask(backend)
        assert isinstance(pieces[0], Sent)
        assert isinstance(pieces[-1], Usage)
        assert [type(piece) for piece in pieces].count(Usage) == 1
        assert len(text_of(pieces).split()) == 30
        thinks = bool(DIALECTS[name].thought)
        assert text_of(pieces, "thought") == ("let me think " if thinks else "")
        usage = pieces[-1]
        counted = DIALECTS[name].usage
        assert usage.source == ("usage" if counted else "estimate")
        assert usage.out_tokens == ((33 if thinks else 30) if counted else None)
        assert usage.prompt_tokens == (11 if counted else None)
        assert usage.finish == "stop"


@pytest.mark.parametrize(
    ("name", "samplers"),
    [
        ("openai", {"temperature": 0.7, "top_p": 0.95}),
        ("vllm", {"temperature": 0.7, "top_p": 0.95, "top_k": 7, "min_p": 0.02, "repetition_penalty": 1.1}),
        ("lmstudio", {"temperature": 0.7, "top_p": 0.95, "top_k": 7, "repeat_penalty": 1.1}),
        ("llama-cpp-python", {"temperature": 0.7, "top_p": 0.95, "top_k": 7, "min_p": 0.02, "repeat_penalty": 1.1}),
        ("localai", {"temperature": 0.7, "top_p": 0.95, "top_k": 7, "repeat_penalty": 1.1}),
        (
            "llama-server",
            {
                "temperature": 0.7,
                "top_p": 0.95,
                "top_k": 7,
                "min_p": 0.02,
                "repeat_penalty": 1.1,
                "cache_prompt": False,
            },
        ),
    ],
)
async def test_settings_are_spelled_as_the_server_reads_them(name, samplers, open_backends):
    with OpenAIServer(name) as server:
        backend = open_backends(server.url)
        await ask(backend, "system=Be brief.", prompt=Prompt("Hi \ud800there"))
        (body,) = server.chats
    roles = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi \ufffdthere"}]
    always = {"stream": True, "stream_options": {"include_usage": True}, "seed": 11, "max_tokens": 50}
    assert body == {"model": "one", "messages": roles, **always, **samplers}


async def test_transformers_serve_is_told_to_sample_at_all(open_backends):
    with OpenAIServer("transformers") as server:
        backend = open_backends(server.url)
        await ask(backend)
        await ask(backend, "temperature=0")
        warm, cold = server.chats
    assert (warm["temperature"], warm["top_p"], warm["seed"]) == (0.7, 0.95, 11)
    rest = {"do_sample": True, "min_p": 0.02, "repetition_penalty": 1.1, "top_k": 7}
    assert json.loads(warm["generation_config"]) == rest, "it ignores the temperature of a model that says no do_sample"
    assert json.loads(cold["generation_config"])["do_sample"] is False


async def test_gpt4all_gets_nothing_that_it_refuses(open_backends):
    with OpenAIServer("gpt4all") as server:
        pieces = await ask(open_backends(server.url))
        (body,) = server.chats
    assert set(body) == {"model", "messages", "max_tokens", "temperature", "top_p", "min_p"}
    assert [type(piece) for piece in pieces] == [Sent, Chunk, Usage]


async def test_top_k_of_none_is_spelled_as_vllm_has_it(open_backends):
    with OpenAIServer("vllm") as server:
        await ask(open_backends(server.url), "top_k=0")
        assert server.chats[0]["top_k"] == -1


@pytest.mark.parametrize(
    ("name", "thinking", "told"),
    [
        ("vllm", "off", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("llama-server", "on", {"chat_template_kwargs": {"enable_thinking": True}}),
        ("vllm", "low", {"chat_template_kwargs": {"enable_thinking": True}, "reasoning_effort": "low"}),
        ("transformers", "high", {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "high"}}),
        ("vllm", "default", {}),
    ],
)
async def test_thinking_is_switched_in_the_template(name, thinking, told, open_backends):
    with OpenAIServer(name) as server:
        await ask(open_backends(server.url), f"thinking={thinking}")
        (body,) = server.chats
    assert {key: body[key] for key in ("chat_template_kwargs", "reasoning_effort") if key in body} == told


async def test_what_a_server_can_not_set_is_no_setting_of_its_models(open_backends):
    with OpenAIServer() as server:
        info, *_ = await open_backends(server.url).models()
        assert info.adjustable == {"temperature", "top_p", "system"}
    for flavour in (GENERIC, LLAMA_SERVER, TRANSFORMERS):
        assert not openai_flavours.adjustable(flavour) & {"context", "kv_type"}


async def test_what_is_known_of_models_of_llama_server(open_backends):
    with OpenAIServer("llama-server", models=("/models/one.gguf",)) as server:
        backend = open_backends(server.url)
        (info,) = await backend.models()
        assert str(info.ref) == "llama-server/one"
        assert (info.parameters, info.size_bytes, info.quantization, info.context) == (192832, 205824, "Q8_0", 512)
        assert info.location == "/m/one.gguf"
        assert len(info.template_hash) == 16
        assert TEMPLATE not in repr(info)
        for name in ("one", "/models/one.gguf"):
            assert (await backend.find(ModelRef("llama-server", name))).ref == info.ref
        await ask(backend)
        assert server.chats[0]["model"] == "/models/one.gguf", "it is asked by its own name"


async def test_a_model_is_the_same_contestant_loaded_or_not(open_backends):
    meta = {"n_ctx": 512, "n_ctx_train": 4096, "n_params": 192832, "ftype": "Q8_0"}
    listed = {"id": "one", "owned_by": "llamacpp", "status": {"value": "unloaded"}}
    known = []
    for entry in (listed, {**listed, "status": {"value": "loaded"}, "meta": meta}):
        with FaultyServer(listing=faulty_server.status(200, {"data": [entry]})) as server:
            known += await open_backends(server.url).models()
    assert [info.parameters for info in known] == [None, 192832]
    assert len({Contestant.of(info, SAMPLING).fingerprint for info in known}) == 1


async def test_what_is_known_of_models_of_lm_studio_and_vllm(open_backends):
    with OpenAIServer("lmstudio") as server:
        one, two, nomic = await open_backends(server.url).models()
        assert (one.family, one.quantization, one.context, two.context) == ("qwen3", "Q4_K_M", 32768, 32768)
        assert (one.note, nomic.note) == ("", "It only makes embeddings.")
    with OpenAIServer("vllm", models=("org/one", "nomic-embed-text-v1.5")) as server:
        one, nomic = await open_backends(server.url).models()
        assert (one.context, one.note, one.location) == (2048, "", server.url)
        assert nomic.note == "It only makes embeddings."


async def test_a_server_that_the_user_named_keeps_its_name(open_backends):
    with OpenAIServer("vllm") as server:
        info, *_ = await open_backends(f"{server.url}/v1/", name="cluster", aliases=()).models()
        assert str(info.ref) == "cluster/one"
        assert "thinking" in info.adjustable, "and is recognised all the same"


async def test_two_files_of_one_name_stay_two_models():
    entries = [{"id": "/a/one.gguf"}, {"id": "/b/one.gguf"}, {"id": "two.GGUF"}, {"id": "org/three"}]
    assert list(openai_flavours.named(entries)) == ["one", "b/one.gguf", "two", "org/three"]


@pytest.mark.parametrize(
    "odd", [{"data": [{"id": 3}, {"id": "one", "owned_by": ["x"], "meta": 7}, 5]}, [{"id": "one"}]]
)
async def test_odd_lists_are_read_as_far_as_they_go(odd, open_backends):
    with FaultyServer(listing=faulty_server.status(200, odd)) as server:
        (info,) = await open_backends(server.url).models()
        assert info.ref.name == "one"


async def test_a_model_that_is_not_listed_is_missing(open_backends):
    with OpenAIServer("llama-cpp-python") as server:
        backend = open_backends(server.url)
        with pytest.raises(MissingModelError) as caught:
            await backend.find(ModelRef("vllm", "nobody"))
        assert str(caught.value) == "There is no model llama-cpp-python/nobody. There are: one, two."
        unknown = Contestant(ModelRef("vllm", "nobody"))
        with pytest.raises(SeatError, match="nobody"):
            await backend.prepare(unknown)


async def test_a_server_without_a_list_answers_by_any_name(open_backends):
    with OpenAIServer(listed=False) as server:
        backend = open_backends(server.url)
        with pytest.raises(ArenaError, match="404"):
            await backend.models()
        info = await backend.find(ModelRef("vllm", "one"))
        request = Request(Contestant.of(info, SAMPLING), QUESTION, SAMPLING)
        assert text_of([piece async for piece in backend.stream(request)])


@pytest.mark.parametrize(("dialect", "told"), [("llama-cpp-python", True), ("openai", False), ("llama-server", False)])
async def test_a_question_that_is_put_again_is_told_as_cached_where_nobody_counts(open_backends, dialect, told):
    with OpenAIServer(dialect) as server:
        backend = open_backends(server.url)
        usages = [next(piece for piece in await ask(backend) if isinstance(piece, Usage)) for _ in range(2)]
        assert [usage.reused for usage in usages] == [False, told]


async def test_transformers_serve_with_one_model_lists_that_one(open_backends):
    dialect = Dialect("transformers", done=False, pinned="/models/mine")
    with OpenAIServer(dialect, models=("org/cached",)) as server:
        backend = open_backends(server.url)
        assert [str(info.ref) for info in await backend.models()] == ["transformers/mine"]
        await ask(backend)
        assert server.chats[0]["model"] == "/models/mine"


async def test_transformers_serve_with_all_models_is_asked_for_its_one_only_once(open_backends):
    with OpenAIServer("transformers") as server:
        backend = open_backends(server.url)
        for _ in range(3):
            assert [info.ref.name for info in await backend.models()] == ["one", "two"]
        assert [asked.body["model"] for asked in server.asked if asked.method == "POST"] == ["//"]


async def test_a_setting_that_is_unknown_there_is_left_out_and_remembered(open_backends):
    dialect = Dialect(refuses=frozenset({"seed", "stream_options"}))
    with OpenAIServer(dialect) as server:
        backend = open_backends(server.url)
        assert text_of(await ask(backend))
        assert text_of(await ask(backend))
        assert [("seed" in body, "stream_options" in body) for body in server.chats] == [
            (True, True),
            *[(True, False), (False, False)],
            (False, False),
        ]


async def test_a_refused_sampler_is_a_fault(open_backends):
    with OpenAIServer(Dialect(refuses=frozenset({"top_p"}))) as server:
        backend = open_backends(server.url)
        with pytest.raises(SeatError, match="Unexpected fields"):
            await ask(backend)
        assert len(server.chats) == 1, "without it the contestant would be another one"


async def test_an_answer_gets_the_room_that_is_left(open_backends):
    refusal = {"message": "This model's maximum context length is 64 tokens and your request has 40 input tokens."}
    with FaultyServer(faulty_server.status(400, {"error": refusal})) as server:
        assert text_of(await ask(open_backends(server.url)))
        assert [body["max_tokens"] for body in server.chats] == [50, 24]


async def test_the_warm_up_is_off_the_clock_and_only_where_it_is_needed(open_backends):
    with OpenAIServer() as server:
        backend = open_backends(server.url)
        one, two = (Contestant.of(info, SAMPLING) for info in await backend.models())
        assert await backend.prepare(one) > 0
        assert await backend.prepare(one) == 0
        assert backend.is_loaded(one)
        assert not backend.is_loaded(two)
        await backend.prepare(two)
        await backend.prepare(one)
        assert [body["model"] for body in server.warm_ups] == ["one", "two", "one"]
        await backend.release(one)
        assert not backend.is_loaded(one)
        assert set(server.warm_ups[0]) == {"model", "messages", "max_tokens"}


async def test_one_question_at_a_time_where_another_would_break_off_the_answer(open_backends):
    with OpenAIServer("llama-cpp-python", gap_s=0.002) as server:
        backend = open_backends(server.url)
        info, *_ = await backend.models()
        request = Request(Contestant.of(info, SAMPLING), QUESTION, SAMPLING)
        async with aclosing(backend.stream(request)) as pieces:
            await anext(pieces)
            asked = len(server.asked)
            assert [info.ref.name for info in await backend.models()] == ["one", "two"]
            assert len(server.asked) == asked, "the list of before has to do"
        answers = await asyncio.gather(ask(backend), ask(backend, model=1))
        assert all(len(text_of(pieces).split()) == 30 for pieces in answers)
    with FaultyServer(
        stream(said("Once"), "data: [DONE]"),
        listing=faulty_server.status(200, {"data": [{"id": "one", "owned_by": "me"}]}),
    ) as server:
        with pytest.raises(SeatError, match="broke off this answer to turn to another request") as caught:
            await ask(open_backends(server.url))
        assert "--interrupt_requests" in caught.value.hint


@pytest.mark.parametrize(
    ("frames", "text", "thought"),
    [
        ([said("a\u2028b"), said(finish="stop")], "a\u2028b", ""),
        ([said("<thi"), said("nk>hm</think>Yes"), "data: [DONE]"], "Yes", "hm"),
        ([said(reasoning="hm", reasoning_content="hm"), said("Yes", "stop")], "Yes", "hm"),
        ([said(reasoning_details=[{"type": "reasoning.text", "text": "hm"}]), said("Yes", "stop")], "Yes", "hm"),
        ([said([{"type": "text", "text": "Yes"}], "stop")], "Yes", ""),
        ([{"choices": []}, ": ping", "event: ping", {"id": 1}, said(""), said("Yes", "stop")], "Yes", ""),
        ([said("<thi"), said(finish="stop")], "<thi", ""),
        ([{"choices": [{"index": 1, "delta": {"content": "no"}}]}, said("Yes", "tool_calls")], "Yes", ""),
    ],
)  # fmt: skip
async def test_every_way_to_say_it_is_understood(frames, text, thought, open_backends):
    with FaultyServer(stream(*frames)) as server:
        pieces = await ask(open_backends(server.url))
        assert (text_of(pieces), text_of(pieces, "thought")) == (text, thought)
        assert pieces[-1] == Usage(finish="stop", source="estimate")


async def test_what_llama_server_measures_is_turned_into_gaps(open_backends):
    timings = {"cache_n": 2, "prompt_n": 9, "prompt_ms": 3.0, "predicted_n": 11, "predicted_ms": 5.0}
    with FaultyServer(stream(said("Yes"), {**said(finish="length"), "timings": timings})) as server:
        usage = (await ask(open_backends(server.url)))[-1]
    counts = {"prompt_tokens": 11, "cached_tokens": 2, "out_tokens": 11, "prompt_ms": 3.0, "decode_ms": 5.0}
    assert usage == Usage(**counts, decode_tps=2000.0, finish="length", source="server")


async def test_counts_of_the_protocol_are_read(open_backends):
    details = {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}}
    counts = {"prompt_tokens": 9, "completion_tokens": 5, **details}
    with FaultyServer(stream(said("Yes", "stop"), {"choices": [], "usage": counts}, "data: [DONE]")) as server:
        usage = (await ask(open_backends(server.url)))[-1]
    assert usage == Usage(prompt_tokens=9, cached_tokens=4, out_tokens=5, think_tokens=3, source="usage")


async def test_it_can_be_used_again_after_it_was_closed(open_backends):
    with OpenAIServer() as server:
        backend = open_backends(server.url)
        before = text_of(await ask(backend))
        await backend.close()
        assert text_of(await ask(backend)) == before
