"""The formulas, against numbers worked out by hand and numbers that llama.cpp has printed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gguf_files as files
from arena.core.errors import ArenaError, UsageError
from arena.core.gguf import read_header
from arena.core.machine import MIB, FitParts
from arena.core.models import ModelInfo, ModelRef
from arena.core.variants import KV_TYPES
from arena.hardware.fit.catalogue import CatalogueEstimate
from arena.hardware.fit.estimate import SERVER, Runtime, Setting
from arena.hardware.fit.header import HeaderEstimate, compute_bytes
from arena.hardware.fit.shape import shape_of


def estimate(tmp_path, *args, **facts):
    return HeaderEstimate.of(read_header(files.write_gguf(tmp_path / "x.gguf", *files.llama_like(*args, **facts))))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """Llama 3.1 8B in Q4_K_M."""
    return estimate(tmp_path_factory.mktemp("llama"))


def test_weights_are_the_sum_of_the_blocks(llama):
    # 4096 wide, 32 layers, K and V 1024 wide, feed-forward 14336, 128256 tokens; Q4_K takes 144 bytes per 256 numbers,
    # Q6_K 210; in half of the layers V and the down projection are Q6_K
    table = 4096 * 128256 // 256
    square, narrow, wide = 4096 * 4096 // 256, 4096 * 1024 // 256, 4096 * 14336 // 256
    norms = (2 * 32 + 1) * 4096 * 4
    layer = 144 * (2 * square + narrow + 2 * wide)
    expected = table * (144 + 210) + 32 * layer + 16 * (144 + 210) * (narrow + wide) + norms
    assert llama.shape.weights == expected
    assert round(expected / MIB, 2) == 4685.30  # as `llama_model_quantize` computes it for Q4_K_M


def test_the_gpu_holds_all_but_the_token_table(llama):
    on_gpu = llama.on_gpu(Setting(4096)).parts
    assert llama.shape.weights - on_gpu.weights == 4096 * 128256 // 256 * 144


def test_a_tied_table_is_needed_on_both_sides(tmp_path):
    tied = estimate(tmp_path, tied=True)
    assert tied.on_gpu(Setting(4096)).parts.weights == tied.shape.weights
    assert tied.in_ram(Setting(4096)).parts.weights == tied.shape.weights
    assert tied.in_ram(Setting(4096), gpu_layers=33).parts.weights == tied.shape.token_table > 0


@pytest.mark.parametrize(
    ("context", "kv_type", "mib"),
    [
        (4096, "f16", 512),  # 32 layers x (1024 + 1024) numbers x 2 bytes x 4096 tokens
        (32768, "f16", 4096),
        (32768, "f32", 8192),
        (32768, "bf16", 4096),
        (32768, "q8_0", 2176),  # 34 bytes for 32 numbers
        (32768, "q5_1", 1536),
        (32768, "q4_0", 1152),
        (1, "f16", 32),  # never fewer than 256 tokens
        (4097, "f16", 544),
    ],
)
def test_the_cache_of_grouped_heads(llama, context, kv_type, mib):
    assert llama.on_gpu(Setting(context, kv_type)).parts.kv == mib * MIB
    assert llama.in_ram(Setting(context, kv_type)).parts.kv == mib * MIB


def test_ungrouped_heads_take_four_times_as_much_and_so_do_four_slots(tmp_path, llama):
    assert estimate(tmp_path, kv_heads=32).on_gpu(Setting(4096)).parts.kv == 2048 * MIB
    assert llama.on_gpu(Setting(4096, slots=4)).parts.kv == 2048 * MIB


def test_heads_may_differ_by_layer(tmp_path):
    by_layer = estimate(tmp_path, layers=4, kv_heads=(1, 2, 4, 8))
    assert by_layer.on_gpu(Setting(4096)).parts.kv == 15 * 128 * 2 * 2 * 4096
    # without flash attention V lies transposed, every layer as wide as the widest
    without = replace(SERVER, flash_attention=False)
    assert by_layer.on_gpu(Setting(4096, runtime=without)).parts.kv == (15 + 4 * 8) * 128 * 2 * 4096


GEMMA = {
    "layers": 48, "width": 3840, "feed_forward": 15360, "heads": 16, "kv_heads": 8, "head_width": 256,
    "vocabulary": 262208, "tied": True, "extra": {"gemma3.attention.sliding_window": 1024},
}  # fmt: skip


def test_a_sliding_window_keeps_window_and_batch(tmp_path):
    # every sixth layer sees the whole context; the others 1024 tokens and a batch of 512
    gemma = estimate(tmp_path, "gemma3", **GEMMA)
    per_cell = 2 * 8 * 256 * 2
    assert gemma.on_gpu(Setting(32768)).parts.kv == per_cell * (8 * 32768 + 40 * 1536) == 2528 * MIB
    assert gemma.on_gpu(Setting(1024)).parts.kv == per_cell * 48 * 1024
    assert gemma.on_gpu(Setting(32768, slots=2)).parts.kv == 2 * 2528 * MIB
    full = replace(SERVER, full_window=True)
    assert gemma.on_gpu(Setting(32768, runtime=full)).parts.kv == per_cell * 48 * 32768


@pytest.mark.parametrize(
    ("arch", "extra", "windowed"),
    [
        ("gemma2", {"attention.sliding_window": 64}, "10101010"),
        ("smallthinker", {"attention.sliding_window": 64}, "01110111"),
        ("other", {"attention.sliding_window": 64}, "00000000"),
        ("phi3", {"attention.sliding_window": 64, "attention.sliding_window_pattern": 2}, "00000000"),
        ("gemma3", {}, "00000000"),
        ("other", {"attention.sliding_window": 64, "attention.sliding_window_pattern": 4}, "11101110"),
        ("other", {"attention.sliding_window": 64, "attention.sliding_window_pattern": (True, False) * 4}, "10101010"),
    ],
)
def test_which_layers_slide(tmp_path, arch, extra, windowed):
    shape = estimate(tmp_path, arch, layers=8, extra={f"{arch}.{key}": each for key, each in extra.items()}).shape
    assert "".join("1" if layer.windowed else "0" for layer in shape.layers) == windowed


def test_latent_attention_keeps_one_compressed_row(tmp_path):
    # DeepSeek V2: 512 + 64 numbers per token and layer, and no V
    extra = {"deepseek2.attention.key_length_mla": 192, "deepseek2.attention.key_length": 576}
    found = estimate(tmp_path, "deepseek2", layers=27, kv_heads=1, extra=extra)
    assert found.on_gpu(Setting(4096)).parts.kv == 27 * 576 * 2 * 4096


def test_layers_that_share_a_cache_have_none(tmp_path):
    shared = estimate(tmp_path, "gemma4", layers=10, extra={"gemma4.attention.shared_kv_layers": 4})
    assert shared.on_gpu(Setting(4096)).parts.kv == 6 * 2 * 8 * 128 * 2 * 4096


def test_layers_that_guess_ahead_are_not_loaded(tmp_path, llama):
    ahead = estimate(tmp_path, layers=33, extra={"llama.nextn_predict_layers": 1}, pick=files.q4_k_m(32))
    assert ahead.on_gpu(Setting(4096)).parts.kv == llama.on_gpu(Setting(4096)).parts.kv
    assert len(ahead.shape.layers) == 32


SSM = {"ssm.inner_size": 4096, "ssm.state_size": 128, "ssm.conv_kernel": 4, "ssm.group_count": 16}
STATE = (3 * (4096 + 2 * 16 * 128) + 128 * 4096) * 4


@pytest.mark.parametrize(
    ("arch", "extra", "kv_heads", "states", "caches"),
    [
        ("qwen35", SSM, 2, 6, 2),  # every fourth layer attends
        ("qwen35", SSM | {"attention.recurrent_layers": (True,) * 5 + (False,) * 3}, 2, 5, 3),
        ("granitehybrid", SSM, (0, 0, 0, 2, 0, 0, 0, 2), 6, 2),
        ("nemotron_h", SSM | {"feed_forward_length": (0, 64, 0, 0, 0, 64, 0, 0)}, (0, 0, 2, 0, 0, 0, 2, 0), 4, 2),
        ("falcon-h1", SSM, 2, 8, 8),
        ("mamba2", SSM, 0, 8, 0),
    ],
)
def test_recurrent_state_is_per_slot_and_not_per_token(tmp_path, arch, extra, kv_heads, states, caches):
    extra = {f"{arch}.{key}": each for key, each in extra.items()}
    hybrid = estimate(tmp_path, arch, layers=8, kv_heads=kv_heads, extra=extra)
    for context, slots in ((512, 1), (8192, 1), (512, 3)):
        parts = hybrid.on_gpu(Setting(context, "q8_0", slots)).parts
        assert parts.recurrent == slots * states * STATE
        assert parts.kv == slots * caches * 2 * 2 * 128 * 34 // 32 * context


def test_other_kinds_of_recurrent_state(tmp_path):
    short = estimate(tmp_path, "lfm2", layers=2, width=1024, kv_heads=(0, 8), extra={"lfm2.shortconv.l_cache": 3})
    assert short.in_ram(Setting(512)).parts.recurrent == 1024 * 2 * 4
    rwkv = estimate(tmp_path, "rwkv7", layers=2, width=1024, heads=0, kv_heads=0, extra={"rwkv7.wkv.head_size": 64})
    assert rwkv.in_ram(Setting(512)).parts.recurrent == 2 * (1024 * 2 + 64 * 1024) * 4


def test_compute_is_the_largest_moment(llama):
    # in MiB, 512 tokens at once: a row 8, the mask 4, queries 2 x 8, three feed-forward rows of 14336 numbers 84
    shape = llama.shape
    assert compute_bytes(shape, Setting(4096), on_gpu=False) == (84 + 4 * 8 + 4) * MIB
    assert compute_bytes(shape, Setting(4096), on_gpu=True) == (84 + 4 * 8 + 4 - 8) * MIB
    # the logits of 512 tokens, their embeddings and a row
    assert compute_bytes(shape, Setting(4096, runtime=Runtime(all_logits=True)), on_gpu=False) == (
        512 * 128256 * 4 + 16 * MIB
    )
    # without flash attention the scores: 32 heads x 4096 x 512 x 4 bytes; the queries twice, what comes in, goes on and
    # is attended to, and a place of 8 bytes for each number of V
    assert (
        compute_bytes(shape, Setting(4096, runtime=Runtime(flash_attention=False)), on_gpu=False)
        == (8 + 256 + 2 * 8 + 3 * 8 + 4) * MIB
    )


def test_a_quantized_cache_is_unpacked_layer_by_layer_on_cuda(llama):
    plain, packed = (compute_bytes(llama.shape, Setting(131072, kv), on_gpu=True) for kv in ("f16", "q8_0"))
    assert plain == (84 + 32 + 128 - 8) * MIB
    assert packed == (128 + 24 + 16 + 131072 * 2048 * 2 // MIB - 8) * MIB


def test_overhead_grows_with_the_card(llama):
    assert llama.on_gpu(Setting(4096)).parts.overhead == 300 * MIB
    assert llama.on_gpu(Setting(4096), multiprocessors=34).parts.overhead == 102 * MIB
    known, unknown = llama.on_gpu(Setting(4096), multiprocessors=34), llama.on_gpu(Setting(4096))
    assert known.sigma_bytes < unknown.sigma_bytes


def test_layers_on_the_gpu_and_in_ram_are_all_layers(llama):
    setting, whole = Setting(4096), llama.on_gpu(Setting(4096)).parts
    for layers in range(1, 34):
        gpu, host = llama.on_gpu(setting, gpu_layers=layers).parts, llama.in_ram(setting, gpu_layers=layers).parts
        assert gpu.kv + host.kv == whole.kv
        assert gpu.weights + host.weights == llama.shape.weights
    assert llama.on_gpu(setting, gpu_layers=33).parts == whole
    assert llama.on_gpu(setting, gpu_layers=0).parts.weights == 0


def test_headers_that_leave_out_too_much(tmp_path):
    metadata, tensors = files.llama_like(layers=2)
    for key, what in (("llama.block_count", "block_count"), ("llama.embedding_length", "embedding_length")):
        less = {name: each for name, each in metadata.items() if name != key}
        with pytest.raises(ArenaError, match=what):
            shape_of(read_header(files.write_gguf(tmp_path / "x.gguf", less, tensors)))
    for changes, what in (
        ({"llama.block_count": 0}, "0 layers"),
        ({"llama.block_count": 5000}, "5000 layers"),
        ({"llama.attention.head_count_kv": (1,)}, "for 1 of 2 layers"),
        ({"llama.attention.key_length": 1 << 30}, "key_length"),
        ({"general.architecture": ""}, "names no architecture"),
    ):
        with pytest.raises(ArenaError, match=what):
            shape_of(read_header(files.write_gguf(tmp_path / "x.gguf", metadata | changes, tensors)))


def test_kv_types_there_are_not():
    with pytest.raises(UsageError, match="q3_k"):
        Setting(4096, "q3_k")


SHAPES = st.fixed_dictionaries(
    {
        "layers": st.integers(1, 8), "width": st.sampled_from([256, 1024]), "heads": st.sampled_from([4, 16]),
        "kv_heads": st.sampled_from([1, 4]), "head_width": st.sampled_from([64, 128]),
        "feed_forward": st.sampled_from([256, 4096]), "vocabulary": st.sampled_from([1000, 100000]),
        "extra": st.sampled_from([{}, {"gemma3.attention.sliding_window": 512}]),
    }
)  # fmt: skip
RUNTIMES = st.builds(
    Runtime, st.sampled_from([256, 2048]), st.sampled_from([128, 512]), st.booleans(), st.booleans(), st.booleans()
)


@settings(max_examples=100, deadline=None)
@given(SHAPES, RUNTIMES, st.sampled_from(KV_TYPES), st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 4))
def test_more_context_never_needs_less(tmp_path_factory, facts, runtime, kv_type, first, second, slots):
    found = estimate(tmp_path_factory.getbasetemp(), "gemma3", **facts)
    short, long = (Setting(context, kv_type, slots, runtime) for context in sorted((first, second)))
    for need in (found.on_gpu, found.in_ram):
        assert need(short).parts.total <= need(long).parts.total
        assert need(short).sure_bytes <= need(long).sure_bytes
        assert need(long).parts.total <= need(replace(long, slots=slots + 1)).parts.total


def info(**facts):
    return ModelInfo(ModelRef("ollama", "x"), **facts)


def test_the_catalogue_knows_size_or_parameters_or_nothing():
    by_size = CatalogueEstimate.of(info(size_bytes=4920 * MIB, parameters=8_030_000_000, context=131072))
    need = by_size.on_gpu(Setting(4096))
    assert need.parts == FitParts(4920 * MIB, need.parts.kv, 0, 3 * 1024 * MIB // 10, 300 * MIB)
    assert need.parts.kv == pytest.approx(512 * MIB, rel=0.01)
    assert need.sigma_bytes == pytest.approx(0.08 * need.parts.total, rel=0.05)
    assert (by_size.method, by_size.trained, by_size.layers) == ("catalogue", 131072, None)
    by_name = CatalogueEstimate.of(info(parameters=8_030_000_000, quantization="q4_k_m"))
    assert by_name.weights == pytest.approx(4685 * MIB, rel=0.01)
    assert CatalogueEstimate.of(info(parameters=8_030_000_000)) is None
    assert CatalogueEstimate.of(info()) is None
    assert CatalogueEstimate.of(info(size_bytes=0)) is None
