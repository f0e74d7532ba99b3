"""Which servers are asked: configured ones, the environment's, the usual loopback ports, and nothing else."""

from __future__ import annotations

import pytest

from arena.backends.discovery import endpoints, ollama_url
from arena.config import load
from arena.core.endpoints import Endpoint, Reached, Wire, down
from arena.core.errors import ArenaError, UsageError


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
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(host, url):
    assert ollama_url(host) == url


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
    fault = ArenaError("Nothing listens.", "Start it.")
    mine = Endpoint("desk", Wire.OLLAMA, "http://desk:1")
    usual = endpoints([], {})
    lines = down([Reached("desk", (), fault, mine), *(Reached(each.name, (), fault, each) for each in usual)])
    assert lines[0] == "desk: Nothing listens. Start it."
    assert len(lines) == 2
    assert "gpt4all" in lines[1]


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
