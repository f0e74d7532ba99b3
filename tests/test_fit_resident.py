"""What is loaded already: never counted twice, and never given away on a machine that is not here."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gguf_files as files
from arena.core.fit import LeverKind, TogetherVerdict
from arena.core.machine import GIB, MIB, Fits, Gpu, GpuProcess, Machine, ProcessKind
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.fit.devices import given_back, own_bytes, without_own
from arena.hardware.fit.levers import holders
from arena.hardware.probe import MachineProbe
from arena.hardware.whatif import parse_gpus

OWN, OLLAMA, OTHER = ProcessKind.OWN, ProcessKind.OLLAMA, ProcessKind.OTHER


class Nvidia:
    """Shows the GPUs that it is given."""

    def __init__(self, gpus=()):
        self.gpus = tuple(gpus)
        self.multiprocessors = {}

    def read(self):
        return self.gpus, ()

    def close(self):
        """There is nothing to let go of."""


def card(*processes, size=8, index=0):
    """A card on which these processes (kind, MiB) hold what is not free."""
    held = tuple(GpuProcess(10 + at, "p", mib * MIB, kind) for at, (kind, mib) in enumerate(processes))
    gpu = parse_gpus(f"{size}GB")[0]
    free = gpu.free_bytes - sum(each.used_bytes for each in held)
    return replace(gpu, index=index, uuid=f"GPU-{index}", free_bytes=free, processes=held)


def machine(*gpus, ram=32):
    return Machine(gpus=gpus, ram_total_bytes=ram * GIB, ram_free_bytes=ram * GIB)


def probe(*gpus):
    found = MachineProbe(Nvidia(gpus), others=())
    found.read()
    return found


@pytest.fixture
def embedded(tmp_path):
    """About 5 GiB at 4096 tokens."""
    path = files.write_gguf(tmp_path / "llama.gguf", *files.llama_like())
    return ModelInfo(ModelRef("gguf", "llama"), location=str(path), size_bytes=path.stat().st_size)


@pytest.fixture
def ollama(embedded):
    return replace(embedded, ref=ModelRef("ollama", "llama", "ab"), runtime="ollama")


def test_a_loaded_model_is_not_counted_twice(ollama):
    gpu = card((OLLAMA, 5400))
    loaded, here = replace(ollama, resident_bytes=5 * GIB), probe(gpu)
    assert here.fit(ollama, machine(gpu), context=4096).verdict is Fits.PARTIAL
    found = here.fit(loaded, machine(gpu), context=4096)
    assert (found.verdict, found.device, found.gpu_layers) == (Fits.FITS, "gpu 0", 33)
    assert found.need_bytes <= found.free_bytes <= gpu.total_bytes - gpu.reserved_bytes
    assert here.levers(loaded, machine(gpu), context=4096, kv_type="f16", slots=1) == ()


def test_a_loaded_model_fits_however_little_is_left_beside_it(ollama):
    gpu = card((OLLAMA, 5400), (OTHER, 2200))
    found = probe(gpu).fit(replace(ollama, resident_bytes=5 * GIB), machine(gpu), context=4096)
    assert (found.verdict, found.device) == (Fits.FITS, "gpu 0")
    assert found.max_context >= 4096


def test_of_what_others_hold_nothing_is_free(ollama, embedded):
    for kind in (OLLAMA, OTHER):
        gpu = card((kind, 5400))
        assert probe(gpu).fit(embedded, machine(gpu), context=4096).verdict is Fits.PARTIAL
    gpu = card((OWN, 5400))
    assert probe(gpu).fit(ollama, machine(gpu), context=4096).verdict is Fits.PARTIAL
    # a server that tells more than its processes hold
    gpu = card((OTHER, 5400))
    claims = replace(ollama, resident_bytes=5 * GIB)
    assert probe(gpu).fit(claims, machine(gpu), context=4096).verdict is Fits.PARTIAL


def test_what_arenas_own_models_hold_is_free_for_its_models(embedded):
    gpu = card((OWN, 5400))
    found = probe(gpu).fit(embedded, machine(gpu), context=4096)
    assert (found.verdict, found.free_bytes) == (Fits.FITS, gpu.free_bytes + 5400 * MIB)
    assert found.free_bytes == gpu.total_bytes - gpu.reserved_bytes


def test_arenas_own_models_make_room_for_its_own_only(embedded, ollama):
    gpu = card((OWN, 11_000), size=16)
    where, here = machine(gpu), probe(gpu)
    assert here.together([embedded, embedded], where, context=4096).verdict is TogetherVerdict.FITS
    # 4.5 GiB are free beside them, which is too little for Ollama's
    assert here.together([embedded, ollama], where, context=4096).verdict is not TogetherVerdict.FITS
    gpu = card((OWN, 9000), size=16)
    assert probe(gpu).together([embedded, ollama], machine(gpu), context=4096).verdict is TogetherVerdict.FITS


def test_a_machine_that_is_not_here_has_nothing_loaded(embedded, ollama):
    mine = card((OLLAMA, 5400))
    loaded, here = replace(ollama, resident_bytes=5 * GIB), probe(mine)
    strange = replace(mine, uuid="")
    assert here.fit(loaded, machine(strange), context=4096).verdict is Fits.PARTIAL
    assert here.fit(embedded, machine(replace(card((OWN, 5400)), uuid="")), context=4096).verdict is Fits.PARTIAL
    pair = [loaded, replace(ollama, ref=ModelRef("ollama", "other", "cd"))]
    what_if = machine(*parse_gpus("8GB"))
    assert here.together(pair, what_if, context=4096).verdict is TogetherVerdict.NO
    assert here.together([loaded], machine(ram=2), context=4096).verdict is TogetherVerdict.NO
    assert here.fit(loaded, machine(ram=2), context=4096).verdict is Fits.NO


def test_two_do_not_fit_in_ram_beside_a_gpu_that_takes_one(embedded):
    found = probe().together([embedded, embedded], machine(*parse_gpus("8GB")), context=4096)
    assert found.verdict in (TogetherVerdict.CONTEXT, TogetherVerdict.NO)
    assert "ram" not in found.placement
    # no GPU takes either of them anyway
    tiny = machine(Gpu(0, "card", "", 1 * GIB, 200 * MIB))
    assert probe().together([embedded, embedded], tiny, context=4096).placement == ("ram", "ram")


def test_memory_that_a_gpu_shares_is_no_second_place(embedded):
    unified = Gpu(0, "unified", "GPU-0", 128 * GIB, 20 * GIB, shares_ram=True)
    where = replace(machine(unified), ram_total_bytes=128 * GIB, ram_free_bytes=20 * GIB)
    found = probe(unified).together([embedded, embedded], where, context=4096)
    assert (found.verdict is TogetherVerdict.FITS, found.device) == (False, "gpu 0")


def test_what_holds_memory_is_named(ollama):
    gpu = card((OLLAMA, 2500), (OWN, 2000), (OTHER, 500))
    found = probe(gpu).levers(ollama, machine(gpu), context=4096, kv_type="f16", slots=1)
    unload = {lever.what: lever for lever in found if lever.kind is LeverKind.UNLOAD}
    assert set(unload) == {"unload Ollama's models", "unload arena's own models"}
    assert unload["unload Ollama's models"].saves_bytes == 2500 * MIB


def test_the_model_itself_is_never_to_be_unloaded(ollama, embedded):
    gpu = card((OLLAMA, 5400))
    loaded, here = replace(ollama, resident_bytes=5 * GIB), probe(gpu)
    found = here.levers(loaded, machine(gpu), context=65_536, kv_type="f16", slots=1)
    assert found
    assert not [lever for lever in found if lever.kind is LeverKind.UNLOAD]
    own = card((OWN, 5400))
    found = probe(own).levers(embedded, machine(own), context=65_536, kv_type="f16", slots=1)
    assert not [lever for lever in found if lever.kind is LeverKind.UNLOAD]
    # another one of Ollama's is
    assert holders(machine(card((OLLAMA, 5400), (OLLAMA, 900))), 5 * GIB, own=False) == [
        ("Ollama's models", [900 * MIB])
    ]
    # one that lies on two cards
    halves = machine(card((OLLAMA, 3000)), card((OLLAMA, 3000), index=1))
    assert holders(halves, 5000 * MIB, own=False) == [("Ollama's models", [500 * MIB, 500 * MIB])]


def test_layers_on_two_cards_are_one_lever(embedded):
    where = machine(*parse_gpus("2GB,2GB"))
    found = probe().levers(embedded, where, context=4096, kv_type="f16", slots=1)
    (lever,) = [each for each in found if each.kind is LeverKind.LAYERS]
    assert "layers on GPUs 0+1, " in lever.what
    assert lever.makes_it_fit


def test_an_answer_is_kept_while_little_changes(embedded, monkeypatch):
    asked = []

    def counted(*args, **facts):
        asked.append(args)
        return real(*args, **facts)

    real = __import__("arena.hardware.probe", fromlist=["together"]).together
    monkeypatch.setattr("arena.hardware.probe.together", counted)
    here, gpu = probe(), replace(card(size=24), uuid="GPU-9")

    def ask(used_mib, context=4096):
        now = machine(replace(gpu, free_bytes=20 * GIB - used_mib * MIB + 63 * MIB))
        return here.together([embedded, embedded], now, context=context)

    assert ask(0) == ask(10)
    assert len(asked) == 1
    ask(200)
    ask(200, context=8192)
    assert len(asked) == 3
    here.learn(())
    ask(200)
    assert len(asked) == 4


def test_many_unequal_cards_are_not_searched_for_ever(tmp_path, monkeypatch):
    asked = []

    def counted(*args, **facts):
        asked.append(args)
        return real(*args, **facts)

    real = __import__("arena.hardware.fit.together", fromlist=["split"]).split
    monkeypatch.setattr("arena.hardware.fit.together.split", counted)
    path = files.write_gguf(tmp_path / "x.gguf", *files.llama_like(feed_forward=90_112, layers=48))
    info = ModelInfo(ModelRef("gguf", "large"), location=str(path))
    where = machine(*parse_gpus("8GB,12GB,16GB,24GB,10GB,11GB,20GB,6GB"))
    infos = [replace(info, ref=ModelRef("gguf", name)) for name in "abc"]
    assert probe().fit(info, where, context=4096).verdict is Fits.FITS
    probe().together(infos, where, context=4096)
    assert 0 < len(asked) < 300


KINDS = st.lists(st.tuples(st.sampled_from(ProcessKind), st.integers(0, 6000)), max_size=4)


@settings(deadline=None)
@given(st.lists(KINDS, min_size=1, max_size=3), st.integers(0, 30_000))
def test_never_more_than_others_leave(held, size):
    gpus = [card(*processes, size=24, index=index) for index, processes in enumerate(held)]
    where = machine(*gpus)

    def left(gpu, kind):
        others = sum(each.used_bytes for each in gpu.processes if each.kind is not kind)
        return gpu.total_bytes - gpu.reserved_bytes - others

    for before, after in zip(gpus, without_own(where).gpus, strict=True):
        assert before.free_bytes <= after.free_bytes <= left(before, OWN)
        assert own_bytes(before) == after.free_bytes - before.free_bytes
    for found in given_back(where, size * MIB):
        for before, after in zip(gpus, found.gpus, strict=True):
            assert before.free_bytes <= after.free_bytes <= max(before.free_bytes, left(before, OLLAMA))
