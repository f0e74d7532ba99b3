"""What would make a model fit: every lever is what asking again says."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gguf_files as files
from arena.core.fit import LeverKind
from arena.core.gguf import GgufHeader, Tensor
from arena.core.machine import GIB, MIB, Fits, Gpu, Machine
from arena.core.variants import KV_TYPES
from arena.hardware.fit.devices import gpus_of, ram
from arena.hardware.fit.estimate import EMBEDDED, SERVER, Setting
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.levers import levers
from arena.hardware.fit.verdict import judge
from arena.hardware.whatif import parse_gpus


def model(**facts):
    """From a header that is in no file."""
    metadata, tensors = files.llama_like(**facts)
    header = GgufHeader(Path("x.gguf"), 3, metadata, tuple(Tensor(*each) for each in tensors), 0, 0)
    return HeaderEstimate.of(header)


LLAMA = model()
SMALL = model(pick=lambda _kind, _layer: "Q2_K")


def cards(text, ram=32):
    return Machine(gpus=parse_gpus(text), ram_total_bytes=ram * GIB, ram_free_bytes=ram * GIB)


def pulled(where, setting, **facts):
    return levers("x", LLAMA, where, setting, **facts)


def only(found, kind):
    (lever,) = [lever for lever in found if lever.kind is kind]
    return lever


def test_what_fits_needs_no_lever():
    assert pulled(cards("24GB"), Setting(8192), reclaimable=[("y", GIB)]) == ()
    assert pulled(Machine(ram_total_bytes=32 * GIB, ram_free_bytes=32 * GIB), Setting(8192)) == ()


def test_a_shorter_context_is_the_longest_that_fits():
    where, setting = cards("8GB"), Setting(32_768)
    lever = only(pulled(where, setting), LeverKind.CONTEXT)
    context = int(lever.what.split()[1])
    assert lever.what == f"context {context} instead of 32768"
    assert (lever.makes_it_fit, lever.verdict) == (True, Fits.FITS)
    assert judge("x", LLAMA, where, replace(setting, context=context)).verdict is Fits.FITS
    assert judge("x", LLAMA, where, replace(setting, context=context + 256)).verdict is not Fits.FITS
    before, after = LLAMA.on_gpu(setting), LLAMA.on_gpu(replace(setting, context=context))
    assert lever.saves_bytes == before.parts.total - after.parts.total


def test_a_quantized_cache_gives_back_what_flash_attention_unpacks():
    where, setting = cards("8GB"), Setting(32_768)
    by_type = {lever.what.split()[2]: lever for lever in pulled(where, setting) if lever.kind is LeverKind.KV}
    assert set(by_type) == {"q8_0", "q4_0"}
    cache = 32_768 * 32 * 2048
    # 16 bits become 34 bytes for 32 numbers; one layer is unpacked to 16 bits in the compute buffer
    assert by_type["q8_0"].saves_bytes < cache * 2 - cache * 34 // 32
    assert by_type["q8_0"].saves_bytes >= cache * 2 - cache * 34 // 32 - 32_768 * 2048 * 2
    assert by_type["q4_0"].saves_bytes > by_type["q8_0"].saves_bytes
    assert by_type["q4_0"].what == "KV cache q4_0 instead of f16"
    already = pulled(where, Setting(131_072, kv_type="q8_0"))
    assert [e.what for e in already if e.kind is LeverKind.KV] == ["KV cache q4_0 instead of q8_0"]
    assert not [e for e in pulled(where, Setting(131_072, kv_type="q4_0")) if e.kind is LeverKind.KV]


def test_fewer_slots():
    lever = only(pulled(cards("8GB"), Setting(8192, slots=4)), LeverKind.SLOTS)
    assert (lever.what, lever.makes_it_fit) == ("1 slot instead of 4", True)
    assert lever.saves_bytes >= 3 * 8192 * 32 * 2048 * 2
    assert not [e for e in pulled(cards("8GB"), Setting(32_768)) if e.kind is LeverKind.SLOTS]


def test_a_smaller_quantization_saves_its_weights():
    where, setting = cards("4GB"), Setting(4096)
    lever = only(pulled(where, setting, smaller=[("Q2_K\x1b[31m", SMALL)]), LeverKind.QUANTIZATION)
    saved = LLAMA.on_gpu(setting).parts.weights - SMALL.on_gpu(setting).parts.weights
    assert (lever.makes_it_fit, lever.saves_bytes) == (True, saved)
    assert lever.what.startswith("Q2_K")
    assert "\x1b" not in lever.what


def test_unloading_gives_back_what_the_other_holds():
    full = replace(parse_gpus("8GB")[0], free_bytes=3 * GIB)
    where = Machine(gpus=(full,), ram_total_bytes=32 * GIB, ram_free_bytes=32 * GIB)
    lever = only(pulled(where, Setting(4096), reclaimable=[("ollama/y", 3 * GIB)]), LeverKind.UNLOAD)
    assert (lever.what, lever.saves_bytes, lever.makes_it_fit) == ("unload ollama/y", 3 * GIB, True)
    assert not only(pulled(where, Setting(4096), reclaimable=[("y", GIB)]), LeverKind.UNLOAD).makes_it_fit
    assert not [e for e in pulled(where, Setting(4096), reclaimable=[("y", 0)]) if e.kind is LeverKind.UNLOAD]


def test_unloading_has_to_help_on_whichever_card_it_is():
    first, second = parse_gpus("8GB,4GB")
    both = (replace(first, free_bytes=GIB), replace(second, free_bytes=GIB // 2))
    where = Machine(gpus=both, ram_total_bytes=32 * GIB, ram_free_bytes=32 * GIB)
    # on the small card 3 GiB are too little; 6 GiB can only have been on the large one
    three, six = ([("y", size * GIB)] for size in (3, 6))
    assert not only(pulled(where, Setting(4096), reclaimable=three), LeverKind.UNLOAD).makes_it_fit
    assert only(pulled(where, Setting(4096), reclaimable=six), LeverKind.UNLOAD).makes_it_fit
    # and 9 GiB on both of them
    assert only(pulled(where, Setting(4096), reclaimable=[("y", 9 * GIB)]), LeverKind.UNLOAD).makes_it_fit


def test_without_a_gpu_it_is_the_ram_that_counts():
    where = Machine(ram_total_bytes=16 * GIB, ram_free_bytes=3 * GIB)
    found = pulled(where, Setting(4096), reclaimable=[("y", 8 * GIB)], smaller=[("Q2_K", SMALL)])
    assert only(found, LeverKind.UNLOAD).verdict is Fits.CPU
    assert only(found, LeverKind.UNLOAD).makes_it_fit
    assert not [lever for lever in found if lever.kind is LeverKind.LAYERS]


def test_layers_on_the_cpu():
    where = cards("4GB")
    lever = only(pulled(where, Setting(4096)), LeverKind.LAYERS)
    count = int(lever.what.split()[0])
    assert lever.what.startswith(f"{count} of 33 layers on the GPU, ")
    assert lever.what.endswith(" more in RAM")
    (gpu,) = gpus_of(where)
    assert LLAMA.on_gpu(Setting(4096), gpu_layers=count).sure_bytes <= gpu.usable_bytes
    assert LLAMA.on_gpu(Setting(4096), gpu_layers=count + 1).sure_bytes > gpu.usable_bytes
    whole, part = LLAMA.on_gpu(Setting(4096)), LLAMA.on_gpu(Setting(4096), gpu_layers=count)
    assert lever.saves_bytes == whole.parts.total - part.parts.total
    assert (lever.makes_it_fit, lever.verdict) == (True, Fits.PARTIAL)
    # more in RAM than there is is no lever
    crowded = pulled(cards("4GB", ram=1), Setting(4096))
    assert not [each for each in crowded if each.kind is LeverKind.LAYERS]
    assert not any(each.makes_it_fit for each in crowded)


def test_combinations_only_if_nothing_alone_suffices():
    setting = Setting(65_536)
    alone = pulled(cards("6GB"), setting)
    assert not [lever for lever in alone if lever.kind is LeverKind.COMBINATION]
    # slots make the cache too large for anything alone
    many = Setting(65_536, slots=200)
    combined = [lever for lever in pulled(cards("6GB"), many) if lever.kind is LeverKind.COMBINATION]
    assert [lever.what.split(" and ")[1] for lever in combined] == ["KV cache q8_0", "KV cache q4_0"]
    assert all(lever.makes_it_fit for lever in combined)


def test_a_combination_takes_the_slots_along_where_it_must():
    found = pulled(cards("6GB"), Setting(131_072, slots=50_000))
    words = [lever.what for lever in found if lever.kind is LeverKind.COMBINATION]
    assert len(words) == 2
    assert all(each.startswith("context ") and each.endswith(" and 1 slot") for each in words)


def test_what_makes_it_fit_comes_first_and_the_cheapest_of_that():
    full = replace(parse_gpus("8GB")[0], free_bytes=6 * GIB)
    where = Machine(gpus=(full,), ram_total_bytes=32 * GIB, ram_free_bytes=32 * GIB)
    found = pulled(where, Setting(32_768), reclaimable=[("y", GIB // 4)], smaller=[("Q2_K", SMALL)])
    fits = [lever.makes_it_fit for lever in found]
    assert fits == sorted(fits, reverse=True)
    order = list(LeverKind)
    good = [order.index(lever.kind) for lever in found if lever.makes_it_fit]
    assert good == sorted(good)
    rest = [lever.saves_bytes for lever in found if not lever.makes_it_fit]
    assert rest == sorted(rest, reverse=True)
    assert rest


def test_two_cards_are_levers_of_their_own():
    assert pulled(cards("8GB,8GB"), Setting(32_768)) == ()
    found = pulled(cards("4GB,4GB"), Setting(32_768))
    lever = only(found, LeverKind.CONTEXT)
    assert lever.makes_it_fit
    assert judge("x", LLAMA, cards("4GB,4GB"), Setting(int(lever.what.split()[1]))).device == "gpu 0+1"


@pytest.mark.parametrize("card", ["6GB", "8GB"])
def test_something_helps_on_every_card(card):
    found = pulled(cards(card), Setting(131_072, slots=2))
    assert found[0].makes_it_fit


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 40),
    st.integers(1, 150),
    st.lists(st.integers(0, 24 * 1024), max_size=3),
    st.integers(0, 64),
    st.builds(Setting, st.integers(1, 131_072), st.sampled_from(KV_TYPES), st.integers(1, 4),
              st.sampled_from([SERVER, EMBEDDED])),
    st.integers(1, 8 * 1024),
)  # fmt: skip
@example(28, 11, [492, 4060], 3, Setting(7425, "f32"), 1)  # a second card without room for a layer
def test_no_lever_promises_what_is_not_so(layers, breadth, frees, memory, setting, held):
    estimate = model(layers=layers, feed_forward=256 * breadth)
    gpus = tuple(Gpu(i, "card", f"uuid-{i}", 24 * GIB, free * MIB) for i, free in enumerate(frees))
    where = Machine(gpus=gpus, ram_total_bytes=64 * GIB, ram_free_bytes=memory * GIB)
    found = levers("x", estimate, where, setting, reclaimable=[("y", held * MIB)], smaller=[("s", SMALL)])
    good = Fits.FITS if gpus else Fits.CPU
    for lever in found:
        assert lever.saves_bytes > 0
        if lever.kind is LeverKind.LAYERS:
            count, devices = int(lever.what.split()[0]), gpus_of(where)
            room = max if "on the GPU," in lever.what else sum
            share = estimate.on_gpu(setting, gpu_layers=count)
            assert share.parts.total <= room(max(0, device.usable_bytes) for device in devices)
            assert estimate.in_ram(setting, gpu_layers=count).sure_bytes <= ram(where).usable_bytes
            assert lever.makes_it_fit
        else:
            assert lever.makes_it_fit is (lever.verdict is good)
        if lever.kind is LeverKind.CONTEXT:
            context = int(lever.what.split()[1])
            assert judge("x", estimate, where, replace(setting, context=context)).verdict is lever.verdict
    if judge("x", estimate, where, setting).verdict is good:
        assert found == ()
