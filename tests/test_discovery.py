"""Which servers are asked: configured ones, the environment's, the usual loopback ports, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from arena.backends import http
from arena.backends.discovery import endpoints, ollama_url
from arena.config import load
from arena.core.endpoints import Endpoint, Reached, Wire, down
from arena.core.errors import NotThereError, UsageError
from openai_server import OpenAIServer

USUAL = Endpoint("vllm", Wire.OPENAI, "http://127.0.0.1:8000/v1", wanted=False)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - where a server listens
        (":1234", "http://127.0.0.1:1234"),
        ("desk:1234", "http://desk:1234"),
        ("http://desk", "http://desk:80"),
        ("https://desk/ollama/", "https://desk:443/ollama"),
        ("[::1]:11435", "http://[::1]:11435"),
        (" example.com ", "http://example.com:11434"),
        ("::1", "http://[::1]:11434"),
        ("::", "http://[::1]:11434"),
        ("fe80::1/ollama", "http://[fe80::1]:11434/ollama"),
        ("http://::1", "http://[::1]:80"),
        ("HTTPS://box", "https://box:443"),
        ("Http://box:1", "http://box:1"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(host, url):
    assert ollama_url(host) == url


@pytest.mark.parametrize("host", ["box:99999", "box:port", "::1:11434", "[::1", "http://box:65536"])
def test_an_ollama_host_that_is_none_stays_an_endpoint_that_says_so(host):
    with pytest.raises(ValueError):  # noqa: PT011 - of the standard library
        ollama_url(host)
    by_name = {each.name: each for each in endpoints([], {"OLLAMA_HOST": host})}
    assert by_name["ollama"].wanted
    assert len(by_name) == 7


def test_the_password_of_an_ollama_host_that_is_none_is_not_shown():
    (endpoint,) = endpoints([], {"OLLAMA_HOST": "me:hunter2@box:99999"}, usual=False)
    assert "hunter2" not in f"{endpoint} {endpoint.shown_url}"


def test_only_loopback_is_looked_at_unless_the_user_named_a_host():
    found = endpoints([], {})
    assert {each.name for each in found} >= {"ollama", "lmstudio", "llama-server", "vllm", "gpt4all"}
    assert all(each.local and not each.wanted for each in found)
    assert len({each.url for each in found}) == len(found)


def test_discovery_can_be_turned_off():
    assert endpoints([], {}, usual=False) == []


def test_the_users_word_goes_before_the_usual_port():
    mine = Endpoint("vllm", Wire.OPENAI, "http://cluster:8000/v1")
    found = endpoints([mine], {"OLLAMA_HOST": "desk"})
    by_name = {each.name: each for each in found}
    assert by_name["vllm"] == mine
    assert by_name["ollama"].url == "http://desk:11434"
    assert by_name["ollama"].wanted


def test_one_address_is_asked_once():
    mine = Endpoint("mine", Wire.OLLAMA, "http://localhost:11434")
    found = endpoints([mine], {})
    assert [each.name for each in found if ":11434" in each.url] == ["mine"]


def test_what_is_configured_is_asked_in_any_case():
    mine = [
        Endpoint("one", Wire.OPENAI, "http://gate:8000/one/v1"),
        Endpoint("two", Wire.OPENAI, "http://gate:8000/two/v1"),
        Endpoint("near", Wire.OLLAMA, "http://localhost:11434"),
        Endpoint("near-too", Wire.OPENAI, "http://127.0.0.1:11434/v1"),
    ]
    found = endpoints(mine, {"OLLAMA_HOST": "127.0.0.1", "OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"})
    assert found[:4] == mine
    assert {"ollama", "openai"} & {each.name for each in found} == set()


@pytest.mark.parametrize(
    ("url", "taken"), [("http://127.0.0.1:9/v1", True), ("https://api.example.com/v1", False), ("", False)]
)
def test_openai_base_url_counts_only_on_this_machine(url, taken):
    found = endpoints([], {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-secret"})
    assert ("openai" in {each.name for each in found}) is taken
    assert "sk-secret" not in repr(found)


def test_the_port_of_llama_server_comes_from_its_own_variable():
    by_name = {each.name: each for each in endpoints([], {"LLAMA_ARG_PORT": "8123"})}
    assert by_name["llama-server"].url == "http://127.0.0.1:8123/v1"


@pytest.mark.parametrize("port", ["65536", "0", "9" * 5000, "-1", "eight", "²"])
def test_a_port_that_is_none_is_left_out(port):
    by_name = {each.name: each for each in endpoints([], {"LLAMA_ARG_PORT": port})}
    assert by_name["llama-server"].url == "http://127.0.0.1:8080/v1"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9:1", True),
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("http://192.168.1.5:1", False),
        ("http://localhost.example.com:1", False),
        ("http://[::1", False),
    ],
)
def test_what_is_local(url, local):
    assert Endpoint("x", Wire.OPENAI, url).local is local


def test_an_address_is_shown_without_its_password():
    shown = Endpoint("x", Wire.OPENAI, "http://me:secret@host:8000/v1?key=secret").shown_url
    assert shown == "http://host:8000/v1"


def test_what_is_down_is_said_shortly():
    fault = NotThereError("Nothing listens.", "Start it.")
    mine = Endpoint("desk", Wire.OLLAMA, "http://desk:1")
    usual = endpoints([], {})
    lines = down([Reached("desk", (), fault, mine), *(Reached(each.name, (), fault, each) for each in usual)])
    assert lines[0] == "desk: Nothing listens. Start it."
    assert len(lines) == 2
    assert "gpt4all" in lines[1]


@pytest.mark.parametrize(
    "fault",
    [
        http.status_fault(401, "", USUAL),
        http.status_fault(503, "", USUAL),
        http.transport_fault(httpx.ReadTimeout(""), USUAL, listing=True),
        http.garbage_fault(USUAL, "hm"),
    ],
    ids=lambda fault: fault.sentence,
)
def test_who_runs_but_does_not_answer_is_not_said_to_be_missing(fault):
    (line,) = down([Reached("vllm", (), fault, USUAL)])
    hint = "To ask it, name it under [endpoints.vllm] in the config, with api_key_env if it wants a key."
    assert line == f"vllm: {fault.sentence} {hint}"


@pytest.mark.parametrize(
    "fault",
    [
        http.transport_fault(httpx.ConnectError("refused"), USUAL),
        http.page_fault(USUAL),
        http.status_fault(404, "", USUAL),
        http.status_fault(302, "", USUAL),
    ],
    ids=lambda fault: fault.sentence,
)
def test_a_strangers_server_on_a_usual_port_is_not_worth_a_line(fault):
    assert down([Reached("vllm", (), fault, USUAL)]) == ["Not running on their usual ports: vllm."]
    mine = replace(USUAL, wanted=True)
    assert down([Reached("vllm", (), fault, mine)]) == [f"vllm: {fault}"]


def config(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load(path, environ={})


def test_endpoints_are_read_from_the_config(tmp_path):
    settings = config(
        tmp_path,
        """
discover = false
[endpoints.desk]
kind = "ollama"
url = "http://desk:11434/"
[endpoints.cluster]
url = "https://cluster:8000/v1"
api_key_env = "CLUSTER_KEY"
silence_s = 300
""",
    )
    assert not settings.discover
    desk, cluster = settings.endpoints
    assert (desk.name, desk.wire, desk.url, desk.silence_s) == ("desk", Wire.OLLAMA, "http://desk:11434", 120.0)
    assert (cluster.wire, cluster.api_key_env, cluster.silence_s) == (Wire.OPENAI, "CLUSTER_KEY", 300.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[endpoints.desk]\nurl = "desk:11434"', "url can't be"),
        ("[endpoints.desk]\nurl = 5", "must be text"),
        ('[endpoints.desk]\nurl = "http://desk:0"', "url can't be 'http://desk:0': that port is none. A port is"),
        ('[endpoints.desk]\nurl = "http://desk:65536/v1"', "that port is none"),
        ('[endpoints.desk]\nurl = "http://desk:port"', "that port is none"),
        ('[endpoints.desk]\nurl = "http://:80"', "url can't be"),
        ('[endpoints.desk]\nurl = "http://[::1"', "url can't be"),
        ('[endpoints.desk]\nurl = "http://desk"\nkind = "tgi"', "ollama, or openai"),
        ('[endpoints.desk]\nurl = "http://desk"\nsilence_s = 0', "silence_s"),
        ('[endpoints.desk]\nurl = "http://desk"\nuri = "x"', "Did you mean url"),
        ('[endpoints.desk]\nurl = "http://desk"\napi_key = "sk-123"', "does not belong in a file"),
        ('[endpoints.demo]\nurl = "http://desk"', "can't be called"),
        ('[endpoints."a b"]\nurl = "http://desk"', "can't be called"),
        ('endpoints = "http://desk"', "must be a table"),
        ("discover = 1", "true or false"),
    ],
)
def test_a_wrong_endpoint_is_said_with_file_and_line(tmp_path, text, says):
    with pytest.raises(UsageError) as caught:
        config(tmp_path, text)
    assert says in str(caught.value)
    assert "config.toml, line" in str(caught.value)
    assert "sk-123" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ['"user:hunter2@box"', '"http://me:hunter2@"', '"http://me:hunter2@box:0"', '["http://me:hunter2@box"]']
)
def test_the_password_of_a_wrong_url_is_not_shown(tmp_path, url):
    with pytest.raises(UsageError) as caught:
        config(tmp_path, f"[endpoints.desk]\nurl = {url}")
    assert "url" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_does_not_show_its_password(tmp_path):
    settings = config(tmp_path, '[endpoints.desk]\nurl = "HTTPS://me:hunter2@Box:1/v1/"')
    assert settings.endpoints[0].url == "https://me:hunter2@Box:1/v1"
    assert "hunter2" not in repr(settings)


async def test_a_closed_port_is_known_without_a_client():
    closed = replace(endpoints([], {})[0], url="http://127.0.0.1:1")
    with pytest.raises(NotThereError, match="Nothing listens at"):
        await http.knock(closed)


async def test_an_open_port_is_known_too():
    with OpenAIServer("vllm") as server:
        await http.knock(Endpoint("vllm", Wire.OPENAI, server.url, wanted=False))
