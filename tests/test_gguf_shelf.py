"""What headers say is kept on disk, and read again only when the file has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import arena.core.gguf_shelf as module
import arena.demo
from arena.core import gguf
from arena.core.errors import ArenaError
from arena.core.gguf import quick_digest, read_header
from arena.core.gguf_shelf import HeaderShelf

LARGE = Path(arena.demo.__file__).parent / "large.gguf"


@pytest.fixture
def reads(monkeypatch):
    """Every path whose header was read from the model itself."""
    seen = []
    monkeypatch.setattr(module, "read_header", lambda path: (seen.append(path), read_header(path))[1])
    return seen


def test_what_was_kept_is_what_was_read(tmp_path, reads):
    first = HeaderShelf(tmp_path / "headers").read(LARGE)
    second = HeaderShelf(tmp_path / "headers").read(LARGE)
    assert len(reads) == 1
    assert first == second
    assert second[0] == replace(read_header(LARGE), metadata=second[0].metadata)
    assert dict(second[0].metadata) == dict(read_header(LARGE).metadata)
    assert second[1] == quick_digest(LARGE)


def test_the_header_alone_costs_no_digest_and_is_read_once(tmp_path, reads, monkeypatch):
    digests = []
    monkeypatch.setattr(module, "quick_digest", lambda *args: (digests.append(args), quick_digest(*args))[1])
    header = HeaderShelf(tmp_path / "headers").header(LARGE)
    assert not digests
    shelf = HeaderShelf(tmp_path / "headers")
    assert shelf.header(LARGE) == header
    assert [shelf.read(LARGE), HeaderShelf(tmp_path / "headers").read(LARGE)] == 2 * [(header, quick_digest(LARGE))]
    assert shelf.header(LARGE) == header
    assert len(reads) == len(digests) == 1


def test_the_digest_reads_no_header_again(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(gguf, "read_header", lambda _path: pytest.fail("it is at hand"))
    assert HeaderShelf(tmp_path / "headers").read(LARGE)[1]
    assert len(reads) == 1


def test_a_changed_file_is_read_again(tmp_path, reads):
    model = tmp_path / "m.gguf"
    model.write_bytes(LARGE.read_bytes())
    shelf = HeaderShelf(tmp_path / "headers")
    old = shelf.read(model)
    content = bytearray(LARGE.read_bytes())
    content[-40] ^= 1
    model.write_bytes(content)
    assert shelf.read(model)[1] != old[1]
    assert len(reads) == 2


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"form": 1}', b"\xff\xfe", b'{"form": 1, "path": 3}', b"null"])
def test_what_is_broken_on_the_shelf_is_read_from_the_model(tmp_path, reads, junk):
    shelf = tmp_path / "headers"
    HeaderShelf(shelf).read(LARGE)
    (kept,) = shelf.iterdir()
    kept.write_bytes(junk)
    assert HeaderShelf(shelf).read(LARGE)[0].architecture == "llama"
    assert len(reads) == 2


def test_a_shelf_that_can_not_be_written_does_no_harm(tmp_path):
    (tmp_path / "headers").write_text("a file where a folder should be")
    assert HeaderShelf(tmp_path / "headers").read(LARGE)[0].tensors


def test_what_is_no_model_is_said_each_time(tmp_path):
    path = tmp_path / "x.gguf"
    path.write_text("no model")
    shelf = HeaderShelf(tmp_path / "headers")
    for _ in range(2):
        with pytest.raises(ArenaError, match="GGUF"):
            shelf.read(path)
