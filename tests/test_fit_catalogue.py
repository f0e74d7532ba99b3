"""The catalogue: its entries, its errors, and each entry against llama.cpp."""

import importlib.util
import subprocess
import sys

import pytest

from arena.core.errors import ArenaError, UsageError
from arena.core.machine import MIB
from arena.hardware.fit.catalogue import catalogue, estimate, lookup, parse, quantization_in
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
        ("llama3.1", None),
        ("llama3.1:9b", None),
        ("llama", None),
        ("", None),
    ],
)
def test_models_are_found_by_the_name_that_pulls_them(asked, found):
    model = lookup(asked)
    assert (model.name if model else None) == found


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
