"""Skeletons: headers made from numbers, what is written of them, and which type each tensor gets."""

import importlib.util

import pytest

from arena.core.errors import ArenaError, UsageError
from arena.core.gguf import read_header
from arena.core.machine import MIB
from arena.hardware.fit.blueprint import ARCHITECTURES
from arena.hardware.fit.catalogue import catalogue
from arena.hardware.fit.dry_run import DryRun
from arena.hardware.fit.estimate import Setting
from arena.hardware.fit.mixture import Facts, type_names
from arena.hardware.fit.shape import shape_of
from arena.hardware.fit.skeleton import GgufSpec, header_of, write
from fit_specs import SPECS

ENGINE = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing: skeletons not cross-checked"
    ),
]
LLAMA = {
    "architecture": "llama", "vocab_size": 128256, "tied": False, "context_length": 131072, "embedding_length": 4096,
    "block_count": 32, "feed_forward_length": 14336, "attention.head_count": 32, "attention.head_count_kv": 8,
    "attention.key_length": 128, "attention.value_length": 128,
}  # fmt: skip
MIXTURES = (
    "Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0", "IQ4_XS",
    "IQ4_NL", "IQ3_S", "IQ3_M", "IQ3_XS", "MXFP4",
)  # fmt: skip


@pytest.mark.parametrize(
    ("quantization", "mib"), [("Q4_K_M", 4685.30), ("Q8_0", 8137.64), ("Q2_K", 3024.38)]
)  # as `llama_model_quantize` prints them
def test_the_size_of_llama_3_1_8b(quantization, mib):
    header = header_of(GgufSpec.of(LLAMA), quantization)
    assert round(shape_of(header).weights / MIB, 2) == mib
    assert header.parameters == 8_030_261_248
    assert header.quantization == quantization


@pytest.mark.parametrize("name", SPECS)
def test_what_is_written_is_read_again(tmp_path, name):
    path = tmp_path / "x.gguf"
    made = write(path, GgufSpec.of(SPECS[name]), "Q4_K_M")
    read = read_header(path)
    assert (read.tensors, read.architecture, read.context_length) == (made.tensors, made.architecture, 131072)
    assert shape_of(read) == shape_of(made)
    assert read.file_bytes == read.header_bytes + made.file_bytes + -read.header_bytes % 32
    assert path.stat().st_blocks * 512 < MIB < read.file_bytes


def test_layers_that_guess_ahead_are_left_out():
    plain = header_of(GgufSpec.of(LLAMA), "Q8_0")
    ahead = header_of(GgufSpec.of(LLAMA | {"block_count": 33, "nextn_predict_layers": 1}), "Q8_0")
    assert ahead.tensors == plain.tensors


def test_a_tied_table_is_there_once_and_as_good_as_an_output():
    tied = header_of(GgufSpec.of(LLAMA | {"tied": True}), "Q4_K_M")
    assert "output.weight" not in {tensor.name for tensor in tied.tensors}
    assert tied.tensors[0].type == "Q6_K"
    assert shape_of(tied).tied


def test_rows_that_are_no_whole_number_of_blocks_get_smaller_ones():
    facts = Facts("llama", 8, 0, 4)
    rows = [
        ("blk.0.attn_q.weight", (896, 896)),
        ("blk.0.ffn_up.weight", (1000, 64)),
        ("blk.0.attn_norm.weight", (896,)),
    ]
    assert type_names(rows, facts, "Q4_K_M") == ["Q5_0", "F16", "F32"]
    assert type_names(rows, facts, "bf16") == ["BF16", "BF16", "F32"]


def test_what_can_not_be_made():
    with pytest.raises(ArenaError, match="architecture 'abacus'"):
        GgufSpec.of(LLAMA | {"architecture": "abacus"})
    with pytest.raises(ArenaError, match="context_length"):
        GgufSpec.of(LLAMA | {"context_length": {"a": 1}})
    with pytest.raises(UsageError, match="Q9_X"):
        header_of(GgufSpec.of(LLAMA), "Q9_X")
    lacking = {key: value for key, value in LLAMA.items() if key != "embedding_length"}
    with pytest.raises(ArenaError, match="embedding_length"):
        header_of(GgufSpec.of(lacking), "Q8_0")


def test_every_architecture_has_an_example():
    shown = {spec["architecture"] for spec in SPECS.values()} | {model.spec.architecture for model in catalogue()}
    assert ARCHITECTURES - shown <= {"qwen2vl", "qwen3vl", "qwen3vlmoe", "mistral4", "deepseek", "apertus"}


@pytest.fixture(scope="module")
def run():
    asked = DryRun()
    yield asked
    asked.close()


@pytest.mark.parametrize("name", [pytest.param(name, marks=ENGINE) for name in SPECS])
def test_llama_cpp_loads_it(tmp_path, run, name):
    made = write(tmp_path / "x.gguf", GgufSpec.of(SPECS[name]), "Q4_K_M")
    planned = run.need(tmp_path / "x.gguf", Setting(2048))
    assert planned.parameters == made.parameters
    assert planned.weights == shape_of(made).weights


@pytest.mark.parametrize("name", [pytest.param(name, marks=ENGINE) for name in ("llama", *SPECS)])
def test_the_mixture_is_llama_cpps_tensor_by_tensor(tmp_path, run, name):
    spec = GgufSpec.of(SPECS.get(name, LLAMA))
    plain = {tensor.name: tensor.type for tensor in write(tmp_path / "x.gguf", spec, "F16").tensors}
    for quantization in MIXTURES:
        told = run.quantized(tmp_path / "x.gguf", quantization)
        made = header_of(spec, quantization)
        assert {tensor.name: tensor.type for tensor in made.tensors} == {
            name: told[name] or kept for name, kept in plain.items()
        }, quantization
