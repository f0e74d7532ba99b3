"""All that can go wrong between arena and an Ollama server, each with its sentence; and whom a key is shown."""

from __future__ import annotations

import shutil
import socket
import subprocess

import pytest

from arena.backends.ollama import OllamaBackend
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import ArenaError, NotThereError, PassingFaultError, SeatError
from arena.core.events import Chunk, Usage
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from ollama_server import OllamaServer, ServedModel

SAMPLING = Sampling(max_tokens=20, context=512)
WHO = Contestant(ModelRef("ollama", "m:1"), context=512)
SAME = '{"error": "busy"}'


@pytest.fixture
def server():
    with OllamaServer({"m:1": ServedModel(chunks=("one ", "two ", "three "))}) as running:
        yield running


def at(url, **more):
    return OllamaBackend(Endpoint("ollama", Wire.OLLAMA, url, **{"silence_s": 0.3, **more}))


async def hear(backend, who=WHO):
    """What came, and the fault that ended it."""
    pieces = []
    try:
        async for piece in backend.stream(Request(who, Prompt("Hello?"), SAMPLING)):
            pieces.append(piece)  # noqa: PERF401 - what came before the fault is wanted too
    except ArenaError as fault:
        return pieces, fault
    finally:
        await backend.close()
    return pieces, None


def text(pieces):
    return "".join(piece.text for piece in pieces if isinstance(piece, Chunk))


@pytest.mark.parametrize(
    ("fault", "sentence", "hint"),
    [
        ("cut", "The connection to ollama broke off in the middle of the answer.", "crashed"),
        ("end", "The connection to ollama broke off in the middle of the answer.", "crashed"),
        ("silence", "ollama said nothing for 0.3 s.", "silence_s"),
        ("garbage", "ollama sent something that is no answer: %PDF-1.7 nonsense.", "url"),
        (
            "model runner has unexpectedly stopped.",
            "ollama broke the answer off: model runner has unexpectedly stopped.",
            "log",
        ),
        (
            "CUDA error: out of memory",
            "ollama has not enough memory for this model: CUDA error: out of memory.",
            "smaller",
        ),
    ],
)
async def test_what_ends_an_answer_half_way_is_said_and_not_tried_again(server, fault, sentence, hint):
    server.models["m:1"].fault, server.models["m:1"].fault_at = fault, 2
    pieces, caught = await hear(at(server.url))
    assert text(pieces) == "one two "
    assert type(caught) is SeatError
    assert caught.sentence == sentence
    assert hint in caught.hint
    assert len(server.bodies("/api/chat")) == 1


async def test_what_breaks_after_the_end_loses_no_answer(server):
    server.models["m:1"].fault = "after"
    pieces, caught = await hear(at(server.url))
    assert caught is None
    assert (text(pieces), type(pieces[-1])) == ("one two three ", Usage)


@pytest.mark.parametrize(
    "line", [b"[1, 2]\n", b"7\n", b'{"message": 5}\n', b"[" * 100_000 + b"\n", b"\xff\xfe\n", b"\n"], ids=range(6)
)
async def test_lines_that_are_no_frames_are_said_to_be_none(server, line):
    server.pages["/api/chat"] = (200, "application/x-ndjson", line)
    _, caught = await hear(at(server.url))
    assert type(caught) is SeatError
    assert caught.sentence.startswith("ollama sent something that is no answer: ")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_asked_again(server, status):
    server.loaded["m:1"] = 512
    backend = at(server.url)
    await backend.prepare(WHO)
    server.models["m:1"].refusals = [(status, SAME, {"Retry-After": "0.1"})] * 2
    pieces, caught = await hear(backend)
    assert caught is None
    assert text(pieces) == "one two three "
    assert len(server.bodies("/api/chat")) == 3


async def test_a_server_that_stays_busy_is_given_up(server):
    server.models["m:1"].refusals = [(503, '{"error": "server busy, please try again."}', {"Retry-After": "0.1"})] * 9
    with pytest.raises(PassingFaultError) as caught:
        await at(server.url).prepare(WHO)
    assert caught.value.sentence == "ollama is not ready (503): server busy, please try again."
    assert len(server.bodies("/api/generate")) == 3


async def test_a_connection_cut_before_the_first_word_is_tried_again(server):
    backend = at(server.url)
    await backend.prepare(WHO)
    server.models["m:1"].fault, server.models["m:1"].faults_once = "cut", True
    pieces, caught = await hear(backend)
    assert (text(pieces), caught) == ("one two three ", None)


@pytest.mark.parametrize(
    ("status", "body", "sentence", "hint"),
    [
        (401, '{"error": "unauthorized"}', "ollama does not let arena in (401): unauthorized.", "api_key_env"),
        (
            404,
            '{"error": "model \'m:1\' not found"}',
            "ollama does not know m:1 (404): model 'm:1' not found.",
            "pull ollama/m:1",
        ),
        (
            500,
            '{"error": "llama runner process has terminated"}',
            "ollama failed (500): llama runner process has terminated.",
            "log",
        ),
        (400, '{"error": "invalid options"}', "ollama refuses this request (400): invalid options.", "log"),
    ],
)
async def test_each_refusal_has_its_sentence(server, status, body, sentence, hint):
    server.models["m:1"].refusals = [(status, body, {})]
    with pytest.raises(SeatError) as caught:
        await at(server.url).prepare(WHO)
    assert caught.value.sentence == sentence
    assert hint in caught.value.hint


async def test_too_little_memory_is_said_with_what_to_do(server):
    server.models["m:1"].needs_gib = 41.5
    with pytest.raises(SeatError) as caught:
        await at(server.url).prepare(WHO)
    said = "model requires more system memory (41.5 GiB) than is available (8.0 GiB)"
    assert caught.value.sentence == f"ollama has not enough memory for this model: {said}."
    assert "smaller" in caught.value.hint


async def test_a_model_that_can_not_think_says_so(server):
    _, caught = await hear(at(server.url), Contestant(WHO.ref, context=512, thinking="high"))
    assert caught.sentence == 'ollama can\'t let m:1 think so: "m:1" does not support thinking.'
    assert caught.hint == "Leave `thinking` of it at `default`."


async def test_an_address_with_the_path_of_another_wire_is_told_so(server):
    with pytest.raises(NotThereError) as caught:
        await at(f"{server.url}/v1").models()
    assert caught.value.sentence == f"{server.url}/v1 has no API of Ollama (404)."
    assert caught.value.hint == 'For Ollama take /v1 off the url; for another server write kind = "openai".'


async def test_a_place_that_sends_elsewhere_is_not_followed(server):
    server.redirects["/api/tags"] = "http://user:secret@127.0.0.1:9/login?token=x"
    with pytest.raises(SeatError) as caught:
        await at(server.url).models()
    assert caught.value.sentence == "ollama sends elsewhere (302): http://127.0.0.1:9/login."


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ((200, "text/html", b"<html>"), "answers with a web page, not as an API."),
        ((404, "text/html; charset=utf-8", b"<html>"), "answers with a web page, not as an API."),
        ((404, "text/plain", b"404 page not found"), "has no API of Ollama (404)."),
        ((200, "application/json", b"Ollama is running"), "sent something that is no answer: Ollama is running."),
        ((200, "application/json", b'{"data": []}'), "sent something that is no answer: "),
        ((200, "application/json", b"[]"), "sent something that is no answer: "),
        ((502, "text/html", b"<html>nginx"), "ollama is not ready (502)."),
    ],
)
async def test_what_is_no_ollama_is_told_to_be_none(server, page, sentence):
    server.pages["/api/tags"] = page
    with pytest.raises(SeatError) as caught:
        await at(server.url).models()
    assert sentence in caught.value.sentence
    assert caught.value.hint


async def test_a_list_that_does_not_come_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr("arena.backends.http.LIST_S", 0.1)
    server.silent.add("/api/tags")
    with pytest.raises(SeatError) as caught:
        await at(server.url, silence_s=60).models()
    assert caught.value.sentence == f"ollama did not answer at {server.url} within 0.1 s."


async def test_nobody_is_there():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        backend = at(url)
        for call in (backend.models(), backend.find(WHO.ref), backend.prepare(WHO), anext(backend.pull("x"))):
            with pytest.raises(NotThereError) as caught:
                await call
            assert caught.value.sentence == f"Nothing listens at {url}."
            assert caught.value.hint == "Start it with `ollama serve`, or correct OLLAMA_HOST."
        await backend.release(WHO)
        _, fault = await hear(backend)
        assert isinstance(fault, SeatError)


async def test_no_host_has_that_name(monkeypatch):
    def lookup(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(SeatError) as caught:
        await at("http://user:secret@no-such-host.invalid:11434").models()
    assert caught.value.sentence == "There is no host of that name: http://no-such-host.invalid:11434."


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:port", "http://[::1", "127.0.0.1:99999999", "http://127.0.0.1:65536"]
)
async def test_what_is_no_address_is_said_to_be_none(url):
    with pytest.raises(SeatError) as caught:
        await at(url).models()
    assert caught.value.sentence == "The url of ollama is no address of a server."


@pytest.fixture
def certificate(tmp_path):
    """A certificate that nobody knows, for 127.0.0.1, and its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl makes the certificate")
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert)
    whose = ("-subj", "/CN=box", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    subprocess.run([openssl, "req", "-x509", *made, *whose], check=True, capture_output=True)
    return cert, key


async def test_a_certificate_that_nobody_knows_is_not_accepted_until_it_is_named(certificate, monkeypatch):
    with OllamaServer({"m:1": ServedModel()}, tls=certificate) as server:
        for url in (server.url, server.url.replace("https", "HTTPS")):
            with pytest.raises(SeatError) as caught:
                await at(url).models()
            assert caught.value.sentence.startswith(f"The certificate of {server.url} is not accepted: self")
            assert "SSL_CERT_FILE" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
        assert await at(server.url).models()


# Fetching


async def pull(backend, name):
    return [step async for step in backend.pull(name)]


async def test_a_model_that_there_is_not_can_not_be_fetched(server):
    with pytest.raises(ArenaError) as caught:
        await pull(at(server.url), "no-such")
    assert caught.value.sentence == "There is no model no-such in Ollama's library."
    assert caught.value.hint


@pytest.mark.parametrize(
    ("line", "sentence", "hint"),
    [
        (
            b'{"error": "write blob: no space left on device"}',
            "ollama could not fetch x: write blob: no space left on device.",
            "room",
        ),
        (
            b'{"error": "dial tcp: lookup registry.ollama.ai: no such host"}',
            "ollama could not fetch x: dial tcp:",
            "online",
        ),
        (b'{"error": "max retries exceeded"}', "ollama could not fetch x: max retries exceeded.", "log"),
        (b"", "The connection to ollama broke off", "goes on"),
        (b"oops", "ollama sent something that is no answer: oops.", "again"),
    ],
)
async def test_a_fetch_that_fails_says_why(server, line, sentence, hint):
    server.pages["/api/pull"] = (200, "application/x-ndjson", b'{"status": "pulling manifest"}\n' + line)
    with pytest.raises(ArenaError) as caught:
        await pull(at(server.url), "x")
    assert caught.value.sentence.startswith(sentence)
    assert hint in caught.value.hint
