"""Who is shown the key of an Ollama server, and that nobody is told it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import httpx
import pytest

from arena.backends import http
from arena.backends.ollama import OllamaBackend
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import ArenaError
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from ollama_server import OllamaServer, ServedModel

WHO = Contestant(ModelRef("ollama", "m:1"), context=512)
KEY = "sk-very-secret-0123456789"
ECHO = f"invalid header: Bearer {KEY}"


@pytest.fixture
def server():
    with OllamaServer({"m:1": ServedModel(chunks=("one ", "two ", "three "))}) as running:
        yield running


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("DESK_KEY", KEY)


def at(url, **more):
    return OllamaBackend(Endpoint("ollama", Wire.OLLAMA, url, **more))


async def hear(backend):
    request = Request(WHO, Prompt("Hello?"), Sampling(max_tokens=20, context=512))
    return [piece async for piece in backend.stream(request)]


async def pull(backend, name):
    return [step async for step in backend.pull(name)]


def authorizations(server):
    return {asked.headers.get("authorization") for asked in server.asked}


async def test_the_key_for_ollama_com_is_shown_to_nobody_else(server, monkeypatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "secret-of-the-cloud")
    backend = at(server.url)
    await backend.models()
    await hear(backend)
    server.library["x"] = []
    await pull(backend, "x")
    assert authorizations(server) == {None}


async def test_a_key_that_the_config_names_is_sent(server, monkeypatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "secret-of-the-cloud")
    monkeypatch.setenv("BOX_KEY", " secret-of-the-box\n")
    await at(server.url, api_key_env="BOX_KEY").models()
    assert authorizations(server) == {"Bearer secret-of-the-box"}


async def test_a_user_in_the_url_is_let_in(server):
    await at(server.url.replace("//", "//me:p%40ss@")).models()
    assert authorizations(server) == {"Basic bWU6cEBzcw=="}


@pytest.mark.parametrize(("value", "says"), [(None, "is empty."), ("", "is empty."), ("se\ncret", "characters")])
async def test_a_key_that_is_missing_or_broken_is_said_without_showing_it(server, monkeypatch, value, says):
    if value is not None:
        monkeypatch.setenv("BOX_KEY", value)
    with pytest.raises(ArenaError) as caught:
        await at(server.url, api_key_env="BOX_KEY").models()
    assert says in caught.value.sentence
    assert "BOX_KEY" in caught.value.sentence
    assert "cret" not in str(caught.value)
    assert caught.value.hint
    assert not server.asked


# Nothing that a server says back tells it


async def fault_of(doing):
    with pytest.raises(ArenaError) as caught:
        await doing
    return caught.value


def told(fault):
    return " ".join((str(fault), fault.sentence, fault.hint, *map(str, fault.args)))


@pytest.mark.parametrize("said", [json.dumps({"error": ECHO}), ECHO, f"{'x' * 150}{KEY}"])
@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
async def test_a_refusal_that_says_the_key_is_told_without_it(server, status, said):
    server.pages["/api/tags"] = (status, "application/json", said.encode())
    fault = await fault_of(at(server.url, api_key_env="DESK_KEY").models())
    assert str(status) in fault.sentence
    assert "sk-very" not in told(fault)


async def test_a_key_in_other_letters_of_json_is_not_told(server):
    spelled = "".join(f"\\u{ord(each):04x}" for each in KEY)
    server.pages["/api/tags"] = (401, "application/json", f'{{"error": "Bearer {spelled}"}}'.encode())
    fault = await fault_of(at(server.url, api_key_env="DESK_KEY").models())
    assert fault.sentence == "ollama does not let arena in (401): Bearer [key]."


@pytest.mark.parametrize(
    "said",
    [ECHO, "[" + json.dumps(ECHO), f"{'x' * 50}{KEY}", json.dumps({"models": KEY}), json.dumps({"models": [KEY]})],
)
async def test_nonsense_that_holds_the_key_is_told_without_it(server, said):
    server.pages["/api/tags"] = (200, "application/json", said.encode())
    fault = await fault_of(at(server.url, api_key_env="DESK_KEY").models())
    assert fault.sentence.startswith("ollama sent something that is no answer: ")
    assert "sk-very" not in told(fault)
    assert KEY[-8:] not in told(fault)


@pytest.mark.parametrize("said", [ECHO, f"CUDA out of memory {KEY}", f"{'x' * 150}{KEY}"])
async def test_an_answer_that_breaks_off_with_the_key_is_told_without_it(server, said):
    server.models["m:1"].fault, server.models["m:1"].fault_at = said, 1
    fault = await fault_of(hear(at(server.url, api_key_env="DESK_KEY")))
    assert "ollama" in fault.sentence
    assert "sk-very" not in told(fault)


async def test_a_fetch_that_fails_with_the_key_is_told_without_it(server):
    line = json.dumps({"error": f"{'x' * 150}{KEY}"}).encode()
    server.pages["/api/pull"] = (200, "application/x-ndjson", line)
    fault = await fault_of(pull(at(server.url, api_key_env="DESK_KEY"), "x"))
    assert fault.sentence.startswith("ollama could not fetch x: ")
    assert "sk-very" not in told(fault)


@pytest.mark.parametrize("said", ["bWU6aHVudEByMg==", "hunt%40r2", "hunt@r2"])
async def test_the_password_of_the_url_is_told_in_no_spelling(server, said):
    server.pages["/api/tags"] = (401, "text/plain", f"wrong: {said}".encode())
    fault = await fault_of(at(server.url.replace("//", "//me:hunt%40r2@")).models())
    assert fault.sentence == "ollama does not let arena in (401): wrong: [key]."


# What the environment says is not read behind arena's back

ASK = """
import asyncio, os, sys
from arena.backends.discovery import endpoints
from arena.backends.ollama import OllamaBackend
from arena.backends.ollama_wire import OllamaWire
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import ArenaError

before = dict(os.environ)
mine = Endpoint(sys.argv[1], Wire.OLLAMA, sys.argv[2])

async def ask(endpoint):
    backend = OllamaBackend(endpoint)
    try:
        print(endpoint.name, [info.ref.name for info in await backend.models()])
    except ArenaError as fault:
        print(endpoint.name, fault)
    await backend.close()

async def ask_all():
    await asyncio.gather(*(ask(each) for each in endpoints([mine], usual=False)))

print(OllamaWire(mine).fault(ValueError("nonsense")))
assert "ollama" not in sys.modules, "a fault needs no package that was not loaded"
asyncio.run(ask_all())
assert dict(os.environ) == before, "what was set stays set"
"""


def asked(name, url, **environ):
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, name, url], env=kept | environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "environ",
    [
        {"OLLAMA_HOST": "::1"},
        {"OLLAMA_HOST": "box:port"},
        {"ALL_PROXY": "socks9://box"},
        {"SSL_CERT_FILE": "/no/such/file"},
    ],
    ids=str,
)
def test_what_the_package_of_ollama_can_not_read_keeps_nobody_from_asking(server, environ):
    assert "ollama ['m:1']" in asked("ollama", server.url, **environ)


@pytest.mark.parametrize("host", ["box:99999", "box:port", "[::1", "me:hunter2@box:99999"])
def test_a_host_that_is_none_is_said_and_the_others_go_on(server, host):
    lines = asked("desk", server.url, OLLAMA_HOST=host)
    assert "desk ['m:1']" in lines
    assert "ollama The url of ollama is no address of a server. Write it as http://HOST:PORT." in lines
    assert "hunter2" not in lines


# Who is trusted


@pytest.mark.parametrize("url", ["http://box", "https://box", "HTTPS://box", "HTTP://box", " https://box", "box:1"])
def test_no_certificate_goes_unchecked(url):
    context = http.client_options(Endpoint("box", Wire.OLLAMA, url))["verify"]
    assert (context.verify_mode.name, context.check_hostname) == ("CERT_REQUIRED", True)


def test_a_port_that_is_none_is_refused_before_it_is_dialled():
    with pytest.raises(httpx.InvalidURL):
        http.client_options(Endpoint("box", Wire.OPENAI, "http://127.0.0.1:99999/v1"))


# Who speaks which wire


@pytest.mark.parametrize(
    ("name", "url", "hinted"),
    [
        ("ollama", "http://box:8000", True),
        ("my-Ollama", "http://box", True),
        ("box", "http://box:11434/v1", True),
        ("box", "http://box:8000/v1", False),
        ("box", "http://[::1", False),
    ],
)
def test_who_seems_to_be_ollama_is_hinted_to_be(name, url, hinted):
    endpoint = Endpoint(name, Wire.OPENAI, url)
    faults = [http.page_fault(endpoint), http.garbage_fault(endpoint, "x")]
    if "[" not in url:
        faults.append(http.status_fault(404, "", endpoint))
    assert {'kind = "ollama"' in fault.hint for fault in faults} == {hinted}
    assert all(fault.hint for fault in faults)
