"""The catalogue: its entries, its errors, and each entry against llama.cpp."""

import importlib.util
import subprocess
import sys

import pytest

from arena.core.errors import ArenaError, UsageError
from arena.core.machine import MIB
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.estimates import Estimator
from arena.hardware.fit.catalogue import catalogue, estimate, parse
from arena.hardware.fit.catalogue_names import find, known_as, lookup, quantization_in
from arena.hardware.fit.dry_run import DryRun
from arena.hardware.fit.estimate import Setting
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.skeleton import header_of, write

ENTRY = """
[[model]]
name = "Llama 3 8B"
maker = "Meta"
pull = "llama3:8b"
licence = "Llama 3"
released = "2024-04"
uses = ["general"]
quants = ["Q4_0", "Q8_0"]
parameters = 8030261248
source = "https://example.org"
[model.gguf]
architecture = "llama"
vocab_size = 128256
tied = false
context_length = 8192
embedding_length = 4096
block_count = 32
feed_forward_length = 14336
"attention.head_count" = 32
"attention.head_count_kv" = 8
"""
NAMES = [model.name for model in catalogue()]
BY_NAME = {model.name: model for model in catalogue()}


def test_an_entry_is_read():
    (model,) = parse(ENTRY)
    assert (model.name, model.quants, model.context_length, model.note) == ("Llama 3 8B", ("Q4_0", "Q8_0"), 8192, "")
    assert model.spec.architecture == "llama"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('maker = "Meta"', "", "'Llama 3 8B' of the catalogue lacks the key maker"),
        ('name = "Llama 3 8B"', "", "number 1 of the catalogue lacks the key name"),
        ('maker = "Meta"', 'maker = "Meta"\nfoo = 1', "does not know the key foo"),
        ('"general"', '"gaming"', "'gaming'"),
        ('"Q8_0"]', '"Q9_9"]', "'Q9_9'"),
        ('"llama"', '"abacus"', "'Llama 3 8B' of the catalogue: The tensors of the architecture 'abacus'"),
        ("tied = false", "tied = ", "is no TOML"),
    ],
)
def test_errors_name_the_entry(old, new, what):
    with pytest.raises(ArenaError, match=what):
        parse(ENTRY.replace(old, new, 1))


def test_no_name_comes_twice():
    with pytest.raises(ArenaError, match="the name 'Llama 3 8B' twice"):
        parse(ENTRY + ENTRY)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("llama3:8b", "Llama 3 8B Instruct"),
        ("LLAMA3:8B", "Llama 3 8B Instruct"),
        ("library/llama3:8b-instruct-q8_0", "Llama 3 8B Instruct"),
        ("llama3.1:8b-instruct-q4_K_M", "Llama 3.1 8B Instruct"),
        ("phi4", "Phi-4 14B"),
        ("phi4:latest", "Phi-4 14B"),
        ("llama3.1:9b", None),
        ("llama", None),
        ("", None),
    ],
)
def test_models_are_found_by_the_name_that_pulls_them(asked, found):
    model = lookup(asked)
    assert (model.name if model else None) == found


LATEST = {
    "llama3": "8b", "llama3.1": "8b", "llama3.2": "3b", "llama2": "7b", "gemma3": "4b", "gemma2": "9b", "qwen3": "8b",
    "qwen2.5": "7b", "qwen2.5-coder": "7b", "deepseek-r1": "8b", "mistral-small": "24b", "gpt-oss": "20b",
    "phi3": "mini", "phi4": "14b", "codellama": "7b", "falcon": "7b", "mixtral": "8x7b",
}  # fmt: skip


@pytest.mark.parametrize("family", LATEST)
@pytest.mark.parametrize("tag", ["", ":latest"])
def test_a_family_alone_means_what_latest_means(family, tag):
    assert find(f"{family}{tag}").model.pull == f"{family}:{LATEST[family]}"


@pytest.mark.parametrize(
    ("alias", "pull"),
    [
        ("phi3:14b", "phi3:medium"),
        ("phi3:3.8b", "phi3:mini"),
        ("phi3:14b-q8_0", "phi3:medium"),
        ("qwen3:4b", "qwen3:4b"),
    ],
)
def test_aliases_mean_the_same_model(alias, pull):
    assert find(alias).model.pull == pull


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("llama3.1:8b-nope", "'nope' in 'llama3.1:8b-nope'", "Q4_K_M, Q4_0"),
        ("llama3.1:8b-int8", "'int8'", "Sizes of llama3.1: 8b, 70b."),
        ("llama3:13b", "no 'llama3:13b'", "8b, 70b"),
        ("gemma4", "no 'gemma4'", "e2b, e4b, 12b"),
        ("hf.co/unsloth/gemma-3-27b-it-GGUF:int8", "'int8'", "Q4_K_M"),
    ],
)
def test_what_a_known_family_does_not_have_is_refused_with_what_there_is(name, says, hint):
    with pytest.raises(UsageError) as caught:
        find(name)
    assert says in caught.value.sentence
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "base", "label"),
    [
        ("llama3.1:8b-instruct-q6_K_L", "Q6_K", "Q6_K_L"),
        ("llama3.1:8b-q8_k_xl", "Q8_0", "Q8_K_XL"),
        ("hf.co/unsloth/gemma-3-27b-it-GGUF:UD-Q8_K_XL", "Q8_0", "UD-Q8_K_XL"),
        ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q2_K_L", "Q3_K_S", "Q2_K_L"),
    ],
)
def test_recipes_of_others_are_roughly_the_next_known_type(name, base, label):
    found = find(name)
    assert (found.recipe.quantization, found.label) == (base, label)
    assert label in found.note
    rough, usual = (estimate(found.model, each).on_gpu(Setting(4096)).sigma_bytes for each in (found.recipe, base))
    assert rough > 1.5 * usual


@pytest.mark.parametrize(("size", "gb"), [("4b", 3.16), ("12b", 8.07), ("27b", 17.2)])
def test_gemma_trained_for_four_bits_keeps_its_table_in_sixteen(size, gb):
    found = find(f"gemma3:{size}-it-qat")
    weights = estimate(found.model, found.recipe, vision=False).in_ram(Setting(256)).parts.weights
    assert weights / 1e9 == pytest.approx(gb, rel=0.01)  # gemma-3-*-it-qat-q4_0.gguf, as published


def test_what_strangers_publish_is_judged_with_more_doubt_and_a_note():
    own, theirs = find("llama3:70b"), find("anyone/llama3:70b")
    assert (own.note, own.recipe.doubt) == ("", 0.0)
    assert theirs.recipe.doubt >= 0.1
    assert "'anyone'" in theirs.note
    assert find("library/llama3:70b") == find("catalogue/llama3:70b") == find("ollama/llama3:70b") == own


def test_a_family_has_one_latest():
    other = ENTRY.replace("Llama 3 8B", "Llama 3 9B").replace("llama3:8b", "llama3:9b")
    with pytest.raises(ArenaError, match="two latest of 'llama3'"):
        parse((ENTRY + other).replace("parameters =", "latest = true\nparameters ="))
    with pytest.raises(ArenaError, match="the pull 'llama3:8b' twice"):
        parse(ENTRY + other.replace("parameters =", 'aliases = ["llama3:8b"]\nparameters ='))


def test_the_part_that_looks_at_images_is_counted_or_said():
    model = lookup("gemma3:12b")
    (seeing, blind) = (estimate(model, "Q4_K_M", vision=each) for each in (True, False))
    for ask in ("in_ram", "on_gpu"):
        more, less = (getattr(each, ask)(Setting(8192)) for each in (seeing, blind))
        assert more.parts.weights - less.parts.weights == 854_000_000
        assert more.sigma_bytes > 300 * MIB > less.sigma_bytes
    more, less = (each.on_gpu(Setting(8192), gpu_layers=5).parts.weights for each in (seeing, blind))
    assert more - less == 854_000_000, "it is on the GPU whole"
    assert seeing.in_ram(Setting(8192), gpu_layers=5) == blind.in_ram(Setting(8192), gpu_layers=5)
    assert "0.5 to 1.5 GiB" in lookup("gemma4:12b").note_on_vision
    assert model.note_on_vision == lookup("llama3:8b").note_on_vision == ""


@pytest.mark.parametrize(
    "name", ["Qwen2.5-7B-Instruct-Q4_K_M", "gemma-3-4b-it-Q8_0.gguf", "Meta-Llama-3.1-8B-Instruct-Q5_K_M"]
)
def test_files_are_known_by_what_they_are_called(tmp_path, name):
    (model, *_) = known_as(ModelInfo(ModelRef("gguf", name)), catalogue())
    path = tmp_path / "x.gguf"
    write(path, model.spec, "Q8_0")
    info = ModelInfo(ModelRef("gguf", name), location=str(path), quantization="Q8_0")
    smaller = dict(Estimator().smaller(info))
    assert "Q4_K_M" in smaller
    assert "Q8_0" not in smaller


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        ("llama3.1:8b-instruct-q8_0", "Q8_0"), ("x:7b-fp16", "F16"), ("x:q4_K_M", "Q4_K_M"), ("x:8b", ""),
        ("gpt-oss:20b-mxfp4", "MXFP4"), ("x:7b-iq3_xs", "IQ3_XS"), ("x", ""), ("x:1.5b-q9_z", ""),
    ],
)  # fmt: skip
def test_the_quantization_in_a_name(name, quantization):
    assert quantization_in(name) == quantization


def test_an_estimate_says_where_it_is_from_and_how_sure_it_is():
    model = lookup("llama3.1:8b")
    exact = HeaderEstimate.of(header_of(model.spec, "Q8_0")).on_gpu(Setting(8192))
    pure, mixed = (estimate(model, kind) for kind in ("Q8_0", "q4_k_m"))
    assert (pure.method, pure.trained, pure.layers) == ("catalogue", 131072, 33)
    assert pure.on_gpu(Setting(8192)).parts == exact.parts
    assert pure.on_gpu(Setting(8192)).sigma_bytes > exact.sigma_bytes
    need = mixed.on_gpu(Setting(8192))
    assert need.sigma_bytes == pytest.approx(0.03 * need.parts.weights, rel=0.4)
    with pytest.raises(UsageError, match="Q9_Z"):
        estimate(model, "Q9_Z")


def test_the_catalogue_needs_no_heavy_library():
    story = (
        "import sys; from arena.hardware.fit.catalogue import catalogue, estimate\n"
        "from arena.hardware.fit.estimate import Setting\n"
        "for model in catalogue(): estimate(model, model.quants[0]).on_gpu(Setting(8192))\n"
        "print({'numpy', 'llama_cpp', 'subprocess'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", story], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize("name", NAMES)
def test_its_figures_hold_together(name):
    model = BY_NAME[name]
    header = header_of(model.spec, model.quants[0])
    assert header.parameters == pytest.approx(model.parameters, rel=0.01)
    if model.active_parameters:
        assert header.active_parameters == pytest.approx(model.active_parameters, rel=0.02)
    assert model.active_parameters is not None or header.active_parameters == header.parameters
    for quantization in model.quants:
        assert estimate(model, quantization).in_ram(Setting(2048)).parts.weights > 0


@pytest.fixture(scope="module")
def run():
    asked = DryRun()
    yield asked
    asked.close()


@pytest.mark.engine
@pytest.mark.skipif(
    importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing: catalogue not cross-checked"
)
@pytest.mark.parametrize("name", NAMES)
def test_llama_cpp_agrees(tmp_path, run, name):
    model = BY_NAME[name]
    formula = HeaderEstimate.of(write(tmp_path / "x.gguf", model.spec, model.quants[0]))
    settings = [Setting(8192), Setting(min(32768, model.context_length))]
    for setting, planned in zip(settings, run.needs(tmp_path / "x.gguf", settings), strict=True):
        parts = formula.in_ram(setting).parts
        assert planned.parameters == pytest.approx(model.parameters, rel=0.01)
        assert parts.weights == planned.weights
        assert parts.kv == pytest.approx(planned.kv, abs=0.011 * MIB)
        assert parts.recurrent == pytest.approx(planned.recurrent, abs=0.011 * MIB)
        total = planned.weights + planned.kv + planned.recurrent + planned.compute
        assert parts.total - parts.overhead == pytest.approx(total, rel=0.01)
