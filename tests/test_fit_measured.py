"""What past loads teach, and that it never makes a need negative or rests on what can't be true."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.core.loads import ALL_LAYERS, RAM, Load
from arena.core.machine import GIB, MIB, FitParts, Fits, Gpu, Machine
from arena.core.models import ModelRef
from arena.hardware.fit.estimate import EMBEDDED, SERVER, Need, Setting
from arena.hardware.fit.measured import (
    LEARNT_SIGMA_BYTES,
    MEASURED_SIGMA_BYTES,
    MOST_OVERHEAD_BYTES,
    Calibration,
    calibrated,
)
from arena.hardware.fit.verdict import judge

DIGEST = "ab" * 16
GPU = Gpu(0, "Card", "GPU-0", 8192 * MIB, 7000 * MIB)
TWIN = Gpu(1, "Card", "GPU-1", 8192 * MIB, 7000 * MIB)
OTHER = Gpu(2, "Other card", "GPU-2", 8192 * MIB, 7000 * MIB)
UNITS = {"GPU-0": 34, "GPU-1": 34, "GPU-2": 188}
USUAL = Setting(4096, runtime=EMBEDDED)
BUFFERS = 4500 * MIB


class Flat:
    """A model that takes 4 GiB of weights, 400 MiB of cache and 4 MiB of compute buffer."""

    method, trained, layers, formula = "header", 131_072, 33, None

    def in_ram(self, setting, *, gpu_layers=0):  # noqa: ARG002
        return Need(FitParts(weights=4096 * MIB, kv=setting.cells * 102_400, compute=4 * MIB, overhead=60 * MIB), MIB)

    def on_gpu(self, setting, *, gpu_layers=None, multiprocessors=None):
        part = 33 if gpu_layers is None else gpu_layers
        overhead = 300 * MIB if multiprocessors is None else 3 * MIB * multiprocessors
        weights, cache = 4096 * MIB * part // 33, setting.cells * 102_400 * part // 33
        doubt = 100 * MIB if multiprocessors is None else 50 * MIB
        return Need(FitParts(weights=weights, kv=cache, compute=4 * MIB, overhead=overhead), doubt)


def load(measured=BUFFERS + 130 * MIB, **facts):
    known = {
        "at": "2026-03-01T00:00:00.000+00:00",
        "device": "gpu:GPU-0",
        "device_name": "Card",
        "runtime": "embedded",
        "build": "CUDA 0.3.36",
        "ref": ModelRef("gguf", "x", DIGEST),
        "context": 4096,
        "kv_type": "f16",
        "gpu_layers": ALL_LAYERS,
        "predicted_bytes": BUFFERS + 102 * MIB,
        "predicted_sigma_bytes": 50 * MIB,
        "method": "header",
        "buffers_bytes": BUFFERS,
    }
    return Load(measured_bytes=measured, **known | facts)


def taught(*loads, gpus=(GPU,), runtime="embedded", usual=EMBEDDED, digest=DIGEST):
    return calibrated(Flat(), Calibration(loads), gpus, UNITS, runtime=runtime, usual=usual, digest=digest)


def need(estimate, setting=USUAL, units=34, **options):
    return estimate.on_gpu(setting, multiprocessors=units, **options)


def test_a_model_needs_what_it_took():
    found = need(taught(load()))
    assert (found.parts.total, found.sigma_bytes) == (BUFFERS + 130 * MIB, MEASURED_SIGMA_BYTES)
    assert found.parts.weights == 4096 * MIB
    assert need(taught(load(), load(BUFFERS + 140 * MIB))).parts.total == BUFFERS + 140 * MIB, "what has to fit"


@pytest.mark.parametrize(
    "setting",
    [Setting(2048, runtime=EMBEDDED), Setting(4096, "q8_0", runtime=EMBEDDED), Setting(4096, slots=2), Setting(4096)],
    ids=str,
)
def test_in_another_setting_only_its_overhead_is_learnt(setting):
    found, before = need(taught(load()), setting), need(Flat(), setting)
    assert found.parts == replace(before.parts, overhead=130 * MIB)
    assert found.sigma_bytes == LEARNT_SIGMA_BYTES


def test_the_overhead_is_the_median_over_models_and_its_doubt_their_spread():
    loads = [load(BUFFERS + more * MIB, ref=ModelRef("gguf", str(more), str(more))) for more in (90, 110, 400)]
    found = need(taught(*loads))
    assert found.parts.overhead == 110 * MIB
    assert 100 * MIB < found.sigma_bytes < 200 * MIB


def test_where_the_multiprocessors_are_unknown_the_greater_doubt_goes_too():
    nameless = replace(GPU, uuid="GPU-9")
    found = need(taught(load(device="gpu:GPU-9"), gpus=(nameless,), digest="other"), units=None)
    assert (found.parts.overhead, found.sigma_bytes) == (130 * MIB, LEARNT_SIGMA_BYTES)


def test_a_part_of_the_layers_gets_the_overhead_and_keeps_its_doubt():
    found = need(taught(load()), gpu_layers=10)
    assert (found.parts.overhead, found.sigma_bytes) == (130 * MIB, 50 * MIB)
    assert found.parts.weights < 4096 * MIB


def test_a_card_of_the_same_name_stands_in_and_no_other():
    assert need(taught(load(), gpus=(TWIN,))).parts.total == BUFFERS + 130 * MIB
    assert need(taught(load(), gpus=(OTHER,)), units=188) == need(Flat(), units=188)
    assert need(taught(load(), gpus=(replace(GPU, uuid=""),))) == need(Flat()), "a card that is only imagined"
    assert need(taught(load(), gpus=(replace(GPU, shares_ram=True),))) == need(Flat())


def test_of_equal_cards_the_one_counts_on_which_it_takes_most():
    loads = load(), load(BUFFERS + 160 * MIB, device="gpu:GPU-1")
    assert need(taught(*loads, gpus=(GPU, TWIN))).parts.total == BUFFERS + 160 * MIB


@pytest.mark.parametrize(
    "odd",
    [
        load(0),
        load(-5),
        load(BUFFERS + MOST_OVERHEAD_BYTES + 1),
        load(buffers_bytes=0),
        load(gpu_layers=10),
        load(device="gpu:GPU-0+gpu:GPU-1"),
        load(device=RAM, device_name=""),
        load(device=RAM, device_name="Card", gpu_layers=0),
        load(runtime="ollama"),
    ],
)
def test_odd_rows_and_those_of_something_else_teach_nothing(odd):
    assert need(taught(odd)) == need(Flat())


def test_less_than_the_weights_take_is_not_believed():
    assert need(taught(load(4000 * MIB))) == need(Flat())


def test_only_the_newest_build_counts():
    old = load(BUFFERS + 500 * MIB, build="CUDA 0.3.35", context=8192)
    estimate = taught(load(), old)
    assert need(estimate, replace(USUAL, context=8192)).parts.overhead == 130 * MIB


def test_another_runtime_has_its_own():
    estimate = taught(load(), load(BUFFERS + 200 * MIB, runtime="ollama", build="1"), runtime="ollama", usual=SERVER)
    assert need(estimate, Setting(4096)).parts.total == BUFFERS + 200 * MIB


def test_the_verdict_says_that_it_was_measured():
    machine = Machine(gpus=(GPU,), ram_total_bytes=16 * GIB, ram_free_bytes=12 * GIB)
    estimate = taught(load())
    verdict = estimate.verdict(judge("x", estimate, machine, USUAL, UNITS), USUAL)
    assert (verdict.verdict, verdict.method) == (Fits.FITS, "measured")
    assert verdict.need_bytes == BUFFERS + 130 * MIB
    assert verdict.max_context >= 4096
    other = replace(USUAL, context=8192)
    assert estimate.verdict(judge("x", estimate, machine, other, UNITS), other).method == "header"
    small = replace(machine, gpus=(replace(GPU, free_bytes=MIB),))
    in_ram = estimate.verdict(judge("x", estimate, small, USUAL, UNITS), USUAL)
    assert (in_ram.verdict, in_ram.method) == (Fits.CPU, "header")


sizes = st.integers(-GIB, 12 * GIB)
loads = st.builds(
    load,
    sizes,
    device=st.sampled_from(["gpu:GPU-0", "gpu:GPU-1", "gpu:GPU-2", RAM, "gpu:", "", "gpu:GPU-0+gpu:GPU-1"]),
    device_name=st.sampled_from(["Card", "Other card", ""]),
    context=st.sampled_from([4096, 512]),
    gpu_layers=st.sampled_from([ALL_LAYERS, 0, 12]),
    build=st.sampled_from(["CUDA 1", "CUDA 2"]),
    buffers_bytes=sizes,
)


@given(
    st.lists(loads, max_size=12),
    st.sampled_from([512, 4096, 8192]),
    st.sampled_from([None, 34, 188]),
    st.sampled_from([None, 0, 12, 33]),
)
def test_no_need_is_negative_and_weights_and_cache_stay(past, context, units, layers):
    estimate, setting = taught(*past, gpus=(GPU, TWIN, OTHER)), replace(USUAL, context=context)
    found, before = need(estimate, setting, units, gpu_layers=layers), need(Flat(), setting, units, gpu_layers=layers)
    parts = found.parts
    assert min(parts.weights, parts.kv, parts.recurrent, parts.compute, parts.overhead, found.sigma_bytes) >= 0
    assert (parts.weights, parts.kv) == (before.parts.weights, before.parts.kv)
    assert parts.total <= before.parts.total + 2 * MOST_OVERHEAD_BYTES + 12 * GIB


@given(st.lists(loads, max_size=12))
def test_loads_in_ram_change_nothing_and_nothing_changes_in_ram(past):
    in_ram = [replace(each, device=RAM) for each in past]
    assert not Calibration(in_ram)
    assert need(taught(*in_ram)) == need(Flat())
    assert taught(*past).in_ram(USUAL) == Flat().in_ram(USUAL)
