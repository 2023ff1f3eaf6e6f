"""The Compose files say what they mean to: checked by schema and against the platform's own declarations."""

import re
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from de_platform.config.setting_specs import spec_of
from de_platform.services.message_queue.interface import DEFAULT_PARTITIONS
from tests.deploy.deployment_files import (
    COMPOSE,
    DEVCONTAINER,
    interpolated,
    invocation,
    load_compose,
    long_running_modules,
    variables,
)

ENGINES = {"kafka", "clickhouse", "postgres", "valkey", "s3"}
MONITORING = {"prometheus", "loki", "grafana"}
NOT_LONG_RUNNING = {"migrate", "cli"}
FILES = (COMPOSE, DEVCONTAINER / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = load_compose(COMPOSE)["services"]
MODULES = {name: service for name, service in SERVICES.items() if service.get("command", [""])[0] == "run"}
SECRET = re.compile(r"PASSWORD|SECRET|AUTH|TOKEN|REDIS_URL")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_file_fits_the_compose_specification(path: Any) -> None:
    specification = load_compose(path)
    checked = PyCompose.from_yaml(interpolated(yaml.safe_dump(specification, width=10_000)))
    assert set(checked.service_names()) == set(specification["services"])


def test_every_module_that_keeps_running_is_a_service() -> None:
    assert {invocation(service["command"]).module for service in MODULES.values()} == long_running_modules()


@pytest.mark.parametrize("name", MODULES)
def test_our_command_line_takes_the_command(name: str) -> None:
    assert invocation(SERVICES[name]["command"]).module == name


@pytest.mark.parametrize("name", [*MODULES, "migrate", "cli"])
def test_every_environment_name_is_a_setting(name: str) -> None:
    assert [variable for variable in SERVICES[name]["environment"] if spec_of(variable) is None] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_no_secret_is_written_down(path: Any) -> None:
    services = load_compose(path)["services"]
    secrets = {
        f"{service}.{name}": str(value)
        for service, body in services.items()
        for name, value in body.get("environment", {}).items()
        if SECRET.search(name)
    }
    assert secrets
    assert [name for name, value in secrets.items() if not any(v["kind"] == "?" for v in variables(value))] == []


def test_the_example_has_every_required_variable_and_no_value() -> None:
    required = {v["name"] for v in variables(COMPOSE.read_text(encoding="utf-8")) if v["kind"] == "?"}
    lines = (COMPOSE.parent / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert example == dict.fromkeys(required, "")


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - NOT_LONG_RUNNING))
def test_every_service_that_keeps_running_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_limits(name: str) -> None:
    assert SERVICES[name]["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9./-]+:v?\d+(\.\d+)+(-\w+)?", interpolated(SERVICES[name]["image"]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_every_port_is_bound_to_the_loopback_address(path: Any) -> None:
    ports = [port for service in load_compose(path)["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", MODULES)
def test_modules_wait_for_migrations_and_engines(name: str) -> None:
    conditions = {other: needs["condition"] for other, needs in SERVICES[name]["depends_on"].items()}
    assert conditions.pop("migrate") == "service_completed_successfully"
    assert conditions.keys() >= ENGINES
    assert set(conditions.values()) == {"service_healthy"}


@pytest.mark.parametrize("name", MODULES)
def test_no_module_has_more_replicas_than_partitions(name: str) -> None:
    assert SERVICES[name]["deploy"].get("replicas", 1) <= DEFAULT_PARTITIONS


@pytest.mark.parametrize("name", MODULES)
def test_a_module_may_take_its_drain_timeout_to_stop(name: str) -> None:
    service = SERVICES[name]
    grace_seconds = int(service["stop_grace_period"].removesuffix("s"))
    assert grace_seconds > int(service["environment"]["DE_PLATFORM_DRAIN_TIMEOUT_SECONDS"])


@pytest.mark.parametrize("name", MODULES)
def test_modules_run_without_rights(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in service["security_opt"]


def test_profiles_grow_from_engines_to_everything() -> None:
    by_profile = {
        profile: {name for name, service in SERVICES.items() if profile in service["profiles"]}
        for profile in ("infra", "app", "full")
    }
    assert by_profile["infra"] == ENGINES
    assert by_profile["app"] - by_profile["infra"] == (MODULES.keys() - {"generator"}) | {"migrate"}
    assert by_profile["full"] - by_profile["app"] == MONITORING


def test_the_development_container_has_engines_and_monitoring() -> None:
    services = load_compose(DEVCONTAINER / "docker-compose.yml")["services"]
    extended = {name: service["extends"] for name, service in services.items() if name != "app"}
    assert extended == {
        name: {"file": "../deploy/docker-compose.yml", "service": name} for name in ENGINES | MONITORING
    }


def test_the_development_container_uses_declared_settings() -> None:
    app = load_compose(DEVCONTAINER / "docker-compose.yml")["services"]["app"]
    assert [name for name in app["environment"] if spec_of(name) is None] == []
