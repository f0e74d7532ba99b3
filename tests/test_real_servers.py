"""The same promises, kept with real servers: llama-cpp-python's, llama-server of llama.cpp, `transformers serve`."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import arena.demo
from arena.backends.openai import OpenAIBackend
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import MissingModelError, SeatError
from arena.core.events import Chunk, Sent, Usage
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from arena.core.variants import Variant

MODEL = Path(arena.demo.__file__).parent / "small.gguf"
SAMPLING = Sampling(seed=11, max_tokens=40, context=512)
QUESTION = Prompt("Tell me a story about a fox and a lantern.")
OTHER = Prompt("What is the capital of France?")
PATIENCE_S = 240
IN_HUGGING_FACE_FORMAT = """
import sys
import transformers
folder, name, out = sys.argv[1:]
known = hasattr(transformers, "GgufConfig")  # from 5.23 on, what is read from GGUF stays quantized unless told
options = {"quantization_config": transformers.GgufConfig(dequantize=True)} if known else {}
model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, **options)
model.save_pretrained(out)
transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(out)
"""


@dataclass(frozen=True)
class Real:
    """A server that runs."""

    flavour: str
    url: str
    counts: str
    """Where its counts come from: as `Usage.source` has it."""
    settable: frozenset[str] = field(default_factory=frozenset)


def llama_cpp_python(_, port):
    if importlib.util.find_spec("llama_cpp") is None or importlib.util.find_spec("fastapi") is None:
        pytest.skip('There is no server of llama-cpp-python: pip install "llama-cpp-python[server]".')
    return [sys.executable, "-m", "llama_cpp.server", "--model", str(MODEL), "--host", "127.0.0.1", "--port", str(port)]


def llama_server(_, port):
    program = os.environ.get("ARENA_TEST_LLAMA_SERVER") or shutil.which("llama-server")
    if not program:
        pytest.skip("There is no llama-server: build llama.cpp and set ARENA_TEST_LLAMA_SERVER to its path.")
    return [program, "-m", str(MODEL), "--host", "127.0.0.1", "--port", str(port), "-c", "512", "-t", "1"]


def transformers_serve(folder, port):
    program = os.environ.get("ARENA_TEST_TRANSFORMERS") or shutil.which("transformers")
    python = Path(program).parent / Path(sys.executable).name if program else None
    if not (python and python.exists()):
        pytest.skip(
            "There is no `transformers serve`: in a venv apart, pip install 'transformers[serving]' torch gguf, "
            "and set ARENA_TEST_TRANSFORMERS to its bin/transformers."
        )
    place = folder / "small-hf"
    command = [str(python), "-c", IN_HUGGING_FACE_FORMAT, str(MODEL.parent), MODEL.name, str(place)]
    made = subprocess.run(command, env=offline(folder), capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return [str(program), "serve", str(place), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]


ALL_SAMPLERS = frozenset({"temperature", "top_p", "top_k", "min_p", "repeat_penalty", "system"})
SERVERS = {
    "llama-cpp-python": (llama_cpp_python, "estimate", ALL_SAMPLERS),
    "llama-server": (llama_server, "usage", ALL_SAMPLERS | {"thinking"}),
    "transformers": (transformers_serve, "usage", ALL_SAMPLERS | {"thinking"}),
}


def offline(folder):
    """The environment of a server that is to look for nothing in the net, and for no files of the user's."""
    places = {"HOME": str(folder), "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **places, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}


@contextmanager
def running(command, folder, port):
    """A process of its own that answers at that port when the block begins."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=offline(folder), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(f"http://127.0.0.1:{port}"):
            ended = process.poll() is not None
            assert not ended, (folder / "server.log").read_text("utf-8", "replace")[-2000:]
            assert time.monotonic() < deadline, "it does not come up"
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/v1/models", timeout=5):
            return True
    except urllib.error.HTTPError as told:
        return told.code != 503  # llama-server says so while it loads
    except OSError:
        return False


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("llama-cpp-python", marks=pytest.mark.engine),
        pytest.param("llama-server", marks=pytest.mark.servers),
        pytest.param("transformers", marks=pytest.mark.servers),
    ],
)
def real(request, tmp_path_factory):
    start, counts, settable = SERVERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with running(start(folder, port), folder, port):
        yield Real(request.param, f"http://127.0.0.1:{port}", counts, settable)


@pytest.fixture
async def backend(real):
    made = OpenAIBackend(Endpoint("here", Wire.OPENAI, real.url, aliases=tuple(SERVERS)))
    yield made
    await made.close()


async def contestant(backend, **different):
    (info,) = await backend.models()
    variant = Variant()
    for key, value in different.items():
        variant = variant.having(key, value)
    return Contestant.of(info.with_variant(variant), SAMPLING)


async def ask(backend, one, prompt=QUESTION, **sampling):
    asked = Sampling(**{"seed": 11, "max_tokens": 40, "context": 512, **sampling})
    return [piece async for piece in backend.stream(Request(one, prompt, one.sampling(asked)))]


def text_of(pieces):
    return "".join(piece.text for piece in pieces if isinstance(piece, Chunk))


async def test_it_is_recognised_and_its_model_is_listed(backend, real):
    (info,) = await backend.models()
    assert str(info.ref) == f"{real.flavour}/{'small-hf' if real.flavour == 'transformers' else 'small'}"
    assert info.adjustable == real.settable
    assert info.local
    assert not info.note
    assert (await backend.find(info.ref)).ref == info.ref
    if real.flavour == "llama-server":
        assert (info.context, info.quantization, info.parameters) == (512, "Q8_0", 192832)
        assert len(info.template_hash) == 16


async def test_a_model_that_is_not_there_is_missing(backend, real):
    with pytest.raises(MissingModelError, match=f"There is no model {real.flavour}/nobody") as caught:
        await backend.find(ModelRef("here", "nobody"))
    assert "small" in caught.value.hint
    with pytest.raises(SeatError, match="nobody"):
        await backend.prepare(Contestant(ModelRef("here", "nobody")))


async def test_it_streams_text_and_then_exactly_one_usage(backend, real):
    one = await contestant(backend)
    assert await backend.prepare(one) > 0
    assert await backend.prepare(one) == 0
    pieces = await ask(backend, one)
    assert isinstance(pieces[0], Sent)
    assert [type(piece) for piece in pieces].count(Usage) == 1
    assert sum(isinstance(piece, Chunk) for piece in pieces) > 10, "it comes piece by piece"
    usage = pieces[-1]
    assert (usage.finish, usage.source) == ("length", real.counts)
    if real.counts == "usage":
        assert usage.out_tokens == 40
        assert 10 < usage.prompt_tokens < 30
    if real.flavour == "llama-server":
        assert usage.cached_tokens == 0, "its cache of prompts is off"
        assert usage.prompt_ms > 0
        assert usage.decode_tps == pytest.approx(39 / usage.decode_ms * 1000)


async def test_an_answer_that_is_over_says_so(backend):
    one = await contestant(backend)
    pieces = await ask(backend, one, OTHER, max_tokens=200)
    assert pieces[-1].finish == "stop"
    assert text_of(pieces).strip()


async def test_the_seed_decides_the_answer(backend):
    one = await contestant(backend)
    answers = [text_of(await ask(backend, one, seed=seed, temperature=1.0)) for seed in (1, 1, 2, 3, 4)]
    assert answers[0] == answers[1]
    assert len(set(answers)) > 1, "it samples"


@pytest.mark.parametrize("sampler", ["temperature=0", "top_k=1"])
async def test_samplers_are_heeded(backend, sampler):
    key, _, value = sampler.partition("=")
    one = await contestant(backend, **{key: value})
    greedy = {text_of(await ask(backend, one, seed=seed)) for seed in (1, 2, 3)}
    assert len(greedy) == 1, "the likeliest token each time, whatever the seed"


async def test_an_answer_that_is_called_off_leaves_the_next_one_whole(backend):
    # greedily, as `transformers serve` works on at what was called off for a while, with the one dice that it has
    one = await contestant(backend, temperature=0)
    expected = text_of(await ask(backend, one, OTHER))
    async with aclosing(backend.stream(Request(one, QUESTION, SAMPLING))) as pieces:
        async for piece in pieces:
            if isinstance(piece, Chunk):
                break
    again = await ask(backend, one, OTHER)
    assert text_of(again) == expected
    assert isinstance(again[-1], Usage)


async def test_answers_come_side_by_side(backend):
    one = await contestant(backend)
    both = await asyncio.gather(ask(backend, one), ask(backend, one, OTHER), backend.models())
    assert all(isinstance(pieces[-1], Usage) and text_of(pieces) for pieces in both[:2])


@pytest.mark.parametrize("thinking", ["on", "off", "low"])
async def test_a_wish_for_thinking_does_no_harm(backend, real, thinking):
    if "thinking" not in real.settable:
        assert "thinking" not in (await backend.models())[0].adjustable
        return
    assert text_of(await ask(backend, await contestant(backend, thinking=thinking)))


async def test_a_prompt_that_is_too_long_is_a_fault_of_the_seat(backend, real):
    one = await contestant(backend)
    long = Prompt("fox " * 4000)
    if real.flavour == "transformers":
        assert isinstance((await ask(backend, one, long, max_tokens=2))[-1], Usage)  # it knows no limit
        return
    with pytest.raises(SeatError, match=r"context size|before the first word"):
        await ask(backend, one, long)
    assert text_of(await ask(backend, one)), "and the next one is whole"
