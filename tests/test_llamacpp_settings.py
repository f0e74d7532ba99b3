"""What the embedded engine does with what a contestant has different: cache, thinking, layers; and room for logits."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path

import psutil
import pytest

import arena.demo
from arena.backends import llamacpp_worker
from arena.backends.llamacpp import LlamaCppBackend
from arena.backends.worker import Build, Worker
from arena.core.errors import ArenaError, SeatError
from arena.core.events import Chunk, Usage
from arena.core.gguf import read_header
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from arena.core.variants import KV_TYPES, Variant

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing"),
]
DEMO = Path(arena.demo.__file__).parent
SHORT = Sampling(seed=3, max_tokens=40, context=512, temperature=0)
STORY = Prompt("Tell me a long story about a fox, a lantern and a river.")


def children():
    return [each for each in psutil.Process().children() if "llamacpp_worker" in " ".join(each.cmdline())]


def with_template(source, path, more):
    """A copy of a model whose chat template has something behind it. A longer header moves the data."""
    header, raw = read_header(source), source.read_bytes()
    old, new = header.chat_template.encode(), (header.chat_template + more).encode()
    start = raw[: header.header_bytes].replace(struct.pack("<Q", len(old)) + old, struct.pack("<Q", len(new)) + new)
    data = -(-header.header_bytes // 32) * 32
    path.write_bytes(start + bytes(-len(start) % 32) + raw[data:])
    return path


async def said_by(backend, info, sampling=SHORT):
    """What a model says, and how many tokens its prompt had."""
    one = Contestant.of(info, sampling)
    pieces = [piece async for piece in backend.stream(Request(one, STORY, one.sampling(sampling)))]
    assert isinstance(pieces[-1], Usage)
    return [piece for piece in pieces if isinstance(piece, Chunk)], pieces[-1].prompt_tokens


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


async def test_each_type_of_kv_cache_runs_in_a_worker_of_its_own():
    backend = LlamaCppBackend(DEMO, keep=len(KV_TYPES))
    small = (await backend.models())[0]
    try:
        default, _ = await said_by(backend, small)
        for kv_type in KV_TYPES:
            chunks, _ = await said_by(backend, small.with_variant(Variant.parse(f"kv_type={kv_type}")))
            assert text_of(chunks)
            if kv_type == "f16":
                assert text_of(chunks) == text_of(default)
        assert {key[2] for key in backend._workers} == set(KV_TYPES)
        assert len(backend._workers) == len(KV_TYPES), "f16 is what a contestant has without being asked"
    finally:
        await backend.close()


async def test_the_chat_template_is_told_whether_and_how_hard_to_think(tmp_path):
    path = with_template(
        DEMO / "small.gguf",
        tmp_path / "thinker.gguf",
        "{% if reasoning_effort is defined %}{{ reasoning_effort }} {% endif %}"
        "{% if enable_thinking is defined %}<think>{% if not enable_thinking %}</think>{% endif %}{% endif %}",
    )
    backend = LlamaCppBackend(DEMO)
    info = await backend.find(ModelRef.parse(str(path)))
    try:
        kinds, lengths = {}, {}
        for mode in ("default", "off", "on", "low", "high"):
            chunks, lengths[mode] = await said_by(backend, info.with_variant(Variant.parse(f"thinking={mode}")))
            kinds[mode] = {chunk.kind for chunk in chunks}
        assert kinds["default"] == kinds["off"] == {"answer"}
        assert "thought" in kinds["on"] & kinds["low"] & kinds["high"]
        assert lengths["default"] < lengths["on"] < min(lengths["off"], lengths["low"], lengths["high"])
        assert len(backend._workers) == 1, "thinking is no reason to load a model twice"
    finally:
        await backend.close()


async def test_a_template_that_can_t_be_told_is_said_before_anything_is_loaded(tmp_path):
    path = with_template(DEMO / "small.gguf", tmp_path / "x.gguf", "{% if reasoning_effort %}{% endif %}")
    backend = LlamaCppBackend(DEMO)
    info = (await backend.find(ModelRef.parse(str(path)))).with_variant(Variant.parse("thinking=off"))
    with pytest.raises(SeatError, match="thinking=off") as caught:
        await backend.prepare(Contestant.of(info, SHORT))
    assert caught.value.hint == "It can be told: high, low, medium, on."
    assert children() == []


async def test_the_build_says_what_it_can_do():
    backend = LlamaCppBackend(DEMO)
    build = await backend.build()
    assert "CPU" in build.kinds
    assert "CPU" in build.system_info
    assert (str(build) == "CPU build") or build.offload or "finds no GPU" in str(build)
    assert children() == [], "the process that was asked is gone"


@pytest.mark.parametrize(
    ("kinds", "offload", "says"),
    [
        (("CPU",), False, "CPU build"),
        (("BLAS", "CPU"), False, "CPU build"),
        (("CUDA", "CPU"), True, "CUDA"),
        (("MTL", "BLAS", "CPU"), True, "Metal"),
        (("Vulkan", "CPU"), False, "Vulkan, which finds no GPU"),
        ((), True, "GPU build"),
    ],
)
def test_a_build_in_a_word(kinds, offload, says):
    assert str(Build(kinds, offload, "")) == says


@pytest.mark.parametrize(("told", "asked"), [(None, -1), (0, 0), (7, 7), (ArenaError("Nobody knows."), -1)])
async def test_a_build_that_can_offload_asks_how_many_layers_fit(monkeypatch, told, asked):
    questions, orders = [], []

    async def layers(info, contestant):
        questions.append((str(info.ref), contestant.context))
        if isinstance(told, ArenaError):
            raise told
        return told

    async def built(_):
        return Build(("CUDA", "CPU"), offload=True, system_info="")

    load_for_real = Worker.load

    async def watched(self, *facts, gpu_layers):
        orders.append(gpu_layers)
        return await load_for_real(self, *facts, gpu_layers=gpu_layers)

    monkeypatch.setattr(Worker, "build", built)
    monkeypatch.setattr(Worker, "load", watched)
    backend = LlamaCppBackend(DEMO, gpu_layers=layers)
    await backend.prepare(Contestant.of((await backend.models())[0], SHORT))
    await backend.prepare(Contestant.of((await backend.models())[0], SHORT))
    await backend.close()
    assert questions == [("demo/small", 512)], "asked once, before the load"
    assert orders == [asked]


async def test_a_build_for_the_cpu_asks_nobody_and_takes_no_layers():
    async def layers(*_):
        pytest.fail("asked for layers")

    backend = LlamaCppBackend(DEMO, gpu_layers=layers)
    if (await backend.build()).offload:
        pytest.skip("this build can offload")
    await backend.prepare(Contestant.of((await backend.models())[0], SHORT))
    (worker,) = backend._workers.values()
    assert worker.gpu_layers == 0
    await backend.close()


@pytest.mark.parametrize("name", ["small", "medium", "large"])
def test_room_for_one_output_changes_no_answer(monkeypatch, name):
    import llama_cpp.llama_cpp as api

    def answers():
        model = llamacpp_worker.Model(str(DEMO / f"{name}.gguf"), 1024)
        said = []
        for prompt in (STORY.text, "What is 12 + 7?", "why does it rain? " * 100):  # the last one in two batches
            tokens, _ = model.tokens([{"role": "user", "content": prompt}])
            for seed, temperature in ((1, 0), (2, 0.7), (3, 2.0)):
                sampling = {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.1}
                drawn = model.loop.tokens(tokens, {**sampling, "seed": seed, "temperature": temperature})
                said.append([token for token, _ in zip(drawn, range(30), strict=False)])
        return model.llm.context_params.n_outputs_max, said

    monkeypatch.setattr(api, "llama_context_default_params", api.llama_context_default_params)
    one, with_one = answers()
    monkeypatch.undo()
    monkeypatch.setattr(llamacpp_worker, "ask_for_one_output", lambda: None)
    every, with_all = answers()
    assert (one, every) == (1, 0)
    assert with_one == with_all


def test_a_version_without_that_setting_is_left_alone(monkeypatch):
    import llama_cpp.llama_cpp as api

    monkeypatch.setattr(api, "llama_context_default_params", object)
    llamacpp_worker.ask_for_one_output()
    assert api.llama_context_default_params is object
