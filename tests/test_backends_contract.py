"""One contract for every way to reach models: what `core.ports.Backend` promises, kept by each of them."""

from __future__ import annotations

import asyncio
import importlib.util
from contextlib import aclosing, contextmanager
from pathlib import Path

import psutil
import pytest

import arena.demo
import ollama_server
import openai_server
from arena.backends.llamacpp import LlamaCppBackend
from arena.backends.ollama import OllamaBackend
from arena.backends.openai import OpenAIBackend
from arena.backends.scripted import Script, ScriptedBackend
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import ArenaError, SeatError
from arena.core.events import Chunk, Sent, Usage
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt

SAMPLING = Sampling(seed=11, max_tokens=40, context=512)
QUESTION = Prompt("Tell me a story about a fox and a lantern.")
DEMO = Path(arena.demo.__file__).parent
needs_engine = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing")


@contextmanager
def made(kind):
    """A backend of that kind, with two models at least, and a server where it needs one."""
    if kind == "scripted":
        chunks = [Chunk("hm ", "thought"), *(f"word{number} " for number in range(30))]
        yield ScriptedBackend({"one": Script(chunks, 0.001), "two": Script(chunks, 0.001)})
    elif kind == "llamacpp":
        yield LlamaCppBackend(DEMO)
    elif kind == "ollama":
        with ollama_server.contract_server() as server:
            yield OllamaBackend(Endpoint("ollama", Wire.OLLAMA, server.url))
    else:
        with openai_server.contract_server() as server:
            yield OpenAIBackend(Endpoint("server", Wire.OPENAI, server.url))


@pytest.fixture(
    params=["scripted", "ollama", "openai", pytest.param("llamacpp", marks=[needs_engine, pytest.mark.engine])]
)
async def backend(request):
    """Each backend in turn."""
    with made(request.param) as found:
        yield found
        await found.close()


async def contestants(backend, count=2):
    found = await backend.models()
    return [Contestant.of(info, SAMPLING) for info in found[:count]]


async def ask(backend, contestant, prompt=QUESTION):
    return [piece async for piece in backend.stream(Request(contestant, prompt, SAMPLING))]


def text_of(pieces):
    return "".join(piece.text for piece in pieces if isinstance(piece, Chunk))


async def test_lists_models_that_it_then_finds(backend):
    found = await backend.models()
    assert len(found) >= 2
    for info in found:
        assert info.ref.endpoint in backend.endpoints
        assert str((await backend.find(info.ref)).ref) == str(info.ref)


async def test_says_in_words_that_there_is_no_such_model(backend):
    with pytest.raises(ArenaError) as caught:
        await backend.find(ModelRef(backend.endpoints[0], "nobody"))
    assert "nobody" in caught.value.sentence
    assert caught.value.hint


async def test_streams_text_and_then_exactly_one_usage(backend):
    (one, _) = await contestants(backend)
    await backend.prepare(one)
    pieces = await ask(backend, one)
    kinds = [type(piece) for piece in pieces]
    assert kinds.count(Sent) <= 1
    assert kinds[0] is Sent or Sent not in kinds
    assert kinds.count(Usage) == 1
    assert text_of(pieces).strip()
    usage = pieces[-1]
    assert isinstance(usage, Usage)
    assert usage.out_tokens
    assert usage.prompt_tokens
    assert usage.finish in ("stop", "length")


async def test_prepares_by_itself_when_nobody_did(backend):
    (one, _) = await contestants(backend)
    assert isinstance((await ask(backend, one))[-1], Usage)


async def test_is_ready_at_once_when_prepared_twice(backend):
    (one, _) = await contestants(backend)
    await backend.prepare(one)
    assert await backend.prepare(one) == 0.0


async def test_an_answer_that_is_called_off_leaves_the_next_one_whole(backend):
    (one, _) = await contestants(backend)
    other = Prompt("What is the capital of France?")
    expected = text_of(await ask(backend, one, other))
    async with aclosing(backend.stream(Request(one, QUESTION, SAMPLING))) as pieces:
        async for piece in pieces:
            if isinstance(piece, Chunk):
                break
    again = await ask(backend, one, other)
    assert text_of(again) == expected, "nothing of the old answer is left on the wire"
    assert isinstance(again[-1], Usage)


async def test_models_answer_side_by_side(backend):
    first, second = await contestants(backend)
    answers = await asyncio.gather(ask(backend, first), ask(backend, second))
    assert all(isinstance(pieces[-1], Usage) for pieces in answers)


async def test_a_model_that_was_released_comes_back(backend):
    (one, _) = await contestants(backend)
    await backend.prepare(one)
    await backend.release(one)
    await backend.release(one)
    assert isinstance((await ask(backend, one))[-1], Usage)


async def test_closing_twice_does_no_harm(backend):
    (one, _) = await contestants(backend)
    await backend.prepare(one)
    await backend.close()
    await backend.close()
    assert not [child for child in psutil.Process().children() if "arena" in " ".join(child.cmdline())]


async def test_the_seed_decides_the_answer(backend):
    (one, _) = await contestants(backend)
    assert text_of(await ask(backend, one)) == text_of(await ask(backend, one))


async def test_a_scripted_fault_is_a_seat_error():
    backend = ScriptedBackend({"one": Script(["a", "b"], fails_after=1)})
    (one,) = await contestants(backend)
    with pytest.raises(SeatError):
        await ask(backend, one)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("no.gguf", b"this is a text file", "GGUF"),
        ("empty.gguf", b"", "empty"),
        ("cut.gguf", None, "cut"),
    ],
)
async def test_a_file_that_is_no_model_is_said_in_words(tmp_path, name, content, says):
    path = tmp_path / name
    if content is None:
        content = (DEMO / "small.gguf").read_bytes()[:-64]
    path.write_bytes(content)
    with pytest.raises(ArenaError, match=says) as caught:
        await LlamaCppBackend(DEMO).find(ModelRef.parse(str(path)))
    assert caught.value.hint


@pytest.mark.parametrize("name", ["~nobody-at-all/x.gguf", "loop.gguf", "a\0b.gguf"])
async def test_a_path_that_leads_nowhere_is_said_in_words(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    with pytest.raises(ArenaError) as caught:
        await LlamaCppBackend(DEMO).find(ModelRef.parse(name))
    assert caught.value.hint
    listed = await LlamaCppBackend(DEMO, [tmp_path]).models()
    assert len(listed) == 4, "one bad link hides no other model"
