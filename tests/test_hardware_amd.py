"""AMD GPUs, Intel's cards and Apple's processors, from the files and answers that their systems give."""

import os

import pytest

from arena.core.machine import GIB, MIB, GpuProcess, ProcessKind
from arena.hardware.amd import SCAN_EVERY_S, SysfsReader
from arena.hardware.apple import AppleReader
from arena.hardware.host import SHARES_RAM


class Table:
    """Every process is Ollama's."""

    def identify(self, pid, used_bytes):
        return GpuProcess(pid, f"p{pid}", used_bytes, ProcessKind.OLLAMA)


def write(folder, **files):
    """Files of a folder; two underscores stand for a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else f"{text}\n".encode())


def device(root, card, slot, vendor, **files):
    """The folder of a card's device."""
    folder = root / f"sys/class/drm/{card}/device"
    write(folder, vendor=vendor, uevent=f"DRIVER=x\nPCI_SLOT_NAME={slot}", **files)
    return folder


def radeon(root, card="card0", slot="0000:03:00.0", **files):
    """A card with 24 GiB of its own, 4 of them taken."""
    facts = {
        "device": "0x744c",
        "unique_id": "a1b2c3",
        "mem_info_vram_total": 24 * GIB,
        "mem_info_vram_used": 4 * GIB,
        "mem_info_vis_vram_total": 24 * GIB,
        "mem_info_gtt_total": 32 * GIB,
        "mem_info_gtt_used": 64 * MIB,
        "mem_info_vram_vendor": "samsung",
        "gpu_busy_percent": 42,
        "hwmon__hwmon3__temp1_input": 51_000,
        "hwmon__hwmon3__power1_average": 123_000_000,
        "power__runtime_status": "active",
    }
    return device(root, card, slot, "0x1002", **facts | files)


def apu(root, **files):
    """A processor's own GPU: half a GiB set aside, 16 GiB of RAM through the table, of which 10 are available."""
    write(root, proc__meminfo=f"MemTotal: {32 << 20} kB\nMemAvailable:   {10 << 20} kB")
    facts = {
        "unique_id": "",
        "mem_info_vram_total": GIB // 2,
        "mem_info_vram_used": GIB // 4,
        "mem_info_gtt_total": 16 * GIB,
        "mem_info_gtt_used": 1 * GIB,
        "mem_info_vram_vendor": "unknown",
    }
    return radeon(root, **facts | files)


def client(root, pid, fd, *lines, to="/dev/dri/renderD128"):
    """A descriptor that a process has open."""
    process = root / f"proc/{pid}"
    write(process / "fdinfo", **{str(fd): "\n".join(("pos:\t0", "drm-driver:\tamdgpu", *lines))})
    (process / "fd").mkdir(exist_ok=True)
    (process / f"fd/{fd}").symlink_to(to)


def read(root, **options):
    gpus, notes = SysfsReader(root=root, processes=Table(), **options).read()
    assert notes == ()
    return gpus


def test_no_such_files(tmp_path):
    assert read(tmp_path) == ()


def test_a_card_with_memory_of_its_own(tmp_path):
    radeon(tmp_path)
    (gpu,) = read(tmp_path)
    assert (gpu.index, gpu.name, gpu.uuid, gpu.note) == (0, "AMD GPU (1002:744c)", "AMD-a1b2c3", "")
    assert (gpu.total_bytes, gpu.free_bytes, gpu.shares_ram) == (24 * GIB, 20 * GIB, False)
    assert (gpu.utilization, gpu.temperature_c, gpu.power_w) == (42.0, 51.0, 123.0)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Radeon PRO W7900", "AMD Radeon PRO W7900"),
        ("AMD Instinct MI210", "AMD Instinct MI210"),
        (b"\xff\x1b", "AMD \ufffd␛"),
    ],
)
def test_a_card_that_knows_its_name(tmp_path, name, shown):
    radeon(tmp_path, product_name=name)
    assert read(tmp_path)[0].name == shown


def test_newer_chips_tell_power_in_another_file(tmp_path):
    radeon(tmp_path, hwmon__hwmon3__power1_average="", hwmon__hwmon3__power1_input=7_000_000)
    assert read(tmp_path)[0].power_w == 7.0


def test_a_card_without_a_serial_number_is_known_by_its_place(tmp_path):
    radeon(tmp_path, unique_id="")
    assert read(tmp_path)[0].uuid == "PCI-0000:03:00.0"


def test_a_card_that_sleeps_is_not_woken(tmp_path):
    radeon(tmp_path, power__runtime_status="suspended")
    (gpu,) = read(tmp_path)
    assert (gpu.utilization, gpu.temperature_c, gpu.power_w, gpu.note) == (None, None, None, "asleep")
    assert gpu.free_bytes == 20 * GIB


@pytest.mark.parametrize(
    "sign",
    [
        {},
        {"mem_info_vram_vendor": ""},
        {
            "mem_info_vram_total": 96 * GIB,
            "mem_info_vram_used": 96 * GIB - GIB // 4,
            "hwmon__hwmon3__in1_label": "vddnb",
        },
    ],
    ids=["unknown maker", "no maker", "a large part set aside"],
)
def test_a_processors_own_gpu_counts_the_ram_that_it_may_take(tmp_path, sign):
    apu(tmp_path, **sign)
    (gpu,) = read(tmp_path)
    assert (gpu.shares_ram, gpu.note) == (True, SHARES_RAM)
    assert gpu.total_bytes == sign.get("mem_info_vram_total", GIB // 2) + 16 * GIB
    assert gpu.free_bytes == GIB // 4 + 10 * GIB  # 15 GiB of the table are free, but not that much of RAM


@pytest.mark.parametrize("sign", [{"mem_info_vram_vendor": "hynix"}, {"hwmon__hwmon3__power1_cap": 9}])
def test_an_old_card_with_little_memory_is_no_part_of_the_processor(tmp_path, sign):
    apu(tmp_path, mem_info_vram_total=4 * GIB, mem_info_vram_used=0, **sign)
    (gpu,) = read(tmp_path)
    assert (gpu.total_bytes, gpu.free_bytes, gpu.shares_ram) == (4 * GIB, 4 * GIB, False)


def test_intel_tells_sizes_at_best(tmp_path):
    device(tmp_path, "card0", "0000:00:02.0", "0x8086", device="0x46a6")  # integrated
    device(tmp_path, "card1", "0000:03:00.0", "0x8086", device="0x56a0")
    device(tmp_path, "card2", "0000:04:00.0", "0x8086", device="0xe20b", tile0__physical_vram_size_bytes=12 * GIB)
    device(tmp_path, "card3", "0000:05:00.0", "0x8086", device="0x56a0")
    write(tmp_path / "sys/class/drm/card3", lmem_total_bytes=16 * GIB, lmem_avail_bytes=15 * GIB)
    silent, xe, i915 = read(tmp_path)
    assert (silent.name, silent.total_bytes) == ("Intel GPU (8086:56a0)", None)
    assert silent.note == "its memory can't be read"
    assert (xe.total_bytes, xe.free_bytes, xe.note) == (12 * GIB, None, "its free memory can't be read")
    assert (i915.total_bytes, i915.free_bytes, i915.note) == (16 * GIB, 15 * GIB, "")


def test_cards_are_in_order_and_connectors_are_none(tmp_path):
    for card, slot in (("card10", "0000:0a:00.0"), ("card2", "0000:02:00.0"), ("card1-HDMI-A-1", "0000:01:00.0")):
        radeon(tmp_path, card, slot, unique_id="")
    device(tmp_path, "card0", "0000:00:01.0", "0x10de")
    assert [(gpu.index, gpu.uuid) for gpu in read(tmp_path)] == [(0, "PCI-0000:02:00.0"), (1, "PCI-0000:0a:00.0")]


HERE, THERE = "drm-pdev:\t0000:03:00.0", "drm-pdev:\t0000:04:00.0"


def test_processes_and_what_they_hold(tmp_path):
    radeon(tmp_path)
    client(tmp_path, 50, 5, HERE, "drm-client-id:\t1", "drm-memory-vram:\t2048 KiB", "drm-memory-gtt:\t1 MiB")
    client(tmp_path, 50, 6, HERE, "drm-client-id:\t1", "drm-memory-vram:\t2048 KiB", "drm-memory-gtt:\t1 MiB")
    client(tmp_path, 50, 7, HERE, "drm-client-id:\t2", "drm-resident-vram:\t512")
    client(tmp_path, 60, 3, THERE, "drm-memory-vram:\t9 MiB")
    client(tmp_path, 70, 3, HERE, "drm-memory-vram:\t9 MiB")
    client(tmp_path, 80, 3, HERE, "drm-memory-vram:\t9 MiB", to="/dev/null")
    (gpu,) = read(tmp_path)
    assert [(each.pid, each.used_bytes) for each in gpu.processes] == [(70, 9 * MIB), (50, 3 * MIB + 512)]
    assert gpu.reclaimable_bytes == 12 * MIB + 512


def test_processes_of_others_are_left_out(tmp_path, monkeypatch):
    radeon(tmp_path)
    client(tmp_path, 50, 5, HERE, "drm-memory-vram:\t2048 KiB")
    monkeypatch.setattr(os, "getuid", lambda: -5)
    assert read(tmp_path)[0].processes == ()


def test_processes_are_looked_through_now_and_then(tmp_path):
    now = [0.0]
    folder = radeon(tmp_path)
    reader = SysfsReader(root=tmp_path, processes=Table(), clock=lambda: now[0])
    assert reader.read()[0][0].processes == ()
    client(tmp_path, 50, 5, HERE, "drm-memory-vram:\t2048 KiB")
    (folder / "mem_info_vram_used").write_text("0")
    again = reader.read()[0][0]
    assert (again.processes, again.free_bytes) == ((), 24 * GIB)
    now[0] = SCAN_EVERY_S
    assert len(reader.read()[0][0].processes) == 1


def test_a_look_through_the_processes_ends_in_time(tmp_path):
    radeon(tmp_path)
    for pid in range(50, 60):
        client(tmp_path, pid, 5, HERE, "drm-memory-vram:\t2048 KiB")
    ticks = iter(range(1000))
    (gpu,) = read(tmp_path, clock=lambda: 0.02 * next(ticks))
    assert 0 < len(gpu.processes) < 10
    assert gpu.processes[-1].pid == 59  # the newest are looked at first


def answers(**given):
    known = {"machdep.cpu.brand_string": "Apple M2 Pro", "hw.memsize": str(16 * GIB), "iogpu.wired_limit_mb": "0"}
    known |= {name.replace("__", "."): text for name, text in given.items()}
    return lambda name: known.get(name, "")


MAC = ("Darwin", "arm64")


@pytest.mark.parametrize(
    ("ram", "limit", "share"),
    [(16, 16 * GIB * 2 // 3, "2/3"), (32, 32 * GIB * 2 // 3, "2/3"), (36, 27 * GIB, "3/4"), (128, 96 * GIB, "3/4")],
)
def test_an_apple_processor(ram, limit, share):
    (gpu,), notes = AppleReader(answers(hw__memsize=str(ram * GIB)), system=MAC).read()
    assert (gpu.name, gpu.total_bytes, gpu.free_bytes, gpu.shares_ram) == ("Apple M2 Pro", limit, None, True)
    assert (gpu.note, notes) == (f"{SHARES_RAM}: {share} of it, as usual at this size", ())


def test_an_apple_processor_whose_limit_was_set():
    (gpu,), _ = AppleReader(answers(iogpu__wired_limit_mb="14336"), system=MAC).read()
    assert (gpu.total_bytes, gpu.note) == (14 * GIB, f"{SHARES_RAM}: as much as iogpu.wired_limit_mb says")


@pytest.mark.parametrize("limit", ["", "-1", "1e4", "99999999999999999999", "16385", "0x10", "1 2", "١٢"])
def test_a_limit_that_cannot_be_is_not_believed(limit):
    (gpu,), _ = AppleReader(answers(iogpu__wired_limit_mb=limit), system=MAC).read()
    assert gpu.total_bytes == 16 * GIB * 2 // 3


def test_an_apple_processor_that_says_nothing():
    (gpu,), _ = AppleReader(lambda _name: "", system=MAC).read()
    assert (gpu.name, gpu.total_bytes, gpu.note, gpu.shares_ram) == ("Apple GPU", None, SHARES_RAM, True)


def test_an_apple_processor_is_asked_now_and_then():
    now, asked = [0.0], []
    reader = AppleReader(lambda name: asked.append(name) or "", system=MAC, clock=lambda: now[0])
    reader.read()
    reader.read()
    assert len(asked) == len(set(asked))
    now[0] = 60.0
    reader.read()
    assert len(asked) == 2 * len(set(asked))


@pytest.mark.parametrize("system", [("Darwin", "x86_64"), ("Linux", "arm64"), ("Windows", "AMD64")])
def test_other_computers_have_no_apple_gpu(system):
    assert AppleReader(answers(), system=system).read() == ((), ())
