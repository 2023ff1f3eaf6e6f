"""What `up` runs where, and on which ports, is a setting that is checked whole."""

import socket

import pytest

from de_platform.cli.catalog import ModuleCatalog
from de_platform.cli.layout import check_ports, modules_of, ports_of, url_of
from de_platform.config.settings import Origin, Settings, Source
from de_platform.pipeline.errors import InvalidInput


def settings(**values: str) -> Settings:
    base = {"DE_PLATFORM_PIPELINE_MODULES": "hello_world", "DE_PLATFORM_EDGE_MODULES": "data_api"}
    named = {f"DE_PLATFORM_{name}": value for name, value in values.items()}
    return Settings.resolve(Source(origin=Origin.ENVIRONMENT, values={**base, **named}))


def test_default_modules_exist() -> None:
    defaults = Settings.resolve()
    names = {*defaults.names("DE_PLATFORM_PIPELINE_MODULES"), *defaults.names("DE_PLATFORM_EDGE_MODULES")}
    assert names <= set(ModuleCatalog().names())


def test_every_port_is_moved_by_the_offset() -> None:
    assert ports_of(settings(PORT_OFFSET="100")) == {"data_api": 8102, "health": 8180, "metrics": 9191}


def test_arguments_come_from_the_setting() -> None:
    found = modules_of("pipeline", settings(MODULE_ARGUMENTS='{"hello_world": {"name": "Ada"}}'))
    assert found == {"hello_world": {"name": "Ada"}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"PIPELINE_MODULES": "hello_wrld"}, "did you mean hello_world?"),
        ({"PIPELINE_MODULES": "stream_ingest"}, "is required"),
        ({"MODULE_ARGUMENTS": '{"hello_world": {"nme": "x"}}'}, "did you mean name?"),
        ({"MODULE_ARGUMENTS": '{"hello_world": {"name": 5}}'}, "not of type string"),
        ({"MODULE_ARGUMENTS": '{"hello_wrld": {}}'}, "did you mean hello_world?"),
    ],
)
def test_faults_of_the_layout_are_named(values: dict[str, str], expected: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ports_of(settings(**values))
    assert expected in str(caught.value)


def test_port_in_use_is_named_with_its_service_and_flag() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput) as caught:
            check_ports({"data_api": port}, "127.0.0.1")
    (fault,) = caught.value.errors
    assert fault.field == "--port-offset"
    assert f"port {port} of data_api" in fault.message


@pytest.mark.parametrize(
    ("bind_host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104 - not bound
        ("10.0.0.5", "http://10.0.0.5:80"),
    ],
)
def test_address_of_a_port_can_be_reached_from_here(bind_host: str, url: str) -> None:
    assert url_of(80, bind_host) == url


def test_port_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidInput, match="out of range"):
        check_ports({"data_api": 70_000}, "127.0.0.1")
