"""Which models fit at once: placements on cards that are not there, and Ollama's own rule."""

from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gguf_files as files
from arena.core.errors import ArenaError
from arena.core.fit import TogetherVerdict
from arena.core.gguf import read_header
from arena.core.machine import MIB, FitParts, Gpu, Machine
from arena.hardware.fit.devices import gpus_of, ram
from arena.hardware.fit.estimate import Need, Setting
from arena.hardware.fit.header import HeaderEstimate
from arena.hardware.fit.ollama_rule import Load, OllamaFacts, eviction, facts_of
from arena.hardware.fit.together import _Asked, _OnGpus, together
from arena.hardware.whatif import parse_gpus

FITS, SWAPS, CONTEXT = TogetherVerdict.FITS, TogetherVerdict.SWAPS, TogetherVerdict.CONTEXT
NO, UNKNOWN = TogetherVerdict.NO, TogetherVerdict.UNKNOWN


@dataclass
class Layered:
    """Layers of equal size, a MiB of cache per 256 tokens in all, 100 MiB of overhead; doubts 50 MiB."""

    weights: int = 4000
    layers: int | None = 40
    trained: int | None = 8192
    method: str = "header"

    def on_gpu(self, setting, *, gpu_layers=None, multiprocessors=None):
        share = 1 if gpu_layers is None else gpu_layers / self.layers
        return self._need(setting, share, 100 if multiprocessors is None else multiprocessors)

    def in_ram(self, setting, *, gpu_layers=0):
        return self._need(setting, 1 - (gpu_layers / self.layers if self.layers else 0), 60)

    def _need(self, setting, share, overhead):
        kv = int(share * MIB * -(-setting.context // 256))
        return Need(FitParts(int(share * self.weights * MIB), kv, overhead=overhead * MIB), 50 * MIB)


SETTING = Setting(4096)
NEED = 4000 + 16 + 100
SURE = NEED + 2 * 50
HEADROOM = 256


def machine(*free, ram=0, **facts):
    gpus = [Gpu(i, "card", f"uuid-{i}", 8192 * MIB, each * MIB, **facts) for i, each in enumerate(free)]
    return Machine(gpus=tuple(gpus), ram_total_bytes=ram * MIB, ram_free_bytes=ram * MIB)


def cards(text, ram=0):
    return Machine(gpus=parse_gpus(text), ram_total_bytes=ram * MIB, ram_free_bytes=ram * MIB)


def models(*weights):
    return [(Layered(weight), SETTING) for weight in weights]


def test_on_one_gpu_it_is_a_sum():
    def both(free, **facts):
        return together([(Layered(), SETTING), (Layered(**facts), SETTING)], machine(free))

    need = 2 * SURE + HEADROOM
    found = both(need)
    assert (found.verdict, found.placement, found.device, found.fix) == (FITS, ("gpu 0", "gpu 0"), "gpu 0", "")
    assert (found.need_bytes, found.free_bytes) == (2 * NEED * MIB, need * MIB)
    assert found.max_context == 4096
    assert both(need, trained=2048).max_context == 4096 + 8 * 256  # the other keeps its 2048
    assert both(need + 32).max_context == 8192


def test_a_shorter_context_is_named():
    found = together(models(4000, 4000), machine(2 * SURE + HEADROOM - 1))
    assert (found.verdict, found.max_context) == (CONTEXT, 4096 - 256)
    assert found.placement == ("gpu 0", "gpu 0")
    assert found.need_bytes == 2 * NEED * MIB
    assert "3840" in found.fix


def test_nothing_helps():
    found = together(models(4000, 4000), machine(5000, ram=4096))
    assert (found.verdict, found.max_context, found.placement, found.device) == (NO, 0, (), "gpu 0")


def test_all_of_them_fall_back_to_ram():
    assert together(models(4000, 4000), machine(300, ram=16384)).placement == ("ram", "ram")
    assert together(models(4000, 4000), machine(5000, ram=16384)).verdict is NO
    assert together(models(4000, 4000), machine(ram=16384)).verdict is FITS
    assert together(models(4000, 4000), machine(ram=8600)).verdict is CONTEXT


def test_an_unknown_model_makes_it_unknown():
    assert together([(Layered(), SETTING), (None, SETTING)], machine(8000)).verdict is UNKNOWN
    assert together([], machine(8000)).verdict is UNKNOWN


def test_two_equal_cards_take_one_each():
    found = together(models(4000, 4000), machine(5000, 5000))
    assert (found.verdict, found.device) == (FITS, "gpu 0+1")
    assert sorted(found.placement) == ["gpu 0", "gpu 1"]
    assert found.free_bytes == 10_000 * MIB


def test_a_small_and_a_large_card():
    found = together(models(5000, 20_000), cards("8GB,24GB"))
    assert (found.verdict, found.placement) == (FITS, ("gpu 0", "gpu 1"))
    assert together(models(20_000, 5000), cards("8GB,24GB")).placement == ("gpu 1", "gpu 0")
    assert together(models(20_000, 20_000), cards("8GB,24GB")).verdict is NO


def test_three_models_on_three_cards_and_on_two():
    assert together(models(6000, 6000, 6000), cards("8GB,8GB,8GB")).verdict is FITS
    found = together(models(6000, 3000, 3000), cards("8GB,8GB"))
    assert found.placement in (("gpu 0", "gpu 1", "gpu 1"), ("gpu 1", "gpu 0", "gpu 0"))
    assert together(models(6000, 6000, 6000), cards("8GB,8GB")).verdict is NO


def test_what_no_card_can_take_is_cut_beside_the_others():
    found = together(models(9000, 2000), cards("8GB,8GB"))
    assert (found.verdict, found.placement[0], found.device) == (FITS, "gpu 0+1", "gpu 0+1")
    assert found.placement[1] in ("gpu 0", "gpu 1")
    # each fits alone, but not on cards of its own
    found = together(models(5000, 5000, 1700), cards("7GB,7GB"))
    assert (found.verdict, found.placement.count("gpu 0+1")) == (FITS, 1)
    assert together(models(9000, 6000), cards("8GB,8GB")).verdict is NO


def test_two_may_be_cut_where_neither_fits_a_card():
    found = together(models(7000, 7000), cards("6GB,6GB,6GB"))
    assert (found.verdict, len(found.device)) == (FITS, len("gpu 0+1+2"))
    assert all("+" in place for place in found.placement)


def test_eight_cards_and_more():
    found = together(models(7000, 7000, 7000), cards(",".join(["8GB"] * 8)))
    assert (found.verdict, len(set(found.placement))) == (FITS, 3)
    assert together(models(7000, 7000, 7000), cards(",".join(["8GB"] * 16))).verdict is FITS
    assert together(models(*[1000] * 10), cards(",".join(["24GB"] * 16))).verdict is FITS


def test_a_screen_keeps_its_room():
    assert together(models(4000), machine(SURE + 256 + 256, drives_display=True)).verdict is FITS
    assert together(models(4000), machine(SURE + 256 + 255, drives_display=True)).verdict is CONTEXT


def test_multiprocessors_count_on_their_card():
    def on(processors):
        return together(models(4000), machine(SURE + HEADROOM), {"uuid-0": processors}).verdict

    assert (on(100), on(101)) == (FITS, CONTEXT)


def test_what_is_loaded_is_not_counted_twice():
    left = SURE + HEADROOM
    assert together(models(4000, 4000), machine(left)).verdict is NO
    found = together(models(4000, 4000), machine(left), resident={0: 4016 * MIB})
    assert (found.verdict, found.need_bytes) == (FITS, NEED * MIB)
    # with less than it needs, the rest is still to come
    assert together(models(4000, 4000), machine(left), resident={0: 2000 * MIB}).verdict is NO
    rest = SURE - 2000
    assert together(models(4000, 4000), machine(left + rest), resident={0: 2000 * MIB}).verdict is FITS


def test_models_that_are_both_loaded_fit_on_a_full_card():
    held = {0: 4016 * MIB, 1: 4016 * MIB}
    found = together(models(4000, 4000), machine(10), resident=held)
    assert (found.verdict, found.need_bytes, found.max_context) == (FITS, 0, 4096)
    assert together(models(4000, 4000), machine(ram=10), resident=held).verdict is FITS


def test_a_server_that_tells_too_much_gives_nothing_away():
    found = together(models(4000, 4000), machine(1000), resident={0: 80_000 * MIB})
    assert found.verdict is NO
    assert together(models(4000), machine(HEADROOM + 4), resident={0: 80_000 * MIB}).max_context == 4096 + 4 * 256


def test_what_a_gpu_holds_is_no_help_in_ram():
    assert together(models(4000), machine(0, ram=4000), resident={0: 2000 * MIB}).verdict is NO


GEMMA = OllamaFacts(7000 * MIB, layers=48, least_kv_heads=8, embedding=3840, most_heads=16, trained=131_072)


def test_ollamas_prediction():
    # all layers, 16 bits, no window: 12 GiB at 32k for a cache that really takes 2.5 GiB; E/H is 240, not 256
    assert GEMMA.predicted_bytes(32_768) == 7000 * MIB + 2 * 48 * 8 * 240 * 32_768 * 2
    assert GEMMA.predicted_bytes(8192, 4) == GEMMA.predicted_bytes(32_768)
    assert GEMMA.predicted_bytes(1 << 20) == GEMMA.predicted_bytes(131_072)
    assert replace(GEMMA, least_kv_heads=0).predicted_bytes(1024) == 7000 * MIB + 2 * 48 * 240 * 1024 * 2
    assert replace(GEMMA, most_heads=0).predicted_bytes(1024) == 7000 * MIB


def facts(size, **others):
    return replace(OllamaFacts(size * MIB, 0, 1, 0, 1), **others)


def load(size, context=4096, taken=(0,), **others):
    found = None if size is None else facts(size)
    return Load(found, context, tuple(each * MIB for each in taken), **others)


@pytest.mark.parametrize(
    ("second", "left", "evicted"),
    [(800, 1000, False), (801, 1000, True), (800, 999, True)],
)
def test_ollama_keeps_a_fifth_free_once_something_is_loaded(second, left, evicted):
    free = [(5000 + left) * MIB]
    found = eviction([load(9000, taken=(5000,)), load(second)], free)
    assert (found is not None) is evicted
    if found is not None:
        assert (found.index, found.predicted_bytes) == (1, second * MIB)
        assert found.limit_bytes == left * MIB * 80 // 100
    # alone it is never refused, nor beside one that Ollama does not run
    assert eviction([load(90_000)], free) is None
    assert eviction([load(None, taken=(5000,)), load(second)], free) is None
    assert eviction([load(9000, resident=True), load(second)], [left * MIB]) == found


def test_a_long_context_gets_a_larger_batch_where_there_is_room():
    def limit(context, first):
        """The largest second model of which Ollama says yes, on a card with 10,000 MiB left."""
        fine = [size for size in range(4000, 8100, 4) if not refused(context, size, first)]
        return max(fine)

    def refused(context, size, first):
        return eviction([load(100, taken=(first,)), load(size, context)], [(10_000 + first) * MIB])

    # the batch shrinks before anything is unloaded
    assert (limit(4096, 50), limit(4097, 50), limit(32_769, 50)) == (8000, 8000, 8000)
    found = refused(32_769, 8004, 50)
    assert found.predicted_bytes == 8004 * MIB


def test_ollama_prefers_one_card_and_spreads_what_is_larger():
    # the first takes the emptier card, the second the other
    cards = [8000 * MIB, 9000 * MIB]
    assert eviction([load(6000, taken=(0, 6000)), load(6000, taken=(6000, 0))], cards) is None
    # the second is larger than 80 % of either: both cards count
    found = eviction([load(1000, taken=(0, 1000)), load(13_000)], cards)
    assert found.limit_bytes == 16_000 * MIB * 80 // 100
    assert eviction([load(1000, taken=(0, 1000)), load(12_800)], cards) is None
    # what is spread takes of each by what it has free
    spread = load(14_000, taken=(0, 14_000))
    assert eviction([spread, load(2400)], cards) is None
    assert eviction([spread, load(2401)], cards).limit_bytes == 3000 * MIB * 80 // 100


def test_ollama_keeps_three_per_card_or_what_it_is_told():
    four = [load(10, taken=(10,))] * 4
    assert eviction(four, [80_000 * MIB]).index == 3
    assert eviction(four, [80_000 * MIB], max_loaded=4) is None
    assert eviction(four[:2], [80_000 * MIB], max_loaded=1).limit_bytes == 0
    assert eviction(four[:3], []) is None
    assert eviction([], []) is None


def test_facts_come_from_a_header(tmp_path):
    header = read_header(files.write_gguf(tmp_path / "x.gguf", *files.llama_like()))
    assert facts_of(header) == OllamaFacts(header.file_bytes, 32, 8, 4096, 32, 131_072)
    lists = files.llama_like(layers=4, kv_heads=(8, 0, 4, 8), extra={"llama.attention.head_count": [16, 32, 32, 32]})
    found = facts_of(read_header(files.write_gguf(tmp_path / "y.gguf", *lists)))
    assert (found.least_kv_heads, found.most_heads) == (0, 32)
    bare = files.write_gguf(tmp_path / "z.gguf", {"general.architecture": "llama"}, [("x", (32,), "F32")])
    with pytest.raises(ArenaError) as caught:
        facts_of(read_header(bare))
    assert caught.value.hint


def test_ollama_would_swap_what_fits(tmp_path):
    header = read_header(files.write_gguf(tmp_path / "x.gguf", *files.llama_like()))
    llama, theirs = HeaderEstimate.of(header), facts_of(header)
    pair, where = [(llama, Setting(4096))] * 2, cards("12GB")
    assert together(pair, where).verdict is FITS
    found = together(pair, where, ollama=[theirs, theirs])
    assert (found.verdict, found.placement) == (SWAPS, ("gpu 0", "gpu 0"))
    assert "run one of them embedded" in found.fix
    assert together(pair, where, ollama=[theirs, None]).verdict is FITS
    assert together(pair, where, ollama=[theirs]).verdict is FITS
    assert together(pair, cards("24GB"), ollama=[theirs, theirs]).verdict is FITS


def test_ollamas_context_is_looked_for():
    # 1 MiB per 8 tokens by its own count, though the cache is small
    hungry = OllamaFacts(1000 * MIB, layers=32, least_kv_heads=1, embedding=1024, most_heads=1, trained=8192)
    found = together(models(1000, 1000), machine(2800), ollama=[hungry, hungry])
    assert found.verdict is SWAPS
    assert found.max_context == 8192
    named = int(found.fix.split("a context of ")[1].split(",")[0])
    assert 0 < named < 4096
    assert named % 256 == 0
    fine = [(Layered(1000), Setting(named))] * 2
    assert together(fine, machine(2800), ollama=[hungry, hungry]).verdict is FITS
    more = [(Layered(1000), Setting(named + 256))] * 2
    assert together(more, machine(2800), ollama=[hungry, hungry]).verdict is not FITS


def test_ollama_is_told_to_keep_more():
    found = together(models(100, 100), machine(8000), ollama=[facts(100), facts(100)], max_loaded=1)
    assert found.verdict is SWAPS
    assert "OLLAMA_MAX_LOADED_MODELS to 2" in found.fix


def test_ollama_has_no_say_in_ram():
    assert together(models(100, 100), machine(ram=8000), ollama=[facts(9000), facts(9000)]).verdict is FITS


MACHINES = st.builds(
    lambda frees, memory, display: replace(
        machine(*frees, ram=memory), gpus=tuple(replace(g, drives_display=display) for g in machine(*frees).gpus)
    ),
    st.lists(st.integers(0, 12_000), max_size=4),
    st.integers(0, 30_000),
    st.booleans(),
)
CROWDS = st.lists(
    st.tuples(
        st.builds(Layered, st.integers(10, 12_000), st.sampled_from([1, 12, 40, None]), st.sampled_from([None, 8192])),
        st.builds(Setting, st.integers(1, 40_000)),
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=150)
@given(CROWDS, MACHINES)
def test_no_device_is_asked_for_more_than_it_has(crowd, where):
    found, devices = together(crowd, where), gpus_of(where)
    assert found.verdict is not UNKNOWN
    if found.verdict is FITS and found.device != "ram":
        ground = _OnGpus([_Asked(*each, 0) for each in crowd], devices)
        spots = ground.place(None)
        assert tuple(name for name, _ in spots) == found.placement
        for device in devices:
            taken = sum(spot.get(device.name, 0) for _, spot in spots)
            assert taken <= max(0, device.usable_bytes)
        for (estimate, setting), (name, spot) in zip(crowd, spots, strict=True):
            asked = replace(setting, context=min(setting.context, estimate.trained or setting.context))
            whole = devices[0].need(estimate, asked)
            assert sum(spot.values()) >= whole.sure_bytes
            assert ("+" in name) is (len(spot) > 1)
    elif found.verdict is FITS:
        asked = [replace(s, context=min(s.context, e.trained or s.context)) for e, s in crowd]
        needs = [e.in_ram(s).sure_bytes for (e, _), s in zip(crowd, asked, strict=True)]
        assert sum(needs) <= ram(where).usable_bytes


@settings(deadline=None, max_examples=150)
@given(CROWDS, MACHINES)
def test_no_way_to_place_them_whole_is_missed(crowd, where):
    def whole(chosen):
        left = [device.usable_bytes for device in devices]
        for (estimate, setting), gpu in zip(crowd, chosen, strict=True):
            asked = replace(setting, context=min(setting.context, estimate.trained or setting.context))
            left[gpu] -= devices[gpu].need(estimate, asked).sure_bytes
        return all(left[gpu] >= 0 for gpu in chosen)

    devices = gpus_of(where)
    if any(whole(chosen) for chosen in product(range(len(devices)), repeat=len(crowd))):
        found = together(crowd, where)
        assert found.verdict is FITS
        assert not any("+" in place or place == "ram" for place in found.placement)


@settings(deadline=None, max_examples=100)
@given(CROWDS, MACHINES)
def test_the_common_context_is_one_that_fits(crowd, where):
    found = together(crowd, where)
    if found.verdict is CONTEXT:
        assert 0 < found.max_context < max(setting.context for _, setting in crowd)
        assert len(found.placement) == len(crowd)
        again = together([(e, replace(s, context=found.max_context)) for e, s in crowd], where)
        assert again.verdict is FITS
    if found.verdict is NO:
        assert (found.max_context, found.placement) == (0, ())


@given(st.integers(0, 40_000), st.lists(st.integers(0, 40_000), min_size=1, max_size=3), st.integers(1, 200_000))
def test_ollama_never_unloads_for_the_first(size, free, context):
    theirs = OllamaFacts(size * MIB, 32, 8, 4096, 32)
    assert eviction([Load(theirs, context, (0,) * len(free))], [each * MIB for each in free]) is None
    found = eviction([Load(theirs, context, (0,) * len(free))] * 2, [each * MIB for each in free])
    if found is not None:
        assert found.predicted_bytes > found.limit_bytes


def test_a_real_pair_on_many_cards(tmp_path):
    header = read_header(files.write_gguf(tmp_path / "x.gguf", *files.llama_like()))
    pair = [(HeaderEstimate.of(header), Setting(8192))] * 2
    assert together(pair, cards("8GB,8GB")).verdict is FITS
    assert together(pair, cards("8GB")).verdict is NO
    assert together(pair, cards("4GB,4GB,4GB,4GB")).verdict is FITS
