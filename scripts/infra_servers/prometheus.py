"""Prometheus of Debian, scraping what is listed in a folder."""

import os
from collections.abc import Mapping
from pathlib import Path

from scripts.infra_servers import programs, web
from scripts.infra_servers.ports import HOST
from scripts.infra_servers.programs import UnpackedPackage
from scripts.infra_servers.server import Launch, Server

_CONFIGURATION = """\
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files:
  - {folder}/rules/*.yml
scrape_configs:
  - job_name: de-platform
    file_sd_configs:
      - files: [{folder}/targets/*.json]
        refresh_interval: 1s
"""


class Prometheus(Server):
    """Scrapes every second what files in `targets` name, by rules from `rules`, which `POST /-/reload` reads anew."""

    name = "prometheus"
    setting = "PROMETHEUS_URL"

    @property
    def targets(self) -> Path:
        """The folder of the files that name what is scraped, in the form of file-based discovery."""
        return self.directory / "targets"

    @property
    def rules(self) -> Path:
        return self.directory / "rules"

    @property
    def _package(self) -> UnpackedPackage:
        return UnpackedPackage("prometheus", self.downloads)

    def install(self) -> None:
        if programs.find("prometheus", folders=self._package.folders) is None:
            self._package.fetch(self.name)

    def prepare(self) -> Launch:
        program = programs.find("prometheus", folders=self._package.folders)
        assert program is not None, "it is installed"
        for folder in (self.targets, self.rules):
            folder.mkdir(exist_ok=True)
        configuration = self.directory / "prometheus.yml"
        configuration.write_text(_CONFIGURATION.format(folder=self.directory), encoding="utf-8")
        argv = (
            str(program),
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        )
        return Launch(argv=argv, environment={**os.environ, **self._package.environment(program)})

    def answers(self) -> bool:
        return web.status(self.port, "/-/ready") == 200

    def env(self) -> Mapping[str, str]:
        return {"PROMETHEUS_URL": f"http://{HOST}:{self.port}"}
