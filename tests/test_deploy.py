"""Image and compose file fit the code: commands, settings, ports, files. No Docker engine is needed."""

import json
import os
import re
import stat
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from shutil import copy
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import typer
import yaml

from service.cli import app
from service.config import load
from service.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ROLES = {name: service for name, service in SERVICES.items() if service["image"].startswith("spendwatch:")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEFAULT_PORTS = {
    "api": Settings().api.port,
    "worker": Settings().worker.metrics_port,
    "deliver": Settings().deliver.metrics_port,
    "connect": Settings().connect.metrics_port,
}


def settings_of(role: str, folder: Path) -> Settings:
    """What the role would run with: its environment and configuration file, its secrets from *folder*."""
    environ = {
        name: value.replace("/run/secrets", str(folder))
        for name, value in ROLES[role]["environment"].items()
        if name != "SPENDWATCH_CONFIG"
    }
    return load(ROOT / "deploy" / "spendwatch.yaml", environ)


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Path inside the container -> folder or file of the repository, or name of a volume."""
    return {target: source for source, target, *_ in (text.split(":") for text in service.get("volumes", []))}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which deploy/prepare has run twice."""
    checkout = tmp_path_factory.mktemp("checkout")
    (checkout / "deploy").mkdir()
    copy(ROOT / "deploy" / "prepare", checkout / "deploy")
    for _ in range(2):
        subprocess.run([checkout / "deploy" / "prepare"], check=True, stdout=subprocess.DEVNULL)
    return checkout


def test_compose_file_follows_the_specification() -> None:
    schema = json.loads((ROOT / "tests" / "data" / "compose" / "compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)


def test_all_roles_are_there_and_share_one_image_of_this_version() -> None:
    assert set(ROLES) == set(DEFAULT_PORTS)
    assert {role["image"] for role in ROLES.values()} == {f"spendwatch:{PROJECT['version']}"}


@pytest.mark.parametrize("role", ROLES)
def test_command_of_the_role_exists(role: str) -> None:
    name, *arguments = ROLES[role]["command"]
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    command = group.commands[name]
    command.make_context(name, list(arguments))


def test_connectors_that_are_run_are_configured(prepared: Path) -> None:
    _, *names = ROLES["connect"]["command"]
    assert names == [connector.name for connector in settings_of("connect", prepared / "deploy/secrets").connectors]


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_a_setting_and_arrives(role: str, prepared: Path) -> None:
    settings = settings_of(role, prepared / "deploy" / "secrets")
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert settings.store.url == (prepared / "deploy/secrets/store_url").read_text()
    assert settings.redis.url is not None
    assert urlsplit(settings.redis.url.get_secret_value()).hostname in SERVICES
    assert settings.metrics_host == "0.0.0.0"  # or Prometheus could not reach it


def test_api_that_is_reachable_from_outside_has_a_token(prepared: Path) -> None:
    api = settings_of("api", prepared / "deploy" / "secrets").api
    assert api.host == "0.0.0.0"
    assert api.token is not None
    assert len(api.token.get_secret_value()) >= 32


@pytest.mark.parametrize("role", ROLES)
def test_health_is_checked_at_the_port_the_role_answers_on(role: str) -> None:
    test = ROLES[role]["healthcheck"]["test"]
    url = re.search(r"'(http://[^']+)'", test[-1])
    assert test[:2] == ["CMD", "python"]
    assert url is not None
    compile(test[-1], "healthcheck", "exec")
    assert urlsplit(url[1]).port == DEFAULT_PORTS[role]
    assert urlsplit(url[1]).path == "/readyz"


def test_image_exposes_the_default_ports() -> None:
    exposed = re.search(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)
    assert exposed is not None
    assert {int(port) for port in exposed[1].split()} == set(DEFAULT_PORTS.values())


@pytest.mark.parametrize("name", SERVICES)
def test_published_ports_are_bound_to_loopback(name: str) -> None:
    for published in SERVICES[name].get("ports", []):
        host, outside, inside = published.split(":")
        assert host == "127.0.0.1"
        assert outside == inside


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_can_say_that_it_is_healthy(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert SERVICES[needed]["healthcheck"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists(name: str) -> None:
    made_by_prepare = ("./bills",)
    for source in mounts(SERVICES[name]).values():
        if source.startswith("."):
            assert source in made_by_prepare or (ROOT / source).exists(), source
        else:
            assert source in COMPOSE["volumes"], source


@pytest.mark.parametrize("role", ROLES)
def test_configuration_file_is_mounted_where_the_role_looks(role: str) -> None:
    service = ROLES[role]
    assert mounts(service)[service["environment"]["SPENDWATCH_CONFIG"]] == "./deploy/spendwatch.yaml"


@pytest.mark.parametrize("role", ROLES)
def test_role_may_write_only_to_volumes(role: str, prepared: Path) -> None:
    service = ROLES[role]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    if role == "connect":
        checkpoint = settings_of(role, prepared / "deploy" / "secrets").connect.checkpoint_path
        assert mounts(service)[str(checkpoint.parent)] in COMPOSE["volumes"]


def test_stop_grace_period_covers_the_draining_of_a_worker() -> None:
    assert int(ROLES["worker"]["stop_grace_period"].removesuffix("s")) > Settings().worker.shutdown_seconds


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_that_prepare_makes(name: str, prepared: Path) -> None:
    service = SERVICES[name]
    for secret in service.get("secrets", []):
        path = prepared / COMPOSE["secrets"][secret]["file"]
        assert path.read_text().strip()
    read = [value for value in service.get("environment", {}).values() if str(value).startswith("/run/secrets/")]
    expected = {f"/run/secrets/{secret}" for secret in service.get("secrets", [])}
    assert expected - {"/run/secrets/store_url"} <= set(read) <= expected


def test_secrets_are_closed_to_others_and_made_once(prepared: Path) -> None:
    folder = prepared / "deploy" / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == set(COMPOSE["secrets"])
    # The second run kept the first one's password, so the address still holds it.
    assert f":{(folder / 'postgres_password').read_text()}@postgres:5432/" in (folder / "store_url").read_text()


def test_database_in_the_address_is_the_one_that_is_made(prepared: Path) -> None:
    address = urlsplit((prepared / "deploy/secrets/store_url").read_text())
    postgres = SERVICES["postgres"]["environment"]
    assert (address.hostname, address.username) == ("postgres", postgres["POSTGRES_USER"])
    assert address.path == f"/{postgres['POSTGRES_DB']}"


def test_kafka_advertises_what_the_roles_connect_to() -> None:
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert "PLAINTEXT://kafka:9092" in advertised
    assert f"HOST://{SERVICES['kafka']['ports'][0].rpartition(':')[0]}" in advertised


def test_kafka_of_the_tests_has_the_version_of_the_compose_file() -> None:
    pom = (ROOT / "scripts" / "kafka" / "pom.xml").read_text()
    version = re.search(r"<kafka.version>(.*)</kafka.version>", pom)
    assert version is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    allowed = [line.removeprefix("!").rstrip("/") for line in ignored if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    sources = [source.rstrip("/") for line in copied for source in line.split()]
    assert sorted(sources) == sorted(allowed)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not any(fnmatch(source, pattern) for pattern in ignored if pattern.startswith("**"))


def test_image_installs_hashed_requirements_that_exist() -> None:
    extras = re.search(r'^ARG EXTRAS="(.*)"$', DOCKERFILE, re.MULTILINE)
    assert extras is not None
    named = set(re.findall(r"-r requirements/(\w+)\.txt", DOCKERFILE)) | set(extras[1].split())
    assert named == {"build", "base", "postgres"}
    for name in named:
        assert (ROOT / "requirements" / f"{name}.txt").exists()
    assert DOCKERFILE.count("pip install --require-hashes") == 2


def test_image_runs_our_command_as_a_numeric_user() -> None:
    entry = re.search(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert entry is not None
    assert json.loads(entry[1])[0] in PROJECT["scripts"]
    assert user is not None
    assert int(user[1]) > 0


@pytest.mark.parametrize("path", ["deploy/prepare", "scripts/services", "scripts/lock", ".ci/run"])
def test_script_can_be_executed(path: str) -> None:
    assert os.access(ROOT / path, os.X_OK)
