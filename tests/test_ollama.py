"""Models behind an Ollama server: what is listed, what is sent, what comes back, what is fetched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from arena.backends import ollama_disk
from arena.backends.ollama import OllamaBackend
from arena.backends.ollama_disk import installed, models_in
from arena.core.endpoints import Endpoint, PullProgress, Wire
from arena.core.errors import ArenaError, MissingModelError
from arena.core.events import Chunk, Sent, Usage
from arena.core.models import ADJUSTABLE, Contestant, ModelRef, Sampling
from arena.core.ports import Puller, Request
from arena.core.prompts import Prompt, Turn
from arena.core.variants import Variant
from ollama_answers import LOAD_NS, READY_NS
from ollama_server import OllamaServer, ServedModel

SAMPLING = Sampling(seed=7, max_tokens=64, context=2048)
LAYERS = [("sha256:" + "ab" * 32, 1000), ("sha256:" + "cd" * 32, 100)]


@pytest.fixture
def server():
    models = {
        "llama3.2": ServedModel(),
        "qwen3:8b": ServedModel(family="qwen3", capabilities=("completion", "thinking"), thought=("Hm ", "well. ")),
        "nomic-embed-text": ServedModel(capabilities=("embedding",), family="nomic-bert"),
    }
    with OllamaServer(models) as running:
        running.library["gemma3:4b"] = LAYERS
        yield running


@pytest.fixture
async def backend(server):
    made = OllamaBackend(Endpoint("ollama", Wire.OLLAMA, server.url, aliases=("box",)))
    yield made
    await made.close()


async def contestant(backend, name="llama3.2", **different):
    info = await backend.find(ModelRef("ollama", name))
    variant = Variant()
    for key, value in different.items():
        variant = variant.having(key, value)
    return Contestant.of(info.with_variant(variant), SAMPLING)


async def ask(backend, who, prompt="Hello?", base=SAMPLING):
    request = Request(who, Prompt(prompt), who.sampling(base))
    return [piece async for piece in backend.stream(request)]


def said(pieces, kind="answer"):
    return "".join(piece.text for piece in pieces if isinstance(piece, Chunk) and piece.kind == kind)


# What is there


async def test_lists_what_the_server_has_with_all_it_says(server, backend):
    infos = {info.ref.name: info for info in await backend.models()}
    llama = infos["llama3.2:latest"]
    assert llama.ref.digest == hashlib.sha256(b"llama3.2:latest").hexdigest()
    assert (llama.family, llama.parameters, llama.quantization) == ("llama", 8_030_261_248, "Q4_K_M")
    assert (llama.size_bytes, llama.context, llama.local, llama.note) == (4_920_753_328, 131_072, True, "")
    assert llama.template_hash == hashlib.sha256(b"{{ .Prompt }}").hexdigest()[:16]
    assert llama.adjustable == ADJUSTABLE
    assert infos["qwen3:8b"].adjustable == ADJUSTABLE | {"thinking"}
    assert infos["nomic-embed-text:latest"].note == "It only makes embeddings."
    await backend.models()
    assert len(server.bodies("/api/show")) == 3, "what a digest stands for is asked once"


async def test_one_odd_model_hides_no_other(server, backend):
    server.models["qwen3:8b"].show_fault = 500
    server.models["llama3.2:latest"].parameter_count = None
    server.models["old:latest"] = ServedModel(capabilities=None, family="bert", quantization="unknown")
    infos = {info.ref.name: info for info in await backend.models()}
    assert (infos["qwen3:8b"].context, infos["qwen3:8b"].template_hash) == (None, "")
    assert infos["qwen3:8b"].note, "without its template it would be another contestant"
    assert infos["qwen3:8b"].parameters == 8_000_000_000
    assert infos["llama3.2:latest"].parameters == 8_000_000_000
    assert (infos["old:latest"].note, infos["old:latest"].quantization) == ("It only makes embeddings.", "")
    with pytest.raises(ArenaError, match="500"):
        await backend.find(ModelRef("ollama", "qwen3:8b"))


async def test_a_server_that_speaks_less_of_the_api_can_still_play(server, backend):
    server.pages["/api/show"] = (200, "application/json", b'{"capabilities": null}')
    server.pages["/api/ps"] = (404, "text/plain", b"404 page not found")
    info = await backend.find(ModelRef("ollama", "llama3.2"))
    assert (info.context, info.quantization, info.resident_bytes) == (None, "Q4_K_M", None)
    assert said(await ask(backend, Contestant.of(info, SAMPLING)))


async def test_finds_by_name_with_and_without_its_tag(backend):
    assert (await backend.find(ModelRef("ollama", "llama3.2"))).ref.name == "llama3.2:latest"
    assert (await backend.find(ModelRef("box", "qwen3:8b"))).ref.endpoint == "ollama"
    with pytest.raises(MissingModelError) as caught:
        await backend.find(ModelRef("ollama", "qwen3"))
    assert caught.value.sentence == "ollama has no model qwen3."
    assert caught.value.hint == "Fetch it with `arena pull ollama/qwen3`."
    assert caught.value.pullable == "ollama/qwen3"


async def test_a_model_that_is_answered_elsewhere_takes_no_memory_here(server, backend):
    server.models["gpt-oss:120b-cloud"] = ServedModel()
    assert not (await backend.find(ModelRef("ollama", "gpt-oss:120b-cloud"))).local


# Memory


async def test_loads_with_the_context_of_the_contestant_and_says_what_holds_memory(server, backend):
    server.models["llama3.2:latest"].load_s = 0.02
    one, longer = await contestant(backend), await contestant(backend, context="4096")
    assert (await backend.find(one.ref)).resident_bytes is None
    assert await backend.prepare(one) > 0
    assert backend.is_loaded(one)
    assert not backend.is_loaded(longer)
    server.loaded.clear()
    await backend.models()
    assert not backend.is_loaded(one), "it went by itself, or by another program"
    await backend.prepare(one)
    assert await backend.prepare(one) == 0.0
    assert await backend.prepare(longer) > 0, "another context is another load"
    assert server.loaded == {"llama3.2:latest": 4096}
    body = server.bodies("/api/generate")[0]
    assert (body["model"], body["options"], body["keep_alive"]) == ("llama3.2:latest", {"num_ctx": 2048}, "10m")
    assert not body.get("prompt")
    assert (await backend.find(one.ref)).resident_bytes == 4_920_753_328


async def test_knows_what_it_loaded_where_the_server_names_no_context(server, backend):
    server.tells_context = False
    one = await contestant(backend)
    assert await backend.prepare(one) > 0
    assert await backend.prepare(one) == 0.0


async def test_unloads_at_the_end_what_it_loaded_and_nothing_else(server, backend):
    server.loaded["qwen3:8b"] = 2048
    mine, theirs = await contestant(backend), await contestant(backend, "qwen3:8b")
    assert await backend.prepare(mine) > 0
    assert backend.is_loaded(theirs)
    assert await backend.prepare(theirs) == 0.0
    await backend.close()
    await backend.close()
    assert set(server.loaded) == {"qwen3:8b"}
    assert not backend.is_loaded(mine)
    assert said(await ask(backend, mine)), "it can be used again"


async def test_a_load_that_is_called_off_is_unloaded_at_the_end(server, backend):
    server.models["llama3.2:latest"].load_s = 0.2
    loading = asyncio.create_task(backend.prepare(await contestant(backend)))
    while not server.bodies("/api/generate"):  # noqa: ASYNC110 - the server is a thread
        await asyncio.sleep(0.01)
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    while not server.loaded:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.01)
    await backend.close()
    assert server.loaded == {}


async def test_releases_what_it_is_told_to(server, backend):
    one = await contestant(backend)
    await backend.prepare(one)
    await backend.release(one)
    assert server.loaded == {}
    assert server.bodies("/api/generate")[-1]["keep_alive"] == 0
    assert not backend.is_loaded(one)


async def test_what_can_not_be_unloaded_goes_by_itself(server, backend):
    one = await contestant(backend)
    await backend.prepare(one)
    server.pages["/api/generate"] = (500, "application/json", b'{"error": "no"}')
    await backend.release(one)
    await backend.close()
    assert server.loaded == {"llama3.2:latest": 2048}


# Answers


async def test_sends_every_sampler_and_who_it_is(server, backend):
    who = await contestant(backend, temperature="0.3", top_k="20", system="Be brief.", context="1024")
    await ask(backend, who)
    (body,) = server.bodies("/api/chat")
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]
    assert body["options"] == {
        "num_ctx": 1024,
        "num_predict": 64,
        "seed": 7,
        "temperature": 0.3,
        "top_p": 0.95,
        "top_k": 20,
        "min_p": 0.05,
        "repeat_penalty": 1.0,
    }
    assert "think" not in body
    assert (body["stream"], body["keep_alive"]) == (True, "10m")


async def test_a_prompt_without_a_system_and_with_half_a_character_goes_out(server, backend):
    await ask(backend, await contestant(backend), "half \ud83d")
    assert server.bodies("/api/chat")[0]["messages"] == [{"role": "user", "content": "half \ufffd"}]


@pytest.mark.parametrize(("thinking", "sent"), [("on", True), ("off", False), ("low", "low"), ("default", None)])
async def test_says_how_to_think(server, backend, thinking, sent):
    pieces = await ask(backend, await contestant(backend, "qwen3:8b", thinking=thinking))
    assert server.bodies("/api/chat")[0].get("think") == sent
    assert said(pieces, "thought") == ("" if thinking == "off" else "Hm well. ")
    assert said(pieces)


async def test_tells_thinking_between_tags_from_the_answer(server, backend):
    server.models["llama3.2:latest"].chunks = ("<thi", "nk>\nso", " what</th", "ink>\n\nYes", ".")
    pieces = await ask(backend, await contestant(backend))
    assert (said(pieces, "thought"), said(pieces)) == ("so what", "Yes.")


async def test_an_open_tag_loses_no_text(server, backend):
    server.models["llama3.2:latest"].chunks = ("Yes <", "thi")
    assert said(await ask(backend, await contestant(backend))) == "Yes <thi"


async def test_tells_what_the_server_counted_in_its_units(backend):
    who = await contestant(backend, "qwen3:8b")
    await backend.prepare(who)
    pieces = await ask(backend, who, "one two three")
    usage = pieces[-1]
    assert isinstance(pieces[0], Sent)
    assert pieces[0].at_ns is not None
    assert (usage.prompt_tokens, usage.out_tokens, usage.cached_tokens) == (13, 32, None)
    assert (usage.prompt_ms, usage.decode_ms, usage.decode_tps) == (13.0, 640.0, 50.0)
    assert (usage.load_ms, usage.total_ms) == (READY_NS / 1e6, READY_NS / 1e6 + 13 + 640)
    assert (usage.finish, usage.source) == ("stop", "server")


async def test_a_question_that_is_put_again_is_told_as_cached(backend):
    who = await contestant(backend)
    await backend.prepare(who)

    async def reused(prompt):
        return (await ask(backend, who, prompt))[-1].reused

    assert [await reused(prompt) for prompt in ("One?", "One?", "Two?", "One?")] == [False, True, False, False]
    further = Request(who, Prompt("And why?"), SAMPLING, (Turn("One?", "Yes."),))
    assert [piece async for piece in backend.stream(further)][-1].reused, "the conversation goes on"
    await backend.release(who)
    await backend.prepare(who)
    assert not await reused("One?"), "with the model its cache was gone"


async def test_a_model_that_is_loaded_within_the_request_says_so(server, backend):
    who = await contestant(backend)
    await backend.prepare(who)
    server.loaded.clear()  # another program needed the memory
    assert (await ask(backend, who))[-1].load_ms == LOAD_NS / 1e6


async def test_an_answer_cut_by_its_limit_says_so(backend):
    usage = (await ask(backend, await contestant(backend), base=Sampling(max_tokens=5, context=2048)))[-1]
    assert (usage.finish, usage.out_tokens) == ("length", 5)


async def test_many_are_asked_at_once(server, backend):
    for model in server.models.values():
        model.gap_s = 0.002
    one, two = await contestant(backend), await contestant(backend, "qwen3:8b")
    answers = await asyncio.gather(*(ask(backend, who, f"{number}") for number in range(6) for who in (one, two)))
    assert all(isinstance(pieces[-1], Usage) for pieces in answers)
    assert len({said(pieces) for pieces in answers}) == 12


async def test_closing_an_answer_stops_the_server(server, backend):
    server.models["llama3.2:latest"].gap_s = 0.02
    request = Request(await contestant(backend), Prompt("Hello?"), SAMPLING)
    async with aclosing(backend.stream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Chunk):
                break
    assert await asyncio.to_thread(server.left.wait, 5)


# Fetching


async def test_fetches_a_model_and_tells_how_far_it_is(backend):
    assert isinstance(backend, Puller)
    steps = [step async for step in backend.pull("gemma3:4b")]
    assert steps[0] == PullProgress("pulling manifest")
    assert steps[1] == PullProgress("pulling abababababab", 0, 1000)
    assert steps[-1] == PullProgress("success", 1100, 1100)
    assert all(step.completed_bytes <= step.total_bytes for step in steps)
    assert [step.completed_bytes for step in steps] == sorted(step.completed_bytes for step in steps)
    assert (await backend.find(ModelRef("ollama", "gemma3:4b"))).ref.name == "gemma3:4b"


async def test_a_fetch_that_is_stopped_goes_on_where_it_was(server, backend):
    server.pull_gap_s = 0.02
    async with aclosing(backend.pull("gemma3:4b")) as steps:
        async for step in steps:
            if step.completed_bytes >= 300:
                break
    assert await asyncio.to_thread(server.left.wait, 5)
    server.pull_gap_s = 0
    kept = server.partial[LAYERS[0][0]]
    assert 300 <= kept < 1000
    again = [step async for step in backend.pull("gemma3:4b")]
    assert next(step.completed_bytes for step in again if step.total_bytes) > kept
    assert again[-1].status == "success"


# On the disk


def put(folder: Path, name: str, layers: list[tuple[str, bytes]]) -> Path:
    path = folder / "manifests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "blobs").mkdir(exist_ok=True)
    listed = []
    for kind, content in layers:
        digest = hashlib.sha256(content).hexdigest()
        (folder / "blobs" / f"sha256-{digest}").write_bytes(content)
        listed.append({"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{digest}"})
    path.write_text(json.dumps({"schemaVersion": 2, "layers": listed}))
    return path


def test_finds_models_on_the_disk_without_a_server(own_home):
    folder = own_home / ".ollama" / "models"
    path = put(folder, "registry.ollama.ai/library/llama3.2/3b", [("template", b"t"), ("model", b"GGUF one")])
    put(folder, "registry.ollama.ai/somebody/mine/latest", [("model", b"GGUF two"), ("projector", b"GGUF eyes")])
    put(folder, "hf.co/bartowski/Some-GGUF/Q4_K_M", [("model", b"GGUF one")])
    found = {model.name: model for model in installed()}
    assert set(found) == {"llama3.2:3b", "somebody/mine:latest", "hf.co/bartowski/Some-GGUF:Q4_K_M"}
    assert found["llama3.2:3b"].blob.read_bytes() == b"GGUF one"
    assert found["llama3.2:3b"].digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["llama3.2:3b"].projector is None
    assert found["somebody/mine:latest"].projector.read_bytes() == b"GGUF eyes"
    assert installed({"OLLAMA_MODELS": str(own_home / "nowhere")}) == []


def test_looks_where_the_service_keeps_its_models(tmp_path, monkeypatch):
    monkeypatch.setattr(ollama_disk, "_SERVICE", tmp_path / "service")
    put(tmp_path / "service", "registry.ollama.ai/library/a/b", [("model", b"GGUF")])
    assert [model.name for model in installed()] == ["a:b"]


def test_what_is_broken_on_the_disk_is_left_out(tmp_path):
    good = put(tmp_path, "registry.ollama.ai/library/good/1", [("model", b"GGUF")])
    for number, text in enumerate(
        [
            "{",
            "[" * 5000,
            "[]",
            '{"layers": 3}',
            '{"layers": [null, {"mediaType": 1}]}',
            json.dumps({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../x"}]}),
            good.read_text().replace("sha256:", "sha256:00"),
            json.dumps(
                {"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + "0" * 64}]}
            ),
            "\0\ufffd",
        ]
    ):
        (good.parent / f"bad{number}").write_text(text, "utf-8")
    (good.parent / "folder").mkdir()
    (good.parent / "loop").symlink_to(good.parent / "loop")
    assert [model.name for model in models_in(tmp_path)] == ["good:1"]


async def test_names_the_file_of_a_model_that_lies_on_this_disk(server, tmp_path):
    path = put(tmp_path, "registry.ollama.ai/library/llama3.2/latest", [("model", b"GGUF")])
    server.models["llama3.2:latest"].digest = hashlib.sha256(path.read_bytes()).hexdigest()
    other = tmp_path / "elsewhere"
    other.write_bytes(b"GGUF")
    server.models["qwen3:8b"].modelfile = f"# FROM qwen3\n\nFROM {other}\nTEMPLATE x"
    endpoint = Endpoint("ollama", Wire.OLLAMA, server.url)
    places = {info.ref.name: info.location for info in await OllamaBackend(endpoint, tmp_path).models()}
    assert places["llama3.2:latest"] == str(tmp_path / "blobs" / f"sha256-{hashlib.sha256(b'GGUF').hexdigest()}")
    assert places["qwen3:8b"] == str(other)
    assert places["nomic-embed-text:latest"] == ""


def test_the_package_of_ollama_is_imported_when_a_server_is_asked():
    code = (
        "import sys, arena.backends.ollama as o; assert 'ollama' not in sys.modules and 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
