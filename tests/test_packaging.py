"""What an operator is given: the commented proxy.yaml, the wheel, the container's and the cluster's examples, the lock."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from proxy import resources
from proxy.config import Config, as_dict, check_reach, load

ROOT = Path(__file__).parent.parent


def options():
    """Every option as (section, key); ``upstreams``, a list, has no keys."""
    return [(section, key) for section, keys in as_dict(Config()).items() for key in keys or [None]]


class TestTheCommentedConfiguration:
    def test_it_is_the_defaults(self):
        assert load(ROOT / "proxy.yaml", environ={}) == Config()

    def test_it_has_every_option_in_order_and_no_other(self):
        found = yaml.safe_load((ROOT / "proxy.yaml").read_text(encoding="utf-8"))
        assert found == as_dict(Config())
        assert [(section, key) for section, keys in found.items() for key in keys or [None]] == options()

    def test_every_option_has_one_comment(self):
        lines = (ROOT / "proxy.yaml").read_text(encoding="utf-8").splitlines()
        bare = [line for line in lines if re.match(r"(  \w+|upstreams):", line) and not re.search(r"\S  +# \S", line)]
        assert bare == []

    def test_its_examples_are_such(self, tmp_path):
        text = (ROOT / "proxy.yaml").read_text(encoding="utf-8")
        examples = {}
        for comment, section in re.findall(r"((?:^#   .*\n)+)^(\w+):", text, re.MULTILINE):
            examples[section] = comment.replace("#  ", " ")
        written = f"upstreams:\n{examples['upstreams']}auth:\n  clients:\n{examples['auth']}"
        (tmp_path / "proxy.yaml").write_text(written, encoding="utf-8")
        config = load(tmp_path / "proxy.yaml", environ={})
        assert [each.name for each in config.upstreams] == ["groq", "local"]
        assert [(each.name, each.tenant, each.modes[0]) for each in config.auth.clients] == [
            ("shop", None, "full"),
            ("reports", "shop", "read"),
        ]


class TestResources:
    def test_a_checkout_reads_what_an_operator_edits(self):
        assert resources.default_config() == (ROOT / "proxy.yaml").read_text(encoding="utf-8")
        assert resources.prompt("extract") == (ROOT / "config/prompts/extract.txt").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built by the backend that is here, without a network."""
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


class TestTheWheel:
    def test_it_holds_the_package_and_its_defaults_and_nothing_else(self, wheel):
        names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
        kinds = (".py", ".typed", ".html", ".css")
        code = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("proxy/**/*.*") if path.suffix in kinds}
        prompts = {f"proxy/defaults/prompts/{path.name}" for path in ROOT.glob("config/prompts/*")}
        assert names == code | prompts | {"proxy/defaults/proxy.yaml"}

    def test_it_works_from_an_empty_folder(self, wheel, tmp_path):
        zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
        (tmp_path / "empty").mkdir()

        def run(*arguments):
            return subprocess.run(
                [sys.executable, *arguments],
                cwd=tmp_path / "empty",
                env={"PYTHONPATH": str(tmp_path / "installed")},
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            ).stdout

        assert run("-c", "import proxy; print(proxy.__file__)").strip() == str(tmp_path / "installed/proxy/__init__.py")
        assert yaml.safe_load(run("-m", "proxy", "config", "show")) == as_dict(Config())
        assert run("-m", "proxy", "config", "default") == resources.default_config()
        assert run("-c", "from proxy.resources import prompt; print(prompt('extract'))").strip() == resources.prompt("extract")
        assert run("-m", "proxy", "--help").startswith("usage: memory-proxy ")
        assert list((tmp_path / "empty").iterdir()) == []


class TestExamples:
    @pytest.mark.parametrize("name", ["Dockerfile", "config/compose.yaml", "config/kubernetes/sidecar.yaml"])
    def test_every_option_that_they_set_is_one(self, name):
        text = (ROOT / name).read_text(encoding="utf-8")
        named = re.findall(r"MEMORY_PROXY_([A-Z]+)__([A-Z_]+)", text)
        assert named
        assert [each for each in named if (each[0].lower(), each[1].lower()) not in options()] == []

    def test_their_values_are_allowed(self):
        compose = yaml.safe_load((ROOT / "config/compose.yaml").read_text(encoding="utf-8"))
        environ = {
            name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in compose["services"]["proxy"]["environment"].items()
        }
        assert load(None, environ=environ).store == dataclasses.replace(Config().store, kind="qdrant", url="http://qdrant:6333")

    def test_none_of_them_is_refused_for_whom_it_lets_in(self):
        image = re.findall(r"MEMORY_PROXY_(?:LISTEN|IDENTITY)__\w+=\S+", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
        config = load(None, environ=dict(each.split("=") for each in image))
        assert (config.listen.host, config.identity.tenant) == ("0.0.0.0", "api_key")
        check_reach(config)

    def test_the_sidecar_is_yaml_whose_app_talks_to_the_proxy_beside_it(self):
        deployment, claim = yaml.safe_load_all((ROOT / "config/kubernetes/sidecar.yaml").read_text(encoding="utf-8"))
        app, proxy = deployment["spec"]["template"]["spec"]["containers"]
        environ = {each["name"]: each["value"] for each in proxy["env"]}
        assert app["env"][0] == {"name": "OPENAI_BASE_URL", "value": f"http://127.0.0.1:{Config().listen.port}/v1"}
        config = load(None, environ=environ)
        assert (config.log.format, config.identity.tenant) == ("json", "api_key")
        assert claim["kind"] == "PersistentVolumeClaim"


class TestTheLock:
    def test_every_pin_has_hashes_and_no_address_is_named(self):
        text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        pins = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
        assert [
            pin for pin in pins if not re.match(r"[a-z0-9-]+==\S+ .*\\\n    --hash=sha256:[0-9a-f]{64}", pin, re.DOTALL)
        ] == []
        assert "://" not in text

    def test_it_has_all_that_the_project_names(self):
        text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        pinned = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
        wanted = re.findall(r'^    "([a-z-]+)>=', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
        assert "aiohttp" in wanted
        assert "hatchling" in wanted
        assert set(wanted) - pinned == set()
