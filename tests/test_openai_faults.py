"""Everything that can go wrong with an OpenAI-compatible server: each in its own words, and never with the key."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import subprocess
import traceback

import pytest

from arena.backends.openai import OpenAIBackend
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import ArenaError, PassingFaultError, SeatError
from arena.core.events import Chunk
from arena.core.models import Contestant, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from faulty_server import (
    CUT_BEFORE,
    CUT_WITHIN,
    LIST,
    SILENCE,
    SILENT_WITHIN,
    TEXT,
    FaultyServer,
    free_port,
    said,
    status,
    stream,
)

KEY = "sk-very/secret-0123456789"
SAMPLING = Sampling(seed=3, max_tokens=20)
LOADING = status(503, {"error": {"message": "Loading model", "code": 503}}, Retry_After="0.01")
BUSY = status(429, {"error": {"message": "too many"}}, Retry_After="0.01")
PAGE = status(200, "<!DOCTYPE html><html>Hello</html>", content_type="text/html; charset=utf-8")
FULL = {"error": {"message": "CUDA out of memory. Tried to allocate 2.00 GiB", "code": 500}}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("CLUSTER_KEY", KEY)


@pytest.fixture
async def ask():
    """Ask the server at an address; returns the pieces. What was said before a fault stays in `heard`."""
    opened = []

    async def asking(url, heard=None, **options):
        endpoint = Endpoint("cluster", Wire.OPENAI, url, "CLUSTER_KEY", **{"silence_s": 5.0, **options})
        opened.append(OpenAIBackend(endpoint))
        info, *_ = await opened[-1].models()
        pieces = [] if heard is None else heard
        async for piece in opened[-1].stream(Request(Contestant.of(info, SAMPLING), Prompt("Hi there"), SAMPLING)):
            pieces.append(piece)
        return pieces

    yield asking
    for backend in opened:
        await backend.close()


def text_of(pieces):
    return "".join(piece.text for piece in pieces if isinstance(piece, Chunk))


async def fault_of(ask, server, **options):
    """What is said of the fault, as `sentence hint`."""
    with server, pytest.raises(ArenaError) as caught:
        await ask(server.url, **options)
    said_of_it = str(caught.value)
    assert caught.value.sentence.endswith(".")
    assert caught.value.hint
    assert KEY not in said_of_it + repr(caught.value) + "".join(traceback.format_exception(caught.value))
    return said_of_it


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (status(401, {"error": f"wrong key {KEY}"}), r"lets? arena in \(401\): wrong key \[key\]\. .*\$CLUSTER_KEY"),
        (status(401, '{"error": "wrong key sk-very\\/secret-0123456789"}'), r"\(401\): wrong key \[key\]\."),
        (status(401, "x" * 145 + KEY), r"\(401\): x+\[key\]\."),
        (status(403, {"detail": "no"}), r"cluster does not let arena in \(403\): no\."),
        (status(404, {"error": {"message": "no model `one`"}}), r"cluster does not know one \(404\): no model `one`\."),
        (status(400, {"error": {"message": "bad"}}), r"cluster refuses this request \(400\): bad\."),
        (status(400, {"error": {"message": "exceeds the available context size"}}), r"size\. Shorten the prompt"),
        (status(500, "it broke"), r"cluster failed \(500\): it broke\. Look at its log\."),
        (status(500, FULL), r"cluster has not enough memory for this model: CUDA out of memory.* `arena fit`"),
        (status(500, "the room is on fire"), r"cluster failed \(500\): the room is on fire\."),
        (status(503, "", Retry_After="3600"), r"cluster is not ready \(503\)\. Try again"),
        (PAGE, r"http://127.0.0.1:\d+ answers with a web page, not as an API\."),
        (SILENCE, r"cluster said nothing for 0\.2 s\..*`silence_s`"),
        (SILENT_WITHIN, r"cluster said nothing for 0\.2 s\."),
        (CUT_WITHIN, r"The connection to cluster broke off in the middle of the answer\."),
        (stream(said("Once")), r"The connection to cluster broke off in the middle of the answer\."),
        (stream(said()), r"cluster ended its answer before the first word\. .* context"),
        (stream(said("Once"), "data: {garbage"), r"cluster sent something that is no answer: \{garbage\."),
        (stream(said("Once"), "data: [1, 2]"), r"cluster sent something that is no answer: \[1, 2\]\."),
        (stream("data: " + "[" * 100_000), r"cluster sent something that is no answer: \[+"),
        (stream(kind="application/json"), r"cluster sent something that is no answer: nothing\."),
        (status(200, {"odd": 1}), r"cluster sent something that is no answer: \{\"odd\": 1\}\."),
        (status(200, "hello"), r"cluster sent something that is no answer: hello\."),
        (status(200, {"error": "it broke"}), r"cluster failed \(500\): it broke\."),
        (stream(said("Once"), {"error": {"message": "it broke", "code": 500}}), r"cluster failed \(500\): it broke\."),
        (stream(said("Once"), FULL), r"cluster has not enough memory for this model"),
        (stream(said("Once"), 'event: error\ndata: {"message": "it broke"}'), r"cluster failed \(500\): it broke\."),
        (stream(said("Once"), "event: error\ndata: it broke"), r"cluster failed \(500\): it broke\."),
        (stream({"error": f"key {KEY}"}), r"cluster failed \(500\): key \[key\]\."),
    ],
)  # fmt: skip
async def test_each_fault_has_its_sentence(act, says, ask):
    server = FaultyServer(act)
    silent = act in (SILENCE, SILENT_WITHIN)
    sentence = await fault_of(ask, server, **({"silence_s": 0.2} if silent else {}))
    assert re.search(says.replace("lets?", "let"), sentence), sentence
    assert len(server.chats) == 1, "there was nothing to try again"


@pytest.mark.parametrize("act", [BUSY, LOADING])
async def test_a_busy_server_is_asked_again(act, ask):
    with FaultyServer(act, act) as server:
        assert text_of(await ask(server.url)) == TEXT
        assert len(server.chats) == 3
    server = FaultyServer(*[act] * 9)
    assert re.search(r"cluster (has too many requests|is not ready) \((429|503)\)", await fault_of(ask, server))
    assert len(server.chats) == 3


async def test_a_connection_that_is_cut_before_any_answer_is_tried_again(ask, monkeypatch):
    real_sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: real_sleep(0))
    with FaultyServer(CUT_BEFORE, CUT_BEFORE) as server:
        assert text_of(await ask(server.url)) == TEXT
    server = FaultyServer(*[CUT_BEFORE] * 9)
    assert "cluster closed the connection without an answer." in await fault_of(ask, server)
    assert len(server.chats) == 3


async def test_nothing_is_tried_again_once_there_is_text(ask):
    passing = {"error": {"message": "overloaded", "code": 503}}
    heard = []
    with FaultyServer(stream(said("Once"), passing)) as server:
        with pytest.raises(PassingFaultError, match="overloaded"):
            await ask(server.url, heard)
        assert len(server.chats) == 1
    assert text_of(heard) == "Once"
    with FaultyServer(stream({"error": {**passing["error"], "code": 429}})) as server:
        assert text_of(await ask(server.url)) == TEXT, "no text yet: the fault within the stream is like a status"
        assert len(server.chats) == 2


async def test_a_model_that_is_loading_is_waited_for(ask, monkeypatch):
    real_sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: real_sleep(0.001))
    with FaultyServer(warming=(LOADING,) * 20) as server:
        assert text_of(await ask(server.url)) == TEXT
    server = FaultyServer(warming=(LOADING,) * 10_000)
    said_of_it = await fault_of(ask, server, silence_s=0.3)
    assert "cluster is not ready (503): Loading model." in said_of_it


async def test_a_warm_up_that_fails_is_a_fault_of_the_seat(ask):
    with FaultyServer(warming=(status(500, FULL),)) as server:
        with pytest.raises(SeatError, match="not enough memory"):
            await ask(server.url)
        assert not server.chats


async def test_nobody_there(ask):
    port = free_port()
    with pytest.raises(ArenaError) as caught:
        await ask(f"http://127.0.0.1:{port}")
    assert caught.value.sentence == f"Nothing listens at http://127.0.0.1:{port}."
    assert caught.value.hint == "Start the server, or correct its url in the config."


@pytest.mark.parametrize("url", ["127.0.0.1:99", "ftp://127.0.0.1", "http://", "http://[::1", "http://127.0.0.1:http"])
async def test_an_address_that_is_none(url, ask):
    with pytest.raises(ArenaError) as caught:
        await ask(url)
    assert caught.value.sentence.endswith("is no address of a server.")


@pytest.mark.parametrize(
    ("listing", "says"),
    [
        (status(401, f"no {KEY}"), r"cluster does not let arena in \(401\): no \[key\]\."),
        (status(404, {"error": "no such page"}), r"cluster does not know this address \(404\)"),
        (status(500, "it broke"), r"cluster failed \(500\): it broke\."),
        (LOADING, r"cluster is not ready \(503\): Loading model\."),
        (PAGE, r"answers with a web page, not as an API\. .*/v1"),
        (status(200, "hello"), r"cluster sent something that is no answer"),
        (status(200, "3"), r"cluster sent something that is no answer: 3\."),
        (status(200, "[" * 100_000), r"cluster sent something that is no answer"),
        (CUT_BEFORE, r"cluster closed the connection without an answer\."),
    ],
)
async def test_each_fault_of_a_list_has_its_sentence(listing, says, ask):
    sentence = await fault_of(ask, FaultyServer(listing=listing))
    assert re.search(says, sentence), sentence


async def test_a_list_that_does_not_come(ask, monkeypatch):
    monkeypatch.setattr("arena.backends.http.LIST_S", 0.2)
    sentence = await fault_of(ask, FaultyServer(listing=SILENCE))
    assert re.search(r"cluster did not answer at http://127\.0\.0\.1:\d+ within 0\.2 s\. It may be busy", sentence)


@pytest.mark.parametrize("where", ["list", "chat"])
async def test_a_redirect_is_not_followed_and_the_key_stays_here(where, ask):
    with FaultyServer() as other:
        elsewhere = status(307, "", Location=f"{other.url.replace('://', '://me:secret@')}/v1?key={KEY}")
        server = FaultyServer(elsewhere) if where == "chat" else FaultyServer(listing=elsewhere)
        sentence = await fault_of(ask, server)
        assert f"cluster sends elsewhere (307): {other.url}/v1." in sentence
        assert not other.seen


async def test_a_redirect_to_nowhere(ask):
    assert "(302): it does not say where." in await fault_of(ask, FaultyServer(status(302, "", Location="http://[::1")))


@pytest.fixture
def certificate(tmp_path):
    """Files of a self-signed certificate and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("There is no openssl to make a certificate with: install the package openssl.")
    files = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    making = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    command = (openssl, *making, *names, "-out", files[0], "-keyout", files[1])
    subprocess.run(command, check=True, capture_output=True)
    return files


async def test_a_certificate_of_ones_own(certificate, ask, monkeypatch):
    server = FaultyServer(tls=certificate)
    sentence = await fault_of(ask, server)
    assert re.search(r"The certificate of https://127\.0\.0\.1:\d+ is not accepted: self.signed certificate", sentence)
    assert "SSL_CERT_FILE" in sentence
    assert not server.seen
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    with FaultyServer(tls=certificate) as server:
        assert text_of(await ask(server.url)) == TEXT


async def test_plain_http_behind_an_https_address(ask):
    with FaultyServer() as server:
        url = server.url.replace("http", "https")
        with pytest.raises(ArenaError) as caught:
            await ask(url)
    assert caught.value.sentence == f"{url} does not speak HTTPS."


async def test_the_key_goes_to_the_server_and_nowhere_else(ask, caplog):
    caplog.set_level(logging.DEBUG)
    with FaultyServer() as server:
        await ask(server.url)
        assert all(f"authorization: bearer {KEY}" in seen.lower().replace(KEY.lower(), KEY) for seen in server.seen)
        endpoint = Endpoint("cluster", Wire.OPENAI, server.url, "CLUSTER_KEY")
        backend = OpenAIBackend(endpoint)
        infos = await backend.models()
        assert KEY not in repr(infos) + repr(vars(backend)) + repr(endpoint)
        await backend.close()
    assert KEY not in caplog.text


@pytest.mark.parametrize("value", ["", "  ", None])
async def test_a_key_that_is_not_set(value, ask, monkeypatch):
    monkeypatch.delenv("CLUSTER_KEY") if value is None else monkeypatch.setenv("CLUSTER_KEY", value)
    server = FaultyServer()
    sentence = await fault_of(ask, server)
    assert sentence.startswith("The key of cluster is missing: $CLUSTER_KEY is empty. Set it")
    assert not server.seen


async def test_a_key_that_can_be_none(ask, monkeypatch):
    monkeypatch.setenv("CLUSTER_KEY", "sk\nx-한글")
    assert "$CLUSTER_KEY holds characters that no key" in await fault_of(ask, FaultyServer())


async def test_without_a_key_nothing_is_sent_and_the_hint_says_how():
    with FaultyServer(listing=status(401, "who are you")) as server:
        backend = OpenAIBackend(Endpoint("cluster", Wire.OPENAI, server.url))
        with pytest.raises(ArenaError) as caught:
            await backend.models()
        assert "api_key_env" in caught.value.hint
        assert "authorization" not in server.seen[0].lower()
        await backend.close()


async def test_the_environment_brings_no_proxy_in_between(ask, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")
    with FaultyServer(listing=LIST) as server:
        assert text_of(await ask(server.url)) == TEXT
