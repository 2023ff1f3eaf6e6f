"""Prometheus looks at every module, and Grafana finds Prometheus and Loki where the Compose file has them."""

from typing import Any

import pytest
import yaml

from de_platform.cli.run import DEFAULT_HEALTH_PORT
from tests.deploy.deployment_files import COMPOSE, DEVCONTAINER, load_compose, long_running_modules

SERVICES = load_compose(COMPOSE)["services"]


def scrape_job(name: str) -> Any:
    config = yaml.safe_load((DEVCONTAINER / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    return next(job for job in config["scrape_configs"] if job["job_name"] == name)


def test_prometheus_scrapes_every_module() -> None:
    (discovery,) = scrape_job("modules")["dns_sd_configs"]
    assert (set(discovery["names"]), discovery["port"]) == (long_running_modules(), DEFAULT_HEALTH_PORT)


def test_prometheus_scrapes_the_embedded_platform() -> None:
    (discovery,) = scrape_job("up")["dns_sd_configs"]
    assert (discovery["names"], discovery["port"]) == (["app"], 9091)


@pytest.mark.parametrize("name", ["prometheus", "loki"])
def test_grafana_reads_from_the_service(name: str) -> None:
    path = DEVCONTAINER / "grafana" / "provisioning" / "datasources" / f"{name}.yml"
    (source,) = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    (port,) = SERVICES[name]["ports"]
    assert (source["type"], source["url"]) == (name, f"http://{name}:{port.rpartition(':')[2]}")
