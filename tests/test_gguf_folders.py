"""GGUF files are found where they lie, each once, under names that are distinct and lead back to them."""

from __future__ import annotations

import importlib.util
import os
import struct
import sys
from pathlib import Path

import pytest

import arena.demo
from arena.backends import gguf_folders
from arena.backends.gguf_folders import matching, search
from arena.backends.llamacpp import LlamaCppBackend, _thinking_modes
from arena.core.errors import ArenaError, MissingModelError
from arena.core.events import Chunk
from arena.core.gguf import read_header
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from arena.core.variants import Variant
from gguf_files import llama_like, write_gguf

DEMO = Path(arena.demo.__file__).parent
SHORT = Sampling(seed=3, max_tokens=20, context=512, temperature=0)
links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")


def real(test):
    """Marks a test with real inference."""
    missing = importlib.util.find_spec("llama_cpp") is None
    return pytest.mark.engine(pytest.mark.skipif(missing, reason="llama-cpp-python is missing")(test))


def put(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content or str(path).encode())
    return path


def names(files):
    return [file.name for file in files]


def tiny(path, arch="llama", extra=None, *, tensors=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata, table = llama_like(arch, layers=1, width=256, feed_forward=256, heads=4, kv_heads=4, vocabulary=64)
    return write_gguf(path, {**metadata, **(extra or {})}, table if tensors else [])


def in_hub(hub, repository, revision, name, content=b"x"):
    """A file as Hugging Face's cache keeps it: a link with a name to a blob without one."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    blob = put(folder / "blobs" / f"{abs(hash((revision, name, content))):x}", content)
    link = folder / "snapshots" / revision / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(blob)
    return link


def test_a_name_is_the_stem_and_only_where_two_clash_as_much_of_the_path_as_it_takes(tmp_path):
    put(tmp_path / "m" / "alone.gguf")
    put(tmp_path / "m" / "ann" / "repo" / "same.gguf")
    put(tmp_path / "m" / "bob" / "repo" / "same.gguf")
    put(tmp_path / "m" / "bob" / "other" / "same.gguf")
    found = search([tmp_path / "m"], {"HOME": str(tmp_path)})
    assert names(found) == ["alone", "ann/repo/same", "bob/repo/same", "other/same"]


def test_any_unambiguous_form_of_a_name_leads_to_the_model(tmp_path):
    put(tmp_path / "Alone-Q4.gguf")
    put(tmp_path / "ann" / "repo" / "same.gguf")
    put(tmp_path / "bob" / "repo" / "same.gguf")
    found = search([tmp_path], {"HOME": "/nowhere"})
    for file in found:
        assert matching(found, file.name) == [file], "a name leads back"
    for form in ("Alone-Q4", "Alone-Q4.gguf", "alone-q4", f"{tmp_path.name}/Alone-Q4"):
        assert names(matching(found, form)) == ["Alone-Q4"]
    assert names(matching(found, "bob/repo/same.GGUF")) == ["bob/repo/same"]
    assert len(matching(found, "same")) == len(matching(found, "repo/same")) == 2
    assert matching(found, "ame") == [], "a piece of a name is no name"


def test_a_file_called_model_goes_by_its_folder(tmp_path):
    put(tmp_path / "qwen3-4b" / "model.gguf")
    assert names(search([tmp_path], {"HOME": "/nowhere"})) == ["qwen3-4b/model"]


def test_the_places_of_other_programs_are_searched(tmp_path):
    environ = {"HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "hub"), "LLAMA_CACHE": str(tmp_path / "lc")}
    put(tmp_path / ".lmstudio" / "models" / "publisher" / "repo" / "one.gguf")
    put(tmp_path / ".cache" / "lm-studio" / "models" / "publisher" / "repo" / "two.gguf")
    put(tmp_path / "hub" / "models--org--repo" / "snapshots" / "abc" / "three.gguf")
    put(tmp_path / "lc" / "four.gguf")
    put(tmp_path / ".cache" / "llama.cpp" / "five.gguf")
    put(tmp_path / ".local" / "share" / "nomic.ai" / "GPT4All" / "six.gguf")
    put(tmp_path / ".local" / "share" / "Jan" / "data" / "llamacpp" / "models" / "seven" / "model.gguf")
    put(tmp_path / "elsewhere" / "unasked.gguf")
    assert set(names(search([], environ))) == {"one", "two", "three", "four", "five", "six", "seven/model"}


@pytest.mark.parametrize(
    "environ", [{"HF_HOME": "{}/hf"}, {"XDG_CACHE_HOME": "{}"}, {"HF_HUB_CACHE": "{}/hf/hub"}], ids=lambda each: [*each]
)
def test_the_hugging_face_cache_is_where_the_environment_says(tmp_path, environ):
    for folder in ("hf", "huggingface"):
        put(tmp_path / folder / "hub" / "models--o--r" / "snapshots" / "abc" / "m1.gguf")
    set_to = {name: value.format(tmp_path) for name, value in environ.items()}
    assert names(search([], {"HOME": "/nowhere", **set_to})) == ["m1"]


def test_lm_studio_may_keep_its_models_elsewhere(tmp_path):
    put(tmp_path / ".lmstudio-home-pointer", str(tmp_path / "big").encode())
    put(tmp_path / "big" / "models" / "p" / "r" / "one.gguf")
    assert names(search([], {"HOME": str(tmp_path)})) == ["one"]


@links
def test_of_a_repository_the_newest_revision_of_each_file_counts(tmp_path):
    hub = tmp_path / "hub"
    old = in_hub(hub, "org/repo", "aaa", "one.gguf", b"old")
    new = in_hub(hub, "org/repo", "bbb", "one.gguf", b"new")
    only_old = in_hub(hub, "org/repo", "aaa", "two.gguf", b"two")
    os.utime(old.parent, (2_000_000_000, 2_000_000_000))
    put(hub / "models--org--repo" / "refs" / "main", b"bbb")
    put(hub / "datasets--org--repo" / "snapshots" / "aaa" / "no.gguf")
    found = search([], {"HOME": "/nowhere", "HF_HUB_CACHE": str(hub)})
    assert [file.path for file in found] == [new, only_old]
    (hub / "models--org--repo" / "refs" / "main").unlink()
    found = search([], {"HOME": "/nowhere", "HF_HUB_CACHE": str(hub)})
    assert found[0].path == old, "without a reference, what was fetched last"


@links
def test_names_from_a_repository_show_organisation_and_repository(tmp_path):
    hub = tmp_path / "hub"
    in_hub(hub, "ann/repo-a", "aaa", "same.gguf", b"1")
    in_hub(hub, "bob/repo-a", "bbb", "same.gguf", b"2")
    put(tmp_path / "models" / "bob" / "repo-a" / "same.gguf")
    found = search([tmp_path / "models"], {"HOME": "/nowhere", "HF_HUB_CACHE": str(hub)})
    assert names(found) == ["ann/repo-a/same", "hub/bob/repo-a/same", "models/bob/repo-a/same"]


@links
def test_the_same_file_is_listed_once(tmp_path):
    real = put(tmp_path / "a" / "one.gguf")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "linked.gguf").symlink_to(real)
    (tmp_path / "b" / "hard.gguf").hardlink_to(real)
    found = search([tmp_path / "a", tmp_path, tmp_path / "a"], {"HOME": "/nowhere"})
    assert [file.path for file in found] == [real]


@links
def test_loops_end_and_what_can_t_be_read_is_passed_over(tmp_path):
    put(tmp_path / "deep" / "er" / "one.gguf")
    (tmp_path / "deep" / "er" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "closed").mkdir(mode=0)
    folders = [tmp_path, tmp_path / "not there", Path("~nobody-at-all/x"), Path("a\0b")]
    assert names(search(folders, {"HOME": "/nowhere"})) == ["one"]


def test_a_search_is_bounded_and_takes_what_is_near_and_visible_first(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_folders, "MAX_ENTRIES", 40)
    for number in range(50):
        put(tmp_path / ".hidden" / f"{number}.txt")
        put(tmp_path / "a" / "b" / "c" / f"{number}.txt")
    put(tmp_path / "z" / "near.gguf")
    put(tmp_path / "a" / "b" / "c" / "d" / "far.gguf")
    assert names(search([tmp_path], {"HOME": "/nowhere"})) == ["near"]


def test_a_folder_may_be_a_file_and_what_macos_leaves_behind_is_no_model(tmp_path):
    one = put(tmp_path / "one.gguf")
    put(tmp_path / "._one.gguf")
    put(tmp_path / "two.gguf.part")
    assert names(search([one], {"HOME": "/nowhere"})) == ["one"]
    assert names(search([tmp_path], {"HOME": "/nowhere"})) == ["one"]


def test_a_projector_belongs_to_the_models_beside_it(tmp_path):
    put(tmp_path / "vision" / "model-a.gguf")
    projector = put(tmp_path / "vision" / "mmproj-model-a-f16.gguf")
    put(tmp_path / "text" / "model-b.gguf")
    found = search([tmp_path], {"HOME": "/nowhere"})
    assert [(file.name, file.projector) for file in found] == [("model-a", projector), ("model-b", None)]


def test_a_split_model_is_one_and_says_which_part_is_missing(tmp_path):
    for part in (1, 2, 3):
        put(tmp_path / f"whole-0000{part}-of-00003.gguf")
    for part in (2, 3):
        put(tmp_path / f"headless-0000{part}-of-00003.gguf")
    put(tmp_path / "short-00002-of-00004.gguf")
    put(tmp_path / "odd-00000-of-00000.gguf")
    put(tmp_path / "whole.gguf")
    headless, odd, short, beside, whole = search([tmp_path], {"HOME": "/nowhere"})
    assert names([beside, whole]) == ["whole", "whole-00001-of-00003"], "distinct, though both are called whole"
    assert len(whole.parts) == 3
    assert whole.fault is None
    assert odd.fault is None, "a number that is none of a part"
    assert headless.name == "headless"
    assert headless.fault == (
        "Part 1 of the 3 parts of this model is not there.",
        "Put headless-00001-of-00003.gguf beside the others, or fetch it again.",
    )
    assert short.fault[0] == "Parts 1, 3, 4 of the 4 parts of this model are not there."


def test_models_of_ollama_are_called_as_it_calls_them(tmp_path):
    blob = put(tmp_path / "user" / "blobs" / "sha256-aa")
    other = put(tmp_path / "service" / "blobs" / "sha256-bb")
    listed = put(tmp_path / "files" / "one.gguf")
    blobs = [("qwen3:8b", blob), ("qwen3:latest", blob), ("hf.co/o/r:Q4", other), ("same:1b", listed)]
    found = search([tmp_path / "files"], {"HOME": "/nowhere"}, blobs)
    assert names(found) == ["ollama:hf.co/o/r:Q4", "ollama:qwen3:8b", "one"]
    for form in ("ollama:qwen3:8b", "ollama:qwen3:latest", "ollama:qwen3", "ollama:QWEN3:8B"):
        assert names(matching(found, form)) == ["ollama:qwen3:8b"]
    assert names(matching(found, "ollama:same:1b")) == ["one"], "a file that is listed already"
    twice = search([], {"HOME": "/nowhere"}, [("m:1b", blob), ("m:1b", other)])
    assert names(twice) == ["service/ollama:m:1b", "user/ollama:m:1b"]
    assert len(matching(twice, "ollama:m:1b")) == 2
    assert [matching(twice, file.name) for file in twice] == [[file] for file in twice]


# What the backend makes of them


async def listed(folder, **more):
    found = await LlamaCppBackend(DEMO, [folder], **more).models()
    return [info for info in found if info.ref.endpoint == "gguf"]


async def test_what_answers_nothing_is_left_out_and_said_when_it_is_named(tmp_path):
    tiny(tmp_path / "good.gguf")
    tiny(tmp_path / "embed.gguf", "nomic-bert")
    tiny(tmp_path / "rerank.gguf", extra={"llama.pooling_type": 4})
    tiny(tmp_path / "eyes.gguf", "clip")
    tiny(tmp_path / "lora.gguf", extra={"general.type": "adapter"})
    tiny(tmp_path / "words.gguf", tensors=False)
    assert [info.ref.name for info in await listed(tmp_path)] == ["good"]
    for name, what in (("embed", "embedding"), ("rerank", "embedding"), ("eyes", "projector"), ("words", "vocabulary")):
        for form in (f"gguf/{name}", str(tmp_path / f"{name}.gguf")):
            with pytest.raises(ArenaError, match=what) as caught:
                await LlamaCppBackend(DEMO, [tmp_path]).find(ModelRef.parse(form))
            assert caught.value.hint


async def test_a_split_model_counts_all_of_its_parts(tmp_path):
    metadata, tensors = llama_like(layers=2, width=256, feed_forward=256, heads=4, kv_heads=4, vocabulary=64)
    for part, held in enumerate((tensors[:9], tensors[9:])):
        path = tmp_path / f"big-0000{part + 1}-of-00002.gguf"
        write_gguf(path, {**(metadata if part == 0 else {}), "split.no": part, "split.count": 2}, held)
    (info,) = await listed(tmp_path)
    assert info.ref.name == "big"
    assert info.size_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.gguf"))
    changed = (tmp_path / "big-00002-of-00002.gguf").read_bytes()[:-1] + b"x"
    (tmp_path / "big-00002-of-00002.gguf").write_bytes(changed)
    (again,) = await listed(tmp_path)
    assert again.ref.digest != info.ref.digest, "the digest is over all parts"
    (tmp_path / "big-00002-of-00002.gguf").unlink()
    (broken,) = await listed(tmp_path)
    assert broken.note.startswith("Part 2 of the 2 parts of this model is not there. Put big-00002-of-00002.gguf")


async def test_a_name_that_may_mean_two_models_names_both(tmp_path):
    for folder in ("ann", "bob"):
        tiny(tmp_path / folder / "same.gguf", extra={"general.name": folder})
    backend = LlamaCppBackend(DEMO, [tmp_path])
    with pytest.raises(ArenaError, match="2 models") as caught:
        await backend.find(ModelRef.parse("gguf/same"))
    assert caught.value.hint == "Name one of them: gguf/ann/same, gguf/bob/same."
    for info in await backend.models():
        assert (await backend.find(ModelRef.parse(str(info.ref)))).ref == info.ref


async def test_a_name_that_is_not_there_brings_the_closest_ones(tmp_path):
    for number in range(12):
        tiny(tmp_path / f"other{number}.gguf")
    tiny(tmp_path / "qwen3-4b.gguf")
    with pytest.raises(MissingModelError) as caught:
        await LlamaCppBackend(DEMO, [tmp_path]).find(ModelRef.parse("gguf/qwen3-8b"))
    assert caught.value.hint == "There are: gguf/qwen3-4b and 12 more."


async def test_a_path_that_is_there_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny(tmp_path / "models" / "x.gguf", extra={"general.name": "by name"})
    by_path = tiny(tmp_path / "gguf" / "x.gguf")
    backend = LlamaCppBackend(DEMO, [tmp_path / "models"])
    assert (await backend.find(ModelRef.parse("gguf/x.gguf"))).location == str(by_path)
    assert (await backend.find(ModelRef.parse("gguf/x"))).location == str(tmp_path / "models" / "x.gguf")
    here = tiny(tmp_path / "x.gguf")
    with pytest.raises(ArenaError, match="two files") as caught:
        await backend.find(ModelRef.parse("x.gguf"))
    assert caught.value.hint == "Write ./x.gguf or ./gguf/x.gguf."
    assert (await backend.find(ModelRef.parse("./x.gguf"))).location == str(here)
    assert (await backend.find(ModelRef.parse("./gguf/x.gguf"))).location == str(by_path)


async def test_ollama_s_files_need_no_suffix(tmp_path):
    blob = tiny(tmp_path / "blobs" / "sha256-aa")
    backend = LlamaCppBackend(DEMO, blobs=lambda: [("qwen3:8b", blob)])
    (info,) = [info for info in await backend.models() if info.ref.endpoint == "gguf"]
    assert str(info.ref) == "gguf/ollama:qwen3:8b"
    assert (await backend.find(ModelRef.parse(str(info.ref)))).location == str(blob)
    assert (await backend.find(ModelRef.parse(f"gguf/{blob}"))).location == str(blob)


def test_a_template_that_only_mentions_thinking_can_t_be_told():
    assert _thinking_modes("{{ '<think>' }}{% if 'thinking' in message %}{{ message.thinking }}{% endif %}") == set()
    assert _thinking_modes("{%- if not thinking is defined %}") == {"on", "off"}
    assert _thinking_modes("{% if enable_thinking is defined and enable_thinking is false %}") == {"on", "off"}
    assert _thinking_modes("{{ reasoning_effort }}") == {"on", "low", "medium", "high"}


async def test_what_a_model_lets_one_set_follows_from_its_template(tmp_path):
    tiny(tmp_path / "plain.gguf", extra={"tokenizer.chat_template": "{{ messages }}"})
    tiny(tmp_path / "thinks.gguf", extra={"tokenizer.chat_template": "{% if enable_thinking %}{% endif %}"})
    plain, thinks = await listed(tmp_path)
    assert {"kv_type", "context", "temperature"} < plain.adjustable
    assert thinks.adjustable - plain.adjustable == {"thinking"}
    assert str(thinks.with_variant(Variant.parse("kv_type=q8_0,thinking=off"))).endswith("kv_type=q8_0,thinking=off")
    with pytest.raises(ArenaError, match="thinking"):
        plain.with_variant(Variant.parse("thinking=off"))


def split(source, folder, count):
    """The model in `count` files, as llama.cpp's splitter writes it: all keys in the first, its number in each."""
    header, raw = read_header(source), source.read_bytes()
    sizes = [8 + len(tensor.name.encode()) + 4 + 8 * len(tensor.dims) + 12 for tensor in header.tensors]
    keys, keys_end = struct.unpack_from("<Q", raw, 16)[0], header.header_bytes - sum(sizes)
    data = -(-header.header_bytes // 32) * 32
    rows, at = [], keys_end
    for tensor, size in zip(header.tensors, sizes, strict=True):
        (offset,) = struct.unpack_from("<Q", raw, at + size - 8)
        rows.append((raw[at : at + size - 8], raw[data + offset : data + offset + tensor.bytes]))
        at += size
    each = -(-len(rows) // count)
    for part in range(count):
        numbers = (
            ("split.no", 2, "H", part),
            ("split.count", 2, "H", count),
            ("split.tensors.count", 5, "i", len(rows)),
        )
        added = b"".join(
            struct.pack("<Q", len(key)) + key.encode() + struct.pack(f"<I{letter}", kind, number)
            for key, kind, letter, number in numbers
        )
        body = (raw[24:keys_end] if part == 0 else b"") + added
        held, table, blocks = rows[part * each : (part + 1) * each], b"", b""
        for row, block in held:
            table += row + struct.pack("<Q", len(blocks))
            blocks += block + bytes(-len(block) % 32)
        start = b"GGUF" + struct.pack("<IQQ", 3, len(held), len(numbers) + (keys if part == 0 else 0)) + body + table
        (folder / f"cut-{part + 1:05}-of-{count:05}.gguf").write_bytes(start + bytes(-len(start) % 32) + blocks)


async def said_by(backend, info):
    one = Contestant.of(info, SHORT)
    pieces = [piece async for piece in backend.stream(Request(one, Prompt("What is 12 + 7?"), SHORT))]
    return "".join(piece.text for piece in pieces if isinstance(piece, Chunk))


@real
@pytest.mark.parametrize("linked", [False, True])
async def test_a_split_model_answers_as_the_whole_one(tmp_path, linked):
    folder = tmp_path / "models--o--r" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    split(DEMO / "small.gguf", folder, 3)
    if linked:  # as Hugging Face's cache has them: the names are on links
        for number, part in enumerate(sorted(folder.iterdir())):
            part.symlink_to(part.rename(tmp_path / f"blob{number}"))
    backend = LlamaCppBackend(DEMO, [tmp_path])
    try:
        cut = await backend.find(ModelRef.parse("gguf/cut"))
        whole = await backend.find(ModelRef.parse("demo/small"))
        assert cut.parameters == whole.parameters
        assert await said_by(backend, cut) == await said_by(backend, whole)
    finally:
        await backend.close()


@real
async def test_a_file_of_ollama_answers_though_its_name_says_nothing(tmp_path):
    blob = tmp_path / "sha256-aa"
    blob.write_bytes((DEMO / "small.gguf").read_bytes())
    backend = LlamaCppBackend(DEMO, blobs=lambda: [("toy:latest", blob)])
    try:
        info = await backend.find(ModelRef.parse("gguf/ollama:toy"))
        assert await said_by(backend, info)
    finally:
        await backend.close()
