"""Verdicts at their boundaries, on machines that are not there."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gguf_files as files
from arena.core.errors import ArenaError
from arena.core.gguf import GgufHeader, Tensor, read_header
from arena.core.machine import GIB, MIB, FitParts, Fits, Gpu, Machine
from arena.core.variants import KV_TYPES
from arena.hardware.fit.devices import gpus_of, longest, ram, usable
from arena.hardware.fit.estimate import EMBEDDED, SERVER, Need, Setting
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.split import split
from arena.hardware.fit.verdict import judge
from arena.hardware.whatif import parse_gpus


@dataclass
class Flat:
    """Needs a number of MiB that is easy to calculate with; doubts 50 MiB of it."""

    weights: int = 4000
    kv_per_256: int = 1
    layers: int | None = 11
    trained: int | None = 8192
    method: str = "header"

    def on_gpu(self, setting, *, gpu_layers=None, multiprocessors=None):
        share = 1 if gpu_layers is None else gpu_layers / self.layers
        return self.need(setting, share, 100 if multiprocessors is None else multiprocessors)

    def in_ram(self, setting, *, gpu_layers=0):
        return self.need(setting, 1 - (gpu_layers / self.layers if self.layers else 0), 60)

    def need(self, setting, share, overhead):
        kv = self.kv_per_256 * -(-setting.context // 256)
        return Need(FitParts(int(share * self.weights) * MIB, kv * MIB, overhead=overhead * MIB), 50 * MIB)


def gpu(free, total=8192, **facts):
    return Gpu(0, "card", "uuid-0", total * MIB, None if free is None else free * MIB, **facts)


def machine(*gpus, ram=0):
    return Machine(gpus=gpus, ram_total_bytes=ram * MIB, ram_free_bytes=ram * MIB)


SETTING = Setting(4096)
NEED = 4000 + 16 + 100  # on the GPU, at 4096 tokens
HEADROOM = 256


@pytest.mark.parametrize(
    ("spare", "expected"),
    [
        (100, Fits.FITS),  # two standard deviations
        (99, Fits.TIGHT),
        (0, Fits.TIGHT),
        (-99, Fits.TIGHT),
        (-100, Fits.NO),
    ],
)
def test_tight_is_within_two_standard_deviations(spare, expected):
    verdict = judge("x", Flat(), machine(gpu(NEED + HEADROOM + spare)), SETTING)
    assert verdict.verdict is expected
    assert verdict.need_bytes == NEED * MIB
    assert verdict.free_bytes == (NEED + HEADROOM + spare) * MIB
    assert (verdict.sigma_bytes, verdict.method, verdict.device) == (50 * MIB, "header", "gpu 0")
    assert verdict.parts.total == verdict.need_bytes


def test_headroom_is_256_mib_or_two_percent():
    assert usable(gpu(5000, total=8192)) == (5000 - 256) * MIB
    assert usable(gpu(70000, total=81920)) == 70000 * MIB - int(0.02 * 81920 * MIB)
    assert usable(gpu(None)) is None


def test_a_gpu_that_drives_a_screen_keeps_room_for_it():
    assert usable(gpu(5000, drives_display=True)) == (5000 - 512) * MIB
    assert usable(gpu(70000, total=81920, drives_display=True)) == (70000 - 256) * MIB - int(0.02 * 81920 * MIB)


def test_a_gpu_without_memory_of_its_own_leaves_room_for_the_system():
    assert usable(gpu(20480, total=24576, shares_ram=True)) == 16384 * MIB
    assert usable(gpu(102400, total=131072, shares_ram=True)) == 102400 * MIB - int(0.08 * 131072 * MIB)
    verdict = judge("x", Flat(), machine(gpu(20480, total=24576, shares_ram=True)), SETTING)
    assert verdict.parts.overhead == 160 * MIB  # the process's and the driver's, in one memory


def test_the_longest_context_is_the_last_that_surely_fits():
    def at(free):
        return judge("x", Flat(), machine(gpu(free + HEADROOM + 100)), SETTING).max_context

    assert at(4100 + 20) == 20 * 256
    assert at(4100 + 19) == 19 * 256
    assert at(4100 + 32) == 8192  # what it was trained for
    assert at(4100 + 5000) == 8192
    assert at(4100) == 0


def test_more_context_than_it_was_trained_for_is_not_asked():
    verdict = judge("x", Flat(), machine(gpu(8000)), Setting(100_000))
    assert (verdict.context, verdict.parts.kv) == (8192, 32 * MIB)
    assert judge("x", Flat(trained=None), machine(gpu(8000)), Setting(100_000)).context == 100_000
    assert judge("x", Flat(trained=None), machine(gpu(8000)), Setting(4096)).max_context == 131_072


@settings(deadline=None)
@given(st.integers(1, 40_000), st.integers(0, 40_000))
def test_longest_is_a_search_on_a_grid(limit, fitting):
    found = longest(limit, lambda context: context <= fitting)
    assert found == (limit if fitting >= limit else fitting // 256 * 256)


def test_a_part_of_the_layers():
    # a layer is 4000/11 MiB; with 16 of cache, 100 of overhead, one standard deviation and the headroom 5 of them fit
    verdict = judge("x", Flat(), machine(gpu(int(4000 * 5 / 11) + 16 + 100 + 50 + HEADROOM), ram=8192), SETTING)
    assert (verdict.verdict, verdict.gpu_layers, verdict.device) == (Fits.PARTIAL, 5, "gpu 0")
    assert verdict.need_bytes == NEED * MIB
    less = judge("x", Flat(), machine(gpu(int(4000 * 5 / 11) + 16 + 100 + 50 + HEADROOM - 1), ram=8192), SETTING)
    assert less.gpu_layers == 4


def test_what_the_gpu_leaves_must_fit_in_ram():
    verdict = judge("x", Flat(), machine(gpu(3000), ram=600), SETTING)
    assert (verdict.verdict, verdict.gpu_layers) == (Fits.NO, 0)


def test_a_model_without_known_layers_is_split_only_where_half_of_it_fits():
    sizes = Flat(layers=None, method="catalogue")
    verdict = judge("x", sizes, machine(gpu(3000), ram=8192), SETTING)
    assert (verdict.verdict, verdict.gpu_layers, verdict.method) == (Fits.PARTIAL, None, "catalogue")
    assert judge("x", sizes, machine(gpu(2000), ram=8192), SETTING).verdict is Fits.CPU


def test_ram_when_there_is_no_gpu_or_not_enough_of_one():
    alone = judge("x", Flat(), machine(ram=8192), SETTING)
    assert (alone.verdict, alone.device, alone.gpu_layers) == (Fits.CPU, "ram", None)
    assert alone.need_bytes == (4000 + 16 + 60) * MIB
    assert alone.free_bytes == 8192 * MIB
    beside = judge("x", Flat(), machine(gpu(300), ram=8192), SETTING)
    assert (beside.verdict, beside.device, beside.gpu_layers) == (Fits.CPU, "ram", 0)
    silent = judge("x", Flat(), machine(gpu(None), ram=8192), SETTING)
    assert (silent.verdict, silent.device) == (Fits.CPU, "ram")
    tight = judge("x", Flat(), machine(ram=4000 + 16 + 60 + 256), SETTING)
    assert (tight.verdict, tight.device) == (Fits.TIGHT, "ram")


def test_nowhere():
    verdict = judge("x", Flat(), machine(gpu(1000), ram=2000), SETTING)
    assert (verdict.verdict, verdict.device, verdict.max_context) == (Fits.NO, "ram", 0)
    assert judge("x", Flat(weights=9000), machine(gpu(3000), ram=2000), SETTING).device == "gpu 0"


def test_what_fits_in_ram_is_held_against_ram():
    shared = gpu(4400 + 4096, total=0, shares_ram=True)
    verdict = judge("x", Flat(), machine(shared, ram=4300 + 4096), SETTING, {"uuid-0": 500})
    assert (verdict.verdict, verdict.device, verdict.need_bytes) == (Fits.CPU, "ram", 4076 * MIB)


def test_ram_that_a_gpu_shares_keeps_as_much_free_as_the_gpu_does():
    shared = gpu(4400 + 4096, total=131072, shares_ram=True)
    where = machine(shared, ram=12_000)
    assert ram(where).usable_bytes == 12_000 * MIB - int(0.08 * 131072 * MIB)
    assert judge("x", Flat(), where, SETTING).verdict is Fits.NO


def test_the_roomiest_gpu_is_the_one_with_most_usable_memory():
    small, large = gpu(5000), replace(gpu(6000, total=16384), index=1, uuid="uuid-1")
    verdict = judge("x", Flat(), machine(small, large), SETTING, {"uuid-1": 34})
    assert (verdict.device, verdict.parts.overhead) == ("gpu 1", 34 * MIB)


def two(*free, **facts):
    return [replace(gpu(each, **facts), index=index, uuid=f"uuid-{index}") for index, each in enumerate(free)]


# a layer is 4000/11 MiB; Flat counts its cache with the first layers that it is asked of, those of the last GPU
CUT = 2 * 100 + 2 * 3 * 4  # overhead twice, three more copies of a mask of 4096 x 512 16-bit numbers twice


def test_what_no_gpu_can_take_is_cut_over_two():
    found = judge("x", Flat(), machine(*two(3200, 3200)), SETTING)
    assert (found.verdict, found.device, found.gpu_layers) == (Fits.FITS, "gpu 0+1", 11)
    assert found.need_bytes == (4000 + 16 + CUT) * MIB
    assert found.free_bytes == 6400 * MIB
    assert found.sigma_bytes >= 2 * 150 * MIB
    assert judge("x", Flat(), machine(*two(3200, 3200)), SETTING).parts.overhead == 200 * MIB


def test_a_cut_is_tight_within_two_standard_deviations_on_either():
    assert judge("x", Flat(), machine(*two(2700, 2700), ram=8192), SETTING).verdict is Fits.TIGHT
    assert judge("x", Flat(), machine(*two(2000, 2000), ram=8192), SETTING).verdict is Fits.PARTIAL


def test_one_gpu_goes_before_two_and_two_before_three():
    assert judge("x", Flat(), machine(*two(8000, 5000)), SETTING).device == "gpu 0"
    assert judge("x", Flat(), machine(*two(1500, 3200, 3300)), SETTING).device == "gpu 1+2"
    assert judge("x", Flat(), machine(*two(2200, 2200, 2300)), SETTING).device == "gpu 0+1+2"


def test_what_surely_fits_on_two_goes_before_what_is_tight_on_one():
    found = judge("x", Flat(), machine(*two(NEED + HEADROOM, 3000)), SETTING)
    assert (found.verdict, found.device) == (Fits.FITS, "gpu 0+1")


def test_a_longer_context_may_need_the_second_gpu():
    alone = judge("x", Flat(kv_per_256=100), machine(*two(6500)), Setting(256))
    both = judge("x", Flat(kv_per_256=100), machine(*two(6500, 6500)), Setting(256))
    assert (both.verdict, both.device) == (Fits.FITS, "gpu 0")
    assert alone.max_context < both.max_context


def test_a_model_without_known_layers_is_cut_in_pieces():
    found = judge("x", Flat(layers=None), machine(*two(3200, 3200)), SETTING)
    assert (found.verdict, found.device, found.gpu_layers) == (Fits.FITS, "gpu 0+1", None)


def test_only_whole_gpus_of_one_vendor_go_together():
    def over(*facts):
        gpus = [replace(each, **fact) for each, fact in zip(two(3200, 3200, 3200), facts, strict=False)]
        return judge("x", Flat(), machine(*gpus, ram=8192), SETTING)

    nvidia, amd, part = {"vendor": "nvidia"}, {"vendor": "amd"}, {"vendor": "nvidia", "part_of": "GPU-7"}
    assert (over(nvidia, amd).verdict, over(nvidia, amd).device) == (Fits.PARTIAL, "gpu 0")
    assert over(part, part).verdict is Fits.PARTIAL
    assert over(nvidia, part).verdict is Fits.PARTIAL
    assert over(nvidia, amd, nvidia).device == "gpu 0+2"


def test_layers_are_spread_over_all_cards_of_a_vendor():
    alone = judge("x", Flat(), machine(*two(1500), ram=8192), SETTING)
    found = judge("x", Flat(), machine(*two(1500, 1500), ram=8192), SETTING)
    assert (alone.verdict, alone.device) == (Fits.PARTIAL, "gpu 0")
    assert (found.verdict, found.device) == (Fits.PARTIAL, "gpu 0+1")
    assert alone.gpu_layers < found.gpu_layers < 11
    assert found.free_bytes == 3000 * MIB
    assert found.parts.overhead == 200 * MIB
    # a card without room for a layer takes no part
    beside = judge("x", Flat(), machine(*two(1500, 600, 1500), ram=8192), SETTING)
    assert (beside.device, beside.gpu_layers) == ("gpu 0+2", found.gpu_layers)


def test_gpus_without_memory_of_their_own_are_one_and_take_no_part_in_a_cut():
    shared = two(7800, 7700, total=0, shares_ram=True)
    assert [device.name for device in gpus_of(machine(*shared))] == ["gpu 0"]
    assert judge("x", Flat(), machine(*shared, ram=8000), SETTING).device == "ram"
    beside = [gpu(3000), replace(shared[0], index=1)]
    assert judge("x", Flat(), machine(*beside, ram=200), SETTING).device != "gpu 0+1"


def test_a_real_model_on_real_cards(tmp_path):
    header = read_header(files.write_gguf(tmp_path / "x.gguf", *files.llama_like()))
    estimate = HeaderEstimate.of(header)  # Llama 3.1 8B Q4_K_M: 4.4 GiB of weights without the token table

    def on(cards, context):
        found = Machine(gpus=parse_gpus(cards), ram_total_bytes=32 * GIB, ram_free_bytes=24 * GIB)
        return judge("x", estimate, found, Setting(context, runtime=SERVER))

    assert on("8GB", 4096).verdict is Fits.FITS
    assert on("8GB", 32768).verdict is Fits.PARTIAL
    assert on("4GB", 4096).verdict is Fits.PARTIAL
    assert 10 < on("4GB", 4096).gpu_layers < 33
    assert on("8GB,24GB", 131072).verdict is Fits.FITS
    assert on("8GB,24GB", 131072).device == "gpu 1"
    assert 8192 < on("8GB", 4096).max_context < 32768
    assert on("24GB", 4096).gpu_layers == 33
    assert (on("4GB,4GB", 4096).verdict, on("4GB,4GB", 4096).device) == (Fits.FITS, "gpu 0+1")
    assert on("8GB,8GB", 32768).device == "gpu 0+1"
    assert on("8GB,8GB", 32768).need_bytes > on("24GB", 32768).need_bytes


@st.composite
def headers(draw):
    """Models of all sorts and sizes, in no file."""
    count, window = draw(st.integers(1, 40)), draw(st.sampled_from([0, 1024]))
    extra = {"gemma3.attention.sliding_window": window} if window else {}
    metadata, tensors = files.llama_like(
        arch="gemma3" if window else "llama",
        layers=count,
        width=256 * draw(st.integers(1, 32)),
        feed_forward=256 * draw(st.integers(1, 150)),
        kv_heads=draw(st.sampled_from([1, 8, 32])),
        vocabulary=draw(st.integers(1, 260_000)),
        trained=draw(st.sampled_from([2048, 131_072])),
        tied=draw(st.booleans()),
        extra=extra,
    )
    return GgufHeader(Path("x.gguf"), 3, metadata, tuple(Tensor(*each) for each in tensors), 0, 0)


SETTINGS = st.builds(
    Setting,
    st.integers(1, 200_000),
    st.sampled_from(KV_TYPES),
    st.integers(1, 4),
    st.sampled_from([SERVER, EMBEDDED]),
)


@st.composite
def machines(draw):
    """Up to four GPUs, each with anything from nothing to 96 GiB, and some RAM."""
    gpus = []
    for index in range(draw(st.integers(0, 4))):
        total = draw(st.integers(1, 96)) * GIB
        free = draw(st.one_of(st.none(), st.integers(0, total)))
        facts = {"shares_ram": draw(st.booleans()), "drives_display": draw(st.booleans())}
        gpus.append(Gpu(index, "card", f"uuid-{index}", total, free, **facts))
    total = draw(st.integers(0, 256)) * GIB
    return Machine(gpus=tuple(gpus), ram_total_bytes=total, ram_free_bytes=draw(st.integers(0, total)))


@settings(deadline=None, max_examples=150)
@given(headers(), machines(), SETTINGS, st.one_of(st.none(), st.integers(8, 188)))
def test_nothing_is_said_to_fit_that_may_need_more_than_there_is(header, where, setting, processors):
    estimate, known = HeaderEstimate.of(header), {gpu.uuid: processors for gpu in where.gpus if processors}
    found = judge("x", estimate, where, setting, known)
    devices = {device.name: device for device in gpus_of(where, known)}
    if found.verdict not in (Fits.FITS, Fits.CPU):
        return
    sure = found.need_bytes + 2 * found.sigma_bytes
    if found.device == "ram":
        assert sure <= ram(where).usable_bytes
        return
    used = [devices[f"gpu {index}"] for index in found.device.removeprefix("gpu ").split("+")]
    assert sure <= sum(device.usable_bytes for device in used)
    if len(used) > 1:
        now = replace(setting, context=found.context)
        cut = split(estimate, now, [(device, device.usable_bytes) for device in devices.values()])
        assert sum(cut.layers) == estimate.layers
        assert cut.name == found.device
        for device, need in zip(cut.devices, cut.needs, strict=True):
            assert need.sure_bytes <= device.usable_bytes
        assert cut.need.parts.weights == estimate.on_gpu(now).parts.weights
        assert cut.need.parts.kv == estimate.on_gpu(now).parts.kv


@settings(deadline=None, max_examples=50)
@given(headers(), machines(), SETTINGS)
def test_the_longest_context_does_fit(header, where, setting):
    estimate = HeaderEstimate.of(header)
    found = judge("x", estimate, where, setting)
    if found.verdict is Fits.FITS and setting.cells <= (found.max_context or 0):
        again = judge("x", estimate, where, replace(setting, context=found.max_context))
        assert again.verdict is Fits.FITS


def test_cards_are_parsed():
    small, large = parse_gpus("8GB, 24gib")
    assert (small.index, small.total_bytes, large.index, large.total_bytes) == (0, 8 * GIB, 1, 24 * GIB)
    assert small.free_bytes == 8 * GIB - int(0.05 * 8 * GIB)
    assert large.free_bytes == 24 * GIB - 512 * MIB
    assert [each.total_bytes for each in parse_gpus("16,1.5G,512MB")] == [16 * GIB, 3 * GIB // 2, 512 * MIB]


@pytest.mark.parametrize(
    "text", ["", "8GB,", "abc", "-8GB", "0", "99999GB", "8TB", "8 GB GB", "٨GB", "8GB," * 16 + "8GB", "1e9"]
)
def test_cards_there_are_not(text):
    with pytest.raises(ArenaError) as caught:
        parse_gpus(text)
    assert caught.value.hint


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_cards_or_an_error(text):
    try:
        assert parse_gpus(text)
    except ArenaError:
        return
