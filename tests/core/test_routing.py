"""Which upstream, and which URL."""

import pytest

from proxy.config import NamedUpstream
from proxy.core.routing import Destination, Routes, is_chat, model_of, origin_form, target_url


@pytest.mark.parametrize(
    ("raw_path", "url"),
    [
        ("/v1/models", "https://api.example/base/v9/models"),
        ("/openai/v1/models", "https://api.example/base/v9/models"),
        ("/v1", "https://api.example/base/v9"),
        ("/v1/", "https://api.example/base/v9/"),
        ("/v1?a=1", "https://api.example/base/v9?a=1"),
        ("/v1/models/org%2Fmodel%3Atag?x=a%2Fb&flag&e=", "https://api.example/base/v9/models/org%2Fmodel%3Atag?x=a%2Fb&flag&e="),
        ("/v1beta/models", "https://api.example/v1beta/models"),
        ("/openai/deployments/x/chat/completions?v=1", "https://api.example/openai/deployments/x/chat/completions?v=1"),
        ("/", "https://api.example/"),
        ("//double//slash", "https://api.example//double//slash"),
    ],
)
@pytest.mark.parametrize("base_url", ["https://api.example/base/v9", "https://api.example/base/v9/"])
def test_our_base_path_stands_for_the_base_url_and_other_paths_for_its_origin(base_url, raw_path, url):
    assert target_url(base_url, raw_path) == url


@pytest.mark.parametrize(
    ("target", "path"),
    [("/v1/models?a", "/v1/models?a"), ("http://proxy:8080/v1/models?a", "/v1/models?a"), ("http://proxy", "/"), ("*", "/")],
)
def test_a_request_target_with_scheme_and_host_is_reduced_to_its_path(target, path):
    assert origin_form(target) == path


GROQ = NamedUpstream("groq", "https://api.groq.com/openai/v1", prefix="/groq")
LOCAL = NamedUpstream("local", "http://127.0.0.1:11434/v1", models=("llama*", "qwen3:?b"))
ROUTES = Routes("https://api.openai.com/v1", [GROQ, LOCAL])


@pytest.mark.parametrize(
    ("raw_path", "model", "destination"),
    [
        ("/v1/models", None, Destination("default", "https://api.openai.com/v1/models")),
        ("/v1/embeddings", "text-embedding-3", Destination("default", "https://api.openai.com/v1/embeddings")),
        ("/groq/v1/models?a=1", None, Destination("groq", "https://api.groq.com/openai/v1/models?a=1")),
        ("/groq/openai/v1/models", "llama3", Destination("groq", "https://api.groq.com/openai/v1/models")),
        ("/groqqy/v1", None, Destination("default", "https://api.openai.com/groqqy/v1")),
        ("/v1/chat/completions", "llama3.2:latest", Destination("local", "http://127.0.0.1:11434/v1/chat/completions")),
        ("/v1/chat/completions", "qwen3:8b", Destination("local", "http://127.0.0.1:11434/v1/chat/completions")),
        ("/v1/chat/completions", "Llama", Destination("default", "https://api.openai.com/v1/chat/completions")),
        ("http://proxy/groq/v1/models", None, Destination("groq", "https://api.groq.com/openai/v1/models")),
    ],
)
def test_the_prefix_decides_then_the_model_then_the_default(raw_path, model, destination):
    assert ROUTES.choose(raw_path, model) == destination


def test_bodies_are_only_looked_into_if_a_model_can_make_a_difference():
    assert (ROUTES.reads_models, Routes("https://a/v1", [GROQ]).reads_models) == (True, False)


@pytest.mark.parametrize(
    ("method", "raw_path", "expected"),
    [
        ("POST", "/v1/chat/completions", True),
        ("POST", "/v1/chat/completions/", True),
        ("POST", "/v1/chat/completions?a=/x", True),
        ("POST", "/openai/deployments/gpt-4o/chat/completions?api-version=1", True),
        ("GET", "/v1/chat/completions", False),
        ("OPTIONS", "/v1/chat/completions", False),
        ("POST", "/v1/chat/completions/abc", False),
        ("POST", "/v1/completions", False),
        ("POST", "/v1/models?x=/chat/completions", False),
    ],
)
def test_a_chat_is_a_post_to_chat_completions_under_any_prefix(method, raw_path, expected):
    assert is_chat(method, raw_path) is expected


@pytest.mark.parametrize(
    ("body", "model"),
    [(b'{"model":"m"}', "m"), (b'{"model":1}', None), (b"{}", None), (b"[]", None), (b"\x00", None), (b"", None)],
)
def test_the_model_of_a_body_is_a_text_or_nothing(body, model):
    assert model_of(body) == model


def test_every_upstream_has_a_name():
    assert (Routes("https://a/v1").names, Routes("https://a/v1", [GROQ]).names) == (["default"], ["default", GROQ.name])
