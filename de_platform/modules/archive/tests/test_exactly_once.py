"""Whatever dies when, and whoever goes on though it should not: the listed files hold every record exactly once."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.modules.archive.tests.simulated_log import (
    TOPICS,
    Crash,
    Effects,
    MortalFiles,
    Owner,
    listed,
)
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore

LENGTH = 25
EVERYTHING = {topic: list(range(LENGTH)) for topic in TOPICS}


def offset_of(value: bytes) -> int:
    return json.loads(value)["offset"]


async def effects_of_a_clean_run() -> int:
    fs = MortalFiles()
    await Owner(fs, MemoryCheckpointStore(), LENGTH).run()
    return fs.effects.points


async def test_clean_run_lists_every_record_once() -> None:
    fs = MortalFiles()
    await Owner(fs, MemoryCheckpointStore(), LENGTH).run()
    assert await listed(fs, offset_of) == EVERYTHING


@pytest.mark.parametrize("batches", [(4, 7, 1), (2, 2, 9)])
async def test_death_before_and_after_every_effect(batches: tuple[int, ...]) -> None:
    points = await effects_of_a_clean_run()
    assert points > 50
    for dies_at in range(points):
        fs, disk = MortalFiles(), MemoryCheckpointStore()
        fs.effects = Effects(dies_at)
        with pytest.raises(Crash):
            await Owner(fs, disk, LENGTH).run()
        fs.effects = Effects()
        await Owner(fs, disk, LENGTH).run(batches)
        assert await listed(fs, offset_of) == EVERYTHING, f"after death at effect {dies_at}"


async def test_files_that_no_manifest_lists_are_completed_not_left() -> None:
    for dies_at in range(await effects_of_a_clean_run()):
        fs, disk = MortalFiles(), MemoryCheckpointStore()
        fs.effects = Effects(dies_at)
        with pytest.raises(Crash):
            await Owner(fs, disk, LENGTH).run()
        fs.effects = Effects()
        await Owner(fs, disk, LENGTH).run((3,))
        paths = await fs.list("archive/")
        assert len([p for p in paths if "_manifest" in p]) == len([p for p in paths if "_manifest" not in p])


_ACTIONS = st.tuples(st.integers(0, 2), st.sampled_from(["poll 1", "poll 5", "checkpoint", "deliver", "take_over"]))


@settings(max_examples=150, deadline=None)
@given(actions=st.lists(_ACTIONS, max_size=40))
async def test_owners_that_know_nothing_of_each_other_do_no_harm(actions: list[tuple[int, str]]) -> None:
    fs, disk = MortalFiles(), MemoryCheckpointStore()
    owners = [Owner(fs, disk, LENGTH) for _ in range(3)]
    for owner in owners:
        await owner.take_over()
    for number, action in actions:
        match action.split():
            case ["poll", count]:
                await owners[number].poll(int(count))
            case [method]:
                await getattr(owners[number], method)()
    await Owner(fs, disk, LENGTH).run()
    for stale in owners:
        await stale.deliver()
    assert await listed(fs, offset_of) == EVERYTHING
