"""Headers that Ollama's /api/show tells: the same shape as from the file, and nothing from nonsense."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from arena.backends import http, ollama_header
from arena.backends.ollama import OllamaBackend
from arena.backends.ollama_header import SHAPING, arrays_kept_back, header_of
from arena.core.endpoints import Endpoint, Wire
from arena.core.gguf import BLOCKS, GgufHeader, Tensor, read_header
from arena.core.gguf_cursor import Skipped
from arena.core.models import ModelInfo, ModelRef
from arena.demo import __file__ as demo
from arena.hardware.fit import shape
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.shape import shape_of
from gguf_files import TYPES, llama_like, write_gguf
from ollama_answers import ServedModel, shown_of
from ollama_server import OllamaServer

SMALL = {"layers": 8, "width": 512, "feed_forward": 1024, "heads": 8, "kv_heads": 2, "head_width": 64,
         "vocabulary": 1024}  # fmt: skip
WINDOW = {"attention.sliding_window": 512}
STATE = {"ssm.conv_kernel": 4, "ssm.state_size": 128, "ssm.group_count": 2, "ssm.time_step_rank": 8,
         "ssm.inner_size": 512}  # fmt: skip
SOMETIMES = (0, 0, 0, 2, 0, 0, 0, 2)
LAYERED = {
    "heads that differ by layer": ("llama", {"kv_heads": (8, 8, 4, 4, 2, 2, 2, 1)}, {}),
    "a window by list": ("gemma4", {"tied": True}, {**WINDOW, "attention.sliding_window_pattern": [True, False] * 4}),
    "recurrent by heads": ("nemotron_h", {"kv_heads": SOMETIMES}, {**STATE, "feed_forward_length": [0, 9] * 4}),
    "recurrent by list": ("granitehybrid", {}, {**STATE, "attention.recurrent_layers": [True, True, True, False] * 2}),
    "Qwen 3.5": ("qwen35", {"kv_heads": SOMETIMES}, STATE),
}
FLAT = {
    "plain": ("llama", {}, {}),
    "a window by its period": ("gemma3", {"tied": True, "qk_norm": True}, WINDOW),
    "a mixture": ("qwen3moe", {"experts": 16}, {"expert_count": 16, "expert_used_count": 4}),
    "heads that guess ahead": ("glm4moe", {}, {"nextn_predict_layers": 1}),
}


def of_file(path, arch="llama", extra=None, **facts):
    fields = {f"{arch}.{key}": value for key, value in (extra or {}).items()}
    fields |= {"tokenizer.ggml.tokens": ["a"] * 600, "general.name": "Some", "tokenizer.chat_template": "{{ x }}"}
    return read_header(write_gguf(path, *llama_like(arch, **{**SMALL, **facts}, extra=fields)))


def told(header, *, verbose=False, **more):
    """What the server says of that file, over the wire."""
    return json.loads(json.dumps(shown_of(ServedModel(header=header, **more), verbose=verbose)))


def named(header, old, new):
    """That header under another architecture, as in files that Ollama made itself."""
    metadata = {re.sub(f"^{re.escape(old)}[.]", f"{new}.", key): value for key, value in header.metadata.items()}
    return replace(header, metadata={**metadata, "general.architecture": new})


@pytest.fixture
def plain(tmp_path):
    return of_file(tmp_path / "plain.gguf")


# The same as from the file


@pytest.mark.parametrize("case", [*LAYERED, *FLAT])
def test_has_the_shape_of_the_file(tmp_path, case):
    arch, facts, extra = (LAYERED | FLAT)[case]
    header = of_file(tmp_path / "model.gguf", arch, extra, **facts)
    found = header_of(told(header, verbose=True), "some:8b", header.file_bytes)
    assert shape_of(found) == shape_of(header)
    assert HeaderEstimate.of(found) == HeaderEstimate.of(header)
    assert (found.tensors, found.file_bytes, found.name) == (header.tensors, header.file_bytes, "some:8b")
    assert found.files == ()
    assert found.metadata["tokenizer.ggml.tokens"] == Skipped(600)
    short = told(header)
    assert arrays_kept_back(short) == (case in LAYERED)
    assert arrays_kept_back(told(header, old_arrays=True)) == (case in LAYERED)
    if case in FLAT:
        assert shape_of(header_of(short, "some:8b", None)) == shape_of(header)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_has_the_shape_of_the_demo_models(size):
    header = read_header(Path(demo).with_name(f"{size}.gguf"))
    found = header_of(told(header), size, header.file_bytes)
    assert shape_of(found) == shape_of(header)
    assert found.parameters == header.parameters
    assert not arrays_kept_back(told(header))


def test_every_number_that_the_shape_is_read_from_is_known_here():
    asked = set(re.findall(r'(?:number|per_layer|has_list)\(\s*"([a-z_.]+)"', inspect.getsource(shape)))
    assert len(asked) > 20
    assert asked <= set(SHAPING)


def test_columns_come_first():
    rows = [{"name": "token_embd.weight", "type": "Q4_0", "shape": [5120, 131072]}]  # as in Ollama's issue 10286
    info = {"general.architecture": "llama", "llama.block_count": 1, "llama.embedding_length": 5120}
    (table,) = header_of({"model_info": info, "tensors": rows}, "mistral", None).tensors
    assert table == Tensor("token_embd.weight", (5120, 131072), "Q4_0")
    assert table.bytes == 5120 * 131072 // 32 * 18


# What Ollama changes on loading


@pytest.mark.parametrize(
    ("old", "new"),
    [("gptoss", "gpt-oss"), ("qwen25vl", "qwen2vl"), ("olmo3", "olmo2"), ("deepseekocr", "deepseek2-ocr"),
     ("glmocr", "glm4"), ("nemotron_h_omni", "nemotron_h"), ("mistral3", "mistral3"), ("gemma3", "gemma3")],
)  # fmt: skip
def test_architectures_have_the_name_that_llama_cpp_gives_them(tmp_path, old, new):
    header = of_file(tmp_path / "model.gguf", new, WINDOW)
    found = header_of(told(named(header, new, old)), "m", None)
    assert found.architecture == new
    assert shape_of(found) == shape_of(header)
    assert found.context_length == header.context_length


def test_an_omni_model_with_experts_is_a_mixture(tmp_path):
    header = of_file(tmp_path / "model.gguf", "nemotron_h_omni", {"expert_count": 8, "expert_used_count": 2}, experts=8)
    assert header_of(told(header), "m", None).architecture == "nemotron_h_moe"


def test_the_latent_row_of_glm_flash_is_that_of_deepseek(tmp_path):
    widths = {"attention.kv_lora_rank": 512, "attention.key_length": 256, "attention.value_length": 256,
              "rope.dimension_count": 64, "attention.head_count_kv": 8}  # fmt: skip
    header = of_file(tmp_path / "old.gguf", "glm4moelite", widths)
    found = shape_of(header_of(told(header), "m", None))
    assert {(layer.keys, layer.values) for layer in found.layers} == {(576, 0)}
    del widths["attention.kv_lora_rank"]
    assert header_of(told(of_file(tmp_path / "no.gguf", "glm4moelite", widths)), "m", None) is None


def test_seeing_is_counted_beside_the_layers_and_guessing_ahead_is_not(tmp_path, plain):
    metadata, tensors = llama_like("qwen35", **SMALL)
    apart = [("v.blk.0.attn_q.weight", (512, 512), "F16"), ("mm.0.weight", (512, 512), "F16")]
    ahead = [("mtp.layers.0.fc.weight", (1024, 512), "F16"), ("blk.8.nextn.eh_proj.weight", (1024, 512), "F16")]
    alone = read_header(write_gguf(tmp_path / "alone.gguf", metadata, tensors))
    header = read_header(write_gguf(tmp_path / "all.gguf", metadata, [*tensors, *apart, *ahead]))
    found = shape_of(header_of(told(header), "m", header.file_bytes))
    assert found.layers == shape_of(alone).layers
    assert found.weights == shape_of(alone).weights + 2 * 512 * 512 * 2
    hearing = replace(plain, tensors=(*plain.tensors, Tensor("a.blk.0.q.weight", (512, 512), "F16")))
    assert len(header_of(told(hearing), "m", None).tensors) == len(hearing.tensors)
    omni = named(hearing, "llama", "nemotron_h_omni")
    assert header_of(told(omni), "m", None).tensors == plain.tensors


# Nonsense


def spoil(place, value):
    def change(answer):
        *way, last = place
        for step in way:
            answer = answer[step]
        answer[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        spoil(["model_info"], None),
        spoil(["model_info"], []),
        spoil(["model_info"], {str(number): 1 for number in range(5000)}),
        *(spoil(["model_info", "general.architecture"], value) for value in (None, "", 7, ["llama"], "qwen3")),
        *(spoil(["model_info", "llama.block_count"], value) for value in (None, 0, -1, 1025, 1e9, "8", [8], 10**30)),
        *(spoil(["model_info", "llama.embedding_length"], value) for value in (None, 0, -512, 1 << 25, "512", {})),
        *(
            spoil(["model_info", "llama.attention.head_count_kv"], value)
            for value in (-1, 1 << 25, 2.5, "2", [2], [-2] * 8, [2.0] * 8, ["2"] * 8, [[2]] * 8, [2] * 600, {"a": 2})
        ),
        spoil(["model_info", "llama.nextn_predict_layers"], 8),
        spoil(["model_info", "anything"], {"a": 1}),
        spoil(["model_info", "anything"], 1 << 64),
        spoil(["tensors"], None),
        spoil(["tensors"], []),
        spoil(["tensors"], {"token_embd.weight": [512, 1024]}),
        spoil(["tensors"], [None]),
        spoil(["tensors"], [{"name": "x", "type": "F32", "shape": [1]}] * ((1 << 16) + 1)),
        spoil(["tensors", 1], {"name": "token_embd.weight", "type": "F32", "shape": [1]}),
        *(spoil(["tensors", 0, "name"], value) for value in (None, "", 3)),
        *(spoil(["tensors", 0, "type"], value) for value in (None, "unknown", "q4_k", 12, ["Q4_K"])),
        *(
            spoil(["tensors", 0, "shape"], value)
            for value in (None, 512, "512", [], [1] * 5, [-512, 1024], [512.0, 2], [True, 2], ["512"], [511, 1024],
                          [1 << 40, 1 << 40], [1 << 64], [256, 1 << 40])
        ),
        spoil(["details"], {"format": "safetensors"}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_no_header(plain, change):
    answer = told(plain)
    assert header_of(answer, "m", plain.file_bytes) is not None
    change(answer)
    assert header_of(answer, "m", plain.file_bytes) is None
    arrays_kept_back(answer)


def test_what_is_odd_but_harmless_is_kept(plain):
    answer = told(plain)
    del answer["details"]
    answer["model_info"] |= {
        "half": "\ud83d",
        "long": "x" * (2 << 20),
        "none": None,
        "of": [1.5, "b", True],
        "\ud83d": 1,
    }
    found = header_of(answer, "half \ud83d", plain.file_bytes)
    assert found.metadata["half"] == "\ufffd"
    assert found.metadata["long"] == Skipped(2 << 20)
    assert found.metadata["of"] == (1.5, "b", True)
    assert "none" not in found.metadata
    assert shape_of(found) == shape_of(plain)
    assert header_of({}, "", None) is None


def test_types_that_the_server_has_no_name_for_are_no_header(tmp_path):
    for kind in sorted(set(TYPES) & set(BLOCKS)):
        header = of_file(tmp_path / f"{kind}.gguf", pick=lambda *_, kind=kind: kind)
        assert (header_of(told(header), "m", None) is None) == kind.startswith("IQ"), kind


# Asking for it


@pytest.fixture
def server(tmp_path):
    layered, flat = of_file(tmp_path / "a.gguf", kv_heads=(8,) * 4 + (2,) * 4), of_file(tmp_path / "b.gguf")
    models = {
        "layered": ServedModel(header=layered, size=layered.file_bytes + 1000),
        "flat": ServedModel(header=flat, size=flat.file_bytes + 1000),
        "mute": ServedModel(),
    }
    with OllamaServer(models) as running:
        yield running


@pytest.fixture
async def backend(server, tmp_path):
    made = OllamaBackend(Endpoint("ollama", Wire.OLLAMA, server.url), tmp_path / "nothing")
    yield made
    await made.close()


async def headers(backend) -> dict[str, GgufHeader | None]:
    return {info.ref.name.removesuffix(":latest"): info.header for info in await backend.models()}


async def test_asks_for_the_arrays_only_where_they_are_needed_and_once(server, backend):
    found = await headers(backend)
    assert await headers(backend) == found
    for name in ("layered", "flat"):
        assert shape_of(found[name]) == shape_of(server.models[f"{name}:latest"].header)
        assert found[name].file_bytes == server.models[f"{name}:latest"].size
    assert found["mute"] is None
    asked = server.bodies("/api/show")
    assert len(asked) == 4
    assert [body["model"] for body in asked if body.get("verbose")] == ["layered:latest"]
    info = await backend.find(ModelRef("ollama", "layered"))
    assert info.header is found["layered"]
    assert len(server.bodies("/api/show")) == 4


async def test_a_file_that_can_be_read_goes_first(server, backend, tmp_path):
    server.models["layered:latest"].modelfile = f"FROM {tmp_path / 'a.gguf'}"
    info = await backend.find(ModelRef("ollama", "layered"))
    assert (info.location, info.header) == (str(tmp_path / "a.gguf"), None)
    assert len(server.bodies("/api/show")) == 1


async def test_nothing_is_asked_of_what_takes_no_memory_here(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Endpoint, "local", property(lambda _: False))
    backend = OllamaBackend(Endpoint("box", Wire.OLLAMA, server.url), tmp_path)
    assert set((await headers(backend)).values()) == {None}
    assert len(server.bodies("/api/show")) == 3
    await backend.close()


async def test_a_model_that_is_answered_elsewhere_has_none(server, backend):
    server.models["layered:120b-cloud"] = replace(server.models["layered:latest"])
    assert (await backend.find(ModelRef("ollama", "layered:120b-cloud"))).header is None
    assert not any(body.get("verbose") for body in server.bodies("/api/show"))


async def test_a_long_answer_that_fails_or_is_too_long_costs_nothing_but_the_header(server, backend, monkeypatch):
    short = json.dumps(shown_of(server.models["layered:latest"], verbose=False)).encode()
    server.pages["/api/show"] = (200, "application/json", short)
    assert (await backend.find(ModelRef("ollama", "layered"))).header is None
    server.models["layered:latest"].digest = "ab" * 32
    del server.pages["/api/show"]
    monkeypatch.setattr(ollama_header, "LONGEST_ANSWER_BYTES", len(short) + 100)
    assert (await backend.find(ModelRef("ollama", "layered"))).header is None
    server.models["layered:latest"].digest = "cd" * 32
    monkeypatch.setattr(ollama_header, "LONGEST_ANSWER_BYTES", 100)
    info = await backend.find(ModelRef("ollama", "layered"))
    assert (info.header, info.context, info.quantization) == (None, None, "Q4_K_M")


async def test_a_server_that_is_slow_with_the_long_answer_is_asked_again_later(server, backend, monkeypatch):
    await backend._desk.show((await backend._listed())[0])
    server.silent.add("/api/show")
    monkeypatch.setattr(http, "LIST_S", 0.1)
    info = await asyncio.wait_for(backend.find(ModelRef("ollama", "layered")), 5)
    assert info.header is None
    assert info.context == 131072
    server.silent.clear()
    monkeypatch.undo()
    assert (await backend.find(ModelRef("ollama", "layered"))).header is not None


def test_a_header_is_no_part_of_what_a_model_is(plain):
    one = ModelInfo(ModelRef("ollama", "m"))
    other = replace(one, header=plain)
    assert (one, hash(one), repr(one)) == (other, hash(other), repr(other))
