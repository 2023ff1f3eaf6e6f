"""The ports of an embedded platform."""

import socket
from collections.abc import Mapping
from contextlib import closing

from de_platform.cli.catalog import ModuleCatalog
from de_platform.config.descriptor import ModuleDescriptor
from de_platform.config.settings import Settings
from de_platform.pipeline.errors import FieldError, InvalidInput

HEALTH = "health"
METRICS = "metrics"
_HEALTH_PORT = 8080
_METRICS_PORT = 9091
MODULE_SETTINGS: Mapping[str, str] = {
    "pipeline": "DE_PLATFORM_PIPELINE_MODULES",
    "edge": "DE_PLATFORM_EDGE_MODULES",
}
"""Which setting says what a process of `up` runs."""


def port_of(module: ModuleDescriptor) -> int | None:
    """Return the port a module listens on without an offset, or None when it serves nothing."""
    return next((argument.default for argument in module.args if argument.name == "port"), None)


def ports_of(settings: Settings) -> dict[str, int]:
    """Return every port that `up` listens on, by module, with those of health and metrics."""
    offset = settings.whole_number("DE_PLATFORM_PORT_OFFSET")
    catalog = ModuleCatalog()
    modules = [name for setting in MODULE_SETTINGS.values() for name in settings.names(setting)]
    served = {name: port for name in modules if (port := port_of(catalog.descriptor(name))) is not None}
    return {name: port + offset for name, port in {**served, HEALTH: _HEALTH_PORT, METRICS: _METRICS_PORT}.items()}


def check_ports(ports: Mapping[str, int], host: str) -> None:
    """Raise InvalidInput with every port that is in use or out of range."""
    faults: list[FieldError] = []
    for name, port in ports.items():
        try:
            with closing(socket.socket()) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            fault = f"port {port} of {name} cannot be had ({error.strerror}); choose another offset"
            faults.append(FieldError("--port-offset", fault))
        except OverflowError:
            faults.append(FieldError("--port-offset", f"port {port} of {name} is out of range"))
    if faults:
        raise InvalidInput(faults)
