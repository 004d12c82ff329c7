"""Where values come from, which ones win, and what a mistake is told."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from proxy.config import (
    Auth,
    Client,
    ClientKeys,
    Config,
    Identity,
    Listen,
    Log,
    NamedUpstream,
    Recall,
    Store,
    as_dict,
    check_reach,
    client_keys,
    load,
    render,
)
from proxy.errors import ConfigError


def configure(tmp_path, text, environ=None, **flags):
    path = tmp_path / "proxy.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=environ or {}, overrides=flags)


def complaint(text, tmp_path):
    """What is said about a file that holds *text*, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        configure(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path / 'proxy.yaml'}: ")


def env_complaint(name, text):
    with pytest.raises(ConfigError) as caught:
        load(None, environ={name: text})
    return str(caught.value)


class TestPrecedence:
    def test_without_anything_the_defaults_hold(self):
        assert load(None, environ={}) == Config()

    def test_an_empty_file_and_empty_sections_are_the_defaults(self, tmp_path):
        assert configure(tmp_path, "") == configure(tmp_path, "# nothing yet\nlisten:\nupstreams:\n") == Config()

    def test_flags_win_over_environment_over_file_over_default(self, tmp_path):
        environ = {"MEMORY_PROXY_LISTEN__PORT": "2", "MEMORY_PROXY_LISTEN__HOST": "env"}
        config = configure(tmp_path, "listen: {port: 1, host: file, grace_s: 9}", environ, **{"listen.port": "3"})
        assert config.listen == Listen(host="env", port=3, grace_s=9.0)

    def test_a_flag_that_was_not_given_changes_nothing(self):
        assert load(None, environ={}, overrides={"listen.port": None, "store.path": None}) == Config()

    def test_a_flag_may_be_a_number_already(self):
        assert load(None, environ={}, overrides={"listen.port": 9000}).listen.port == 9000

    def test_setting_one_option_leaves_the_rest_of_its_section(self, tmp_path):
        config = configure(tmp_path, "recall: {limit: 3}", {"MEMORY_PROXY_RECALL__MIN_SCORE": "0.5"})
        assert config.recall == Recall(limit=3, min_score=0.5)

    def test_the_process_environment_is_read_by_default(self, monkeypatch):
        monkeypatch.setenv("MEMORY_PROXY_STORE__PATH", "elsewhere")
        assert load(None).store.path == "elsewhere"


class TestKept:
    """What a running proxy was told to keep."""

    def keep(self, tmp_path, text):
        (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
        return {"MEMORY_PROXY_STORE__PATH": str(tmp_path)}

    def test_it_lies_above_the_file_and_below_the_environment(self, tmp_path):
        environ = self.keep(tmp_path, "recall: {limit: 8, turn_limit: 9}\nlog:\n  level: debug\n")
        config = configure(tmp_path, "recall: {limit: 2, keep_s: 1}", environ | {"MEMORY_PROXY_RECALL__TURN_LIMIT": "1"})
        assert (config.recall, config.log) == (Recall(limit=8, keep_s=1, turn_limit=1), Log(level="debug"))

    def test_the_file_may_say_where_it_lies(self, tmp_path):
        self.keep(tmp_path, "recall: {limit: 8}")
        assert configure(tmp_path, f"store: {{path: '{tmp_path}'}}").recall.limit == 8

    @pytest.mark.parametrize("text", ["", "# nothing\n", "recall:\n"])
    def test_it_may_be_empty(self, tmp_path, text):
        assert load(None, environ=self.keep(tmp_path, text)) == Config(store=Store(path=str(tmp_path)))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("recall: {limit: 51}", "recall.limit: '51' is not allowed; use 1 to 50"),
            ("recall: {enabled: false}", "recall.enabled: can't be changed while the proxy runs, only before it starts"),
            ("upstreams: []", "upstreams: can't be changed while the proxy runs, only before it starts"),
            ("log: debug", "log: must be a mapping, not 'debug'"),
            ("[", "is not YAML: line 1: expected the node content, but found '<stream end>'"),
            ("5", "must be a mapping of sections, not '5'"),
        ],
    )
    def test_a_mistake_names_it(self, tmp_path, text, said):
        with pytest.raises(ConfigError) as caught:
            load(None, environ=self.keep(tmp_path, text))
        assert str(caught.value) == f"{tmp_path / 'settings.yaml'}: {said}"

    def test_one_that_can_t_be_read_stops_no_start(self, tmp_path):
        (tmp_path / "settings.yaml").mkdir()
        assert load(None, environ={"MEMORY_PROXY_STORE__PATH": str(tmp_path)}).recall == Recall()

    def test_a_store_that_is_no_folder_has_none(self, tmp_path):
        (tmp_path / "file").touch()
        assert load(None, environ={"MEMORY_PROXY_STORE__PATH": str(tmp_path / "file")}).recall == Recall()


class TestEnvironment:
    @pytest.mark.parametrize(
        "name",
        ["MEMORY_PROXY_PORT", "MEMORY_PROXY_SERVICE_HOST", "MEMORY_PROXY_PORT_8080_TCP_ADDR", "OTHER_LISTEN__PORT", "PATH"],
    )
    def test_names_that_are_not_ours_are_left_alone(self, name):
        assert load(None, environ={name: "tcp://10.0.0.1:8080"}) == Config()

    def test_an_empty_variable_sets_nothing(self):
        assert load(None, environ={"MEMORY_PROXY_LISTEN__PORT": "", "MEMORY_PROXY_STORE__API_KEY": " "}) == Config()

    def test_a_key_keeps_its_zeros_and_loses_the_newline_of_its_secret_file(self):
        assert load(None, environ={"MEMORY_PROXY_STORE__API_KEY": "00123\n"}).store.api_key == "00123"

    @pytest.mark.parametrize("text", ["yes", "a: b", "#hash", "@x", "2026-01-01", "1e5", "[x"])
    def test_a_text_is_taken_as_it_is(self, text):
        assert load(None, environ={"MEMORY_PROXY_IDENTITY__DEFAULT_USER": text}).identity.default_user == text

    def test_the_list_of_upstreams_is_one_yaml_value(self, tmp_path):
        text = "[{name: groq, base_url: https://api.groq.com/openai/v1, models: [llama-*, 'qwen*']}]"
        file = "upstreams: [{name: local, base_url: http://127.0.0.1:11434/v1, prefix: /local}]"
        expected = (NamedUpstream("groq", "https://api.groq.com/openai/v1", models=("llama-*", "qwen*")),)
        assert configure(tmp_path, file, {"MEMORY_PROXY_UPSTREAMS": text}).upstreams == expected
        assert configure(tmp_path, file, {"MEMORY_PROXY_UPSTREAMS": "[]"}).upstreams == ()

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("LISTEN__PROT", "1", "listen.prot: unknown option; allowed here: host, port, grace_s, tls_certificate, tls_key"),
            (
                "LISTEN__PORT__X",
                "1",
                "listen.port.x: unknown option; allowed here: host, port, grace_s, tls_certificate, tls_key",
            ),
            ("LISTEN__PORT", "http", "listen.port: 'http' is not allowed; use a whole number"),
            ("LOG__LEVEL", "loud", "log.level: 'loud' is not allowed; use one of debug, info, warning, error"),
            ("UPSTREAMS__0", "x", "upstreams: must be a list, not a mapping"),
            ("UPSTREAMS", "groq", "upstreams: must be a list, not 'groq'"),
            ("UPSTREAMS", "[groq]", "upstreams[0]: must be a mapping, not 'groq'"),
        ],
    )
    def test_a_mistake_names_the_variable_and_the_option(self, name, text, said):
        assert env_complaint(f"MEMORY_PROXY_{name}", text) == f"MEMORY_PROXY_{name}: {said}"

    def test_an_unknown_section_is_told_which_there_are(self):
        sections = ", ".join(f.name for f in dataclasses.fields(Config))
        assert env_complaint("MEMORY_PROXY_LISTN__PORT", "1") == (
            f"MEMORY_PROXY_LISTN__PORT: listn: unknown option; allowed here: {sections}"
        )

    def test_a_list_that_is_not_yaml_is_told_so(self):
        assert env_complaint("MEMORY_PROXY_UPSTREAMS", "[{").startswith("MEMORY_PROXY_UPSTREAMS: is not YAML: line 1: ")


class TestValues:
    @pytest.mark.parametrize("text", ["false", "no", "off", "False", '"false"'])
    def test_a_switch_reads_the_words_of_yaml(self, text, tmp_path):
        assert configure(tmp_path, f"recall: {{enabled: {text}}}").recall.enabled is False

    def test_quoted_numbers_are_numbers_and_whole_numbers_are_fractions(self, tmp_path):
        config = configure(tmp_path, 'listen: {port: "80", grace_s: 5}')
        assert (config.listen.port, config.listen.grace_s, type(config.listen.grace_s)) == (80, 5.0, float)

    @pytest.mark.parametrize("text", ["null", "~", ""])
    def test_nothing_is_written_as_yaml_writes_it(self, text, tmp_path):
        assert configure(tmp_path, f"store: {{api_key: {text}}}", {}).store == Store()

    def test_a_choice_may_be_shouted(self):
        assert load(None, environ={"MEMORY_PROXY_LOG__LEVEL": "DEBUG"}).log.level == "debug"

    def test_an_address_loses_its_closing_slash(self):
        assert (
            load(None, environ={}, overrides={"upstream.base_url": "http://[::1]:9/v1/"}).upstream.base_url == "http://[::1]:9/v1"
        )

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("listen: {port: 65536}", "listen.port: '65536' is not allowed; use 0 to 65535"),
            ("listen: {port: -1}", "listen.port: '-1' is not allowed; use 0 to 65535"),
            ("listen: {port: true}", "listen.port: 'true' is not allowed; use a whole number"),
            ("listen: {port: 80.0}", "listen.port: '80.0' is not allowed; use a whole number"),
            ("listen: {port: }", "listen.port: '' is not allowed; use a whole number"),
            ("listen: {grace_s: soon}", "listen.grace_s: 'soon' is not allowed; use a number"),
            ("listen: {grace_s: .inf}", "listen.grace_s: '.inf' is not allowed; use a number"),
            ("listen: {grace_s: nan}", "listen.grace_s: 'nan' is not allowed; use a finite number"),
            ("listen: {grace_s: -0.1}", "listen.grace_s: '-0.1' is not allowed; use 0 or more"),
            ("recall: {enabled: 1}", "recall.enabled: '1' is not allowed; use true or false"),
            ("recall: {min_score: 1.01}", "recall.min_score: '1.01' is not allowed; use 0 to 1"),
            ("store: {kind: lance}", "store.kind: 'lance' is not allowed; use one of edge, qdrant"),
            ("store: {kind: [edge]}", "store.kind: must be one value, not a list"),
            ("store: {path: {a: b}}", "store.path: must be one value, not a mapping"),
            (
                "identity: {default_user: ''}",
                "identity.default_user: '' is not allowed; use a text of at least one character and none that controls",
            ),
            (
                'identity: {default_user: "a\\x1fb"}',
                "identity.default_user: 'a\\x1fb' is not allowed; use a text of at least one character and none that controls",
            ),
            ("recall: [limit]", "recall: must be a mapping, not a list"),
            ("recall: 5", "recall: must be a mapping, not '5'"),
            (
                "recall: {limits: 5}",
                "recall.limits: unknown option; allowed here: enabled, limit, min_score, token_budget, profile_token_budget, facts_token_budget, keep_turns, show_turns, turn_limit, turn_token_budget, turn_days, deadline_ms, keep_s, retry_s, dense_weight, memory_weight, session_weight, importance_weight, recency_weight, recency_days",
            ),
        ],
    )
    def test_a_mistake_is_told_with_its_path_and_what_is_allowed(self, text, said, tmp_path):
        assert complaint(text, tmp_path) == said

    @pytest.mark.parametrize(
        "url",
        [
            "api.openai.com/v1",
            "ftp://host/v1",
            "http://",
            "http://host:99999",
            "http://[::1",
            "http://me:secret@host/v1",
            "https://host/v1?key=1",
            "https://host/v1#top",
            "https://ho st/v1",
            "",
        ],
    )
    @pytest.mark.parametrize("option", ["upstream.base_url", "store.url", "embedding.url"])
    def test_an_address_is_http_and_bare(self, option, url):
        with pytest.raises(ConfigError) as caught:
            load(None, environ={}, overrides={option: url})
        assert str(caught.value) == (
            f"command line: {option}: {url!r} is not allowed; use an http:// or https:// address without user, query or fragment"
        )


class TestUpstreams:
    def test_they_are_read_in_order(self, tmp_path):
        text = """
        upstreams:
          - {name: groq, base_url: https://api.groq.com/openai/v1/, prefix: /groq}
          - name: local
            base_url: http://127.0.0.1:11434/v1
            models: [llama*, 8]
        """
        assert configure(tmp_path, text).upstreams == (
            NamedUpstream("groq", "https://api.groq.com/openai/v1", prefix="/groq"),
            NamedUpstream("local", "http://127.0.0.1:11434/v1", models=("llama*", "8")),
        )

    @pytest.mark.parametrize(
        ("items", "said"),
        [
            ("{}", "upstreams: must be a list, not a mapping"),
            ("[{}]", "upstreams[0]: needs name, base_url"),
            ("['']", "upstreams[0]: needs name, base_url"),
            ("[{name: a, base_url: http://a}]", "upstreams[0]: needs prefix or models"),
            ("[{name: a, base_url: http://a, models: []}]", "upstreams[0]: needs prefix or models"),
            ("[{name: a, base_url: http://a, models: gpt-*}]", "upstreams[0].models: must be a list, not 'gpt-*'"),
            (
                "[{name: a, base_url: http://a, models: [x, '']}]",
                "upstreams[0].models[1]: '' is not allowed; use a text of at least one character and none that controls",
            ),
            (
                "[{name: a, base_url: a, prefix: /a}]",
                "upstreams[0].base_url: 'a' is not allowed; use an http:// or https:// address without user, query or fragment",
            ),
            ("[{name: a, base_url: http://a, prefix: a}]", "upstreams[0].prefix: 'a' is not allowed; use a path such as /groq"),
            ("[{name: a, base_url: http://a, prefix: /}]", "upstreams[0].prefix: '/' is not allowed; use a path such as /groq"),
            (
                "[{name: a, base_url: http://a, prefix: /a}, {name: a, base_url: http://b, prefix: /b}]",
                "upstreams[1].name: 'a' is taken; use a name of its own",
            ),
            (
                "[{name: a, base_url: http://a, prefix: /a}, {name: b, base_url: http://b, prefix: /a}]",
                "upstreams[1].prefix: '/a' is taken by 'a'; use another",
            ),
            (
                "[{name: a, base_url: http://a, prefix: /a, model: x}]",
                "upstreams[0].model: unknown option; allowed here: name, base_url, prefix, models",
            ),
        ],
    )
    def test_a_mistake_is_told_with_its_place_in_the_list(self, items, said, tmp_path):
        assert complaint(f"upstreams: {items}", tmp_path) == said


class TestClients:
    SHOP = Client("shop", "SHOP_KEY")
    REPORTS = Client("reports", "REPORTS_KEY", tenant="shop", upstream_key_env="OPENAI_KEY", modes=("read", "off"))

    def test_they_are_read_in_order_from_the_file_or_the_environment(self, tmp_path):
        listed = """
          - {name: shop, key_env: SHOP_KEY}
          - {name: reports, key_env: REPORTS_KEY, tenant: shop, upstream_key_env: OPENAI_KEY, modes: [Read, off]}
        """
        expected = Auth(clients=(self.SHOP, self.REPORTS))
        assert configure(tmp_path, f"auth:\n  clients:{listed}").auth == expected
        assert load(None, environ={"MEMORY_PROXY_AUTH__CLIENTS": listed}).auth == expected

    @pytest.mark.parametrize(
        ("items", "said"),
        [
            ("shop", "auth.clients: must be a list, not 'shop'"),
            ("[{name: a}]", "auth.clients[0]: needs key_env"),
            (
                "[{name: a, key: sk-1}]",
                "auth.clients[0].key: unknown option; allowed here: name, key_env, tenant, upstream_key_env, modes",
            ),
            ("[{name: a, key_env: A, modes: []}]", "auth.clients[0].modes: is empty; leave it out to allow all"),
            (
                "[{name: a, key_env: A, modes: [on]}]",
                "auth.clients[0].modes[0]: 'on' is not allowed; use one of full, read, write, off",
            ),
            ("[{name: a, key_env: A}, {name: a, key_env: B}]", "auth.clients[1].name: 'a' is taken; use a name of its own"),
            ("[{name: a, key_env: A}, {name: b, key_env: A}]", "auth.clients[1].key_env: A is the key of 'a'; use another"),
        ],
    )
    def test_a_mistake_is_told_with_its_place_in_the_list(self, items, said, tmp_path):
        assert complaint(f"auth: {{clients: {items}}}", tmp_path) == said

    def test_their_keys_are_what_the_variables_hold(self):
        environ = {"SHOP_KEY": "k1\n", "REPORTS_KEY": "k2", "OPENAI_KEY": "sk-1"}
        assert client_keys(Auth(clients=(self.SHOP, self.REPORTS)), environ) == [
            ClientKeys(self.SHOP, "k1", None),
            ClientKeys(self.REPORTS, "k2", "sk-1"),
        ]

    @pytest.mark.parametrize(
        ("environ", "said"),
        [
            ({}, "auth.clients[0].key_env: there is no key in the environment variable SHOP_KEY; set it"),
            ({"SHOP_KEY": " "}, "auth.clients[0].key_env: there is no key in the environment variable SHOP_KEY; set it"),
            ({"SHOP_KEY": "k 1"}, "auth.clients[0].key_env: SHOP_KEY must hold one key, of ASCII characters without blanks"),
            (
                {"SHOP_KEY": "k\r\nX: 1"},
                "auth.clients[0].key_env: SHOP_KEY must hold one key, of ASCII characters without blanks",
            ),
            ({"SHOP_KEY": "é"}, "auth.clients[0].key_env: SHOP_KEY must hold one key, of ASCII characters without blanks"),
            (
                {"SHOP_KEY": "k", "REPORTS_KEY": "k", "OPENAI_KEY": "sk"},
                "auth.clients[1].key_env: REPORTS_KEY holds the same key as SHOP_KEY; use another",
            ),
            (
                {"SHOP_KEY": "k", "REPORTS_KEY": "l"},
                "auth.clients[1].upstream_key_env: there is no key in the environment variable OPENAI_KEY; set it",
            ),
        ],
    )
    def test_a_key_that_can_t_be_used_is_told_with_its_option_and_its_variable(self, environ, said):
        with pytest.raises(ConfigError) as caught:
            client_keys(Auth(clients=(self.SHOP, self.REPORTS)), environ)
        assert str(caught.value) == said

    def test_keys_are_not_shown(self):
        assert "sk-1" not in repr(client_keys(Auth(clients=(self.SHOP,)), {"SHOP_KEY": "sk-1"}))


class TestReach:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LocalHost"])
    def test_on_loopback_nobody_needs_a_key(self, host):
        check_reach(Config(listen=Listen(host=host)))

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "proxy.internal", "localhost.example.com"])
    def test_beyond_it_callers_must_be_kept_apart(self, host):
        listen = Listen(host=host)
        with pytest.raises(ConfigError) as caught:
            check_reach(Config(listen=listen))
        assert str(caught.value) == (
            f"listen.host: {host} can be reached from other machines, where each could name any user; "
            "set auth.clients (who may call, each with a key of the proxy's own) or identity.tenant: api_key "
            "(each caller's API key has its own memories), or listen on 127.0.0.1"
        )
        check_reach(Config(listen=listen, identity=Identity(tenant="api_key")))
        check_reach(Config(listen=listen, auth=Auth(clients=(Client("shop", "SHOP_KEY"),))))


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("listen: [", "is not YAML: line 1: expected the node content, but found '<stream end>'"),
            ("listen:\n  port: 1\n  port: 2\n", "is not YAML: line 3: 'port' is given twice"),
            ("log:\nlisten:\nlog:\n", "is not YAML: line 3: 'log' is given twice"),
            ("listen:\n\tport: 1", "is not YAML: line 2: found character '\\t' that cannot start any token"),
            ("- listen", "must be a mapping of sections, not a list"),
            ("listen", "must be a mapping of sections, not 'listen'"),
        ],
    )
    def test_a_file_that_is_not_a_configuration_is_told_so_in_one_line(self, text, said, tmp_path):
        assert complaint(text, tmp_path) == said

    def test_control_characters_are_told_in_one_line(self, tmp_path):
        said = complaint("listen: \x07", tmp_path)
        assert (said[:13], "\n" in said) == ("is not YAML: ", False)

    def test_a_missing_file_is_told_so(self, tmp_path):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "none.yaml", environ={})
        assert str(caught.value) == f"{tmp_path / 'none.yaml'}: can't be read: No such file or directory"

    def test_a_binary_file_is_told_so(self, tmp_path):
        (tmp_path / "proxy.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "proxy.yaml", environ={})
        assert str(caught.value) == f"{tmp_path / 'proxy.yaml'}: is not UTF-8 text"

    def test_tags_make_no_objects(self, tmp_path):
        config = configure(tmp_path, "store: {path: !!python/object/apply:os.getcwd [] }".replace("[] ", "x"))
        assert config.store.path == "x"


class TestSecrets:
    def test_they_are_masked_when_shown_and_kept_when_asked_for(self):
        config = load(None, environ={"MEMORY_PROXY_STORE__API_KEY": "sk-1"})
        shown, kept = as_dict(config), as_dict(config, mask_secrets=False)
        assert (shown["store"]["api_key"], kept["store"]["api_key"]) == ("********", "sk-1")
        assert shown["embedding"]["api_key"] is None
        assert "sk-1" not in render(config)

    def test_a_bad_one_is_not_repeated_in_the_complaint(self):
        assert env_complaint("MEMORY_PROXY_STORE__API_KEY", "sk-\x001") == (
            "MEMORY_PROXY_STORE__API_KEY: store.api_key: ******** is not allowed; "
            "use a text of at least one character and none that controls"
        )


def test_what_is_rendered_loads_as_the_same_configuration(tmp_path):
    config = load(
        None,
        environ={
            "MEMORY_PROXY_IDENTITY__DEFAULT_USER": "no",
            "MEMORY_PROXY_RECALL__MIN_SCORE": "1e-1",
            "MEMORY_PROXY_UPSTREAMS": "[{name: é, base_url: http://a, models: [gpt-*]}]",
        },
    )
    assert configure(tmp_path, render(config)) == config
    assert yaml.safe_load(render(config)) == as_dict(config)
