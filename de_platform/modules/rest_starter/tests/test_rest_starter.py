import asyncio
from pathlib import Path

import httpx
import msgspec

from de_platform.config.descriptor import parse_descriptor
from de_platform.modules.rest_starter import main, wire
from de_platform.modules.rest_starter.main import RestStarterSettings
from de_platform.pipeline.events import EventType
from de_platform.pipeline.intake import split_events


def test_the_descriptor_is_valid_and_fits_the_settings() -> None:
    descriptor = parse_descriptor(Path(main.__file__).with_name("module.json").read_bytes())
    defaults = {argument.name: argument.default for argument in descriptor.args}
    assert msgspec.convert(defaults, RestStarterSettings) == RestStarterSettings(port=8001)


async def test_every_operation_is_documented_with_an_example(door) -> None:
    document = (await door.client.get("/api/openapi.json")).json()
    assert set(document["paths"]) == {f"/api/v1/{each.plural}" for each in EventType} | {"/api/v1/health"}
    for each in EventType:
        operation = document["paths"][f"/api/v1/{each.plural}"]["post"]
        assert operation["requestBody"]["content"]["application/json"]["example"]["events"]
        assert set(operation["responses"]) == {"200", "400", "408", "413", "415", "422", "503", "default"}


async def test_documented_examples_are_taken_in(door) -> None:
    door.clock.advance(30 * 24 * 3600)
    for each, shape in zip(EventType, (wire.Orders, wire.Executions, wire.Transactions), strict=True):
        response = await door.post(wire.WIRE_EXAMPLES[shape], each.plural)
        assert response.json() == {"accepted": 1, "rejected": 0, "errors": []}


def test_documented_bodies_split_into_their_events() -> None:
    for example in wire.WIRE_EXAMPLES.values():
        assert len(split_events(msgspec.json.encode(example))) == 1


async def test_it_serves_until_shutdown_and_ends_well(door) -> None:
    running = asyncio.create_task(door.module.run())
    while not door.module.has_started:
        await asyncio.sleep(0)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{door.module.url}/api/v1/health")).status_code == 200
    await door.module.health_checks()["http"]()
    door.lifecycle.request_shutdown()
    assert await running == 0
