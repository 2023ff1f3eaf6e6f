"""What `demo` adds to `up`: a watch list, a feed that is kept alive, and words for people."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from de_platform.cli.choices import EMBEDDED
from de_platform.cli.demo import demo_greeting, demo_surroundings, feed_command, keep_feeding
from de_platform.cli.global_flags import GlobalFlags
from de_platform.cli.instance import RunningInstance
from de_platform.cli.layout import modules_of
from de_platform.pipeline.generator.tenants import DEMO_TENANTS, LISTED_COUNTERPARTIES

INSTANCE = RunningInstance(
    choices=EMBEDDED,
    environment={"DE_PLATFORM_DATA_DIR": "/data/.demo", "FS_LOCAL_ROOT": "/data/.demo/files"},
    urls={"rest_starter": "http://127.0.0.1:8001"},
)


def watch_list(env: str | None) -> list[str]:
    settings = demo_surroundings(GlobalFlags(env=env, data_dir="/data/.demo"), None).settings
    return modules_of("pipeline", settings)["algos"]["suspicious-counterparty-ids"]


def test_the_demo_watches_for_its_listed_counterparties():
    assert watch_list(None) == list(LISTED_COUNTERPARTIES)


def test_a_watch_list_that_is_given_wins():
    given = '{"DE_PLATFORM_MODULE_ARGUMENTS": "{\\"algos\\": {\\"suspicious-counterparty-ids\\": [\\"cp-1\\"]}}"}'
    assert watch_list(given) == ["cp-1"]


def test_people_learn_who_is_there_and_where_the_answers_are():
    text = demo_greeting(INSTANCE)
    assert all(tenant.tenant_id in text for tenant in DEMO_TENANTS)
    assert "/data/.demo/files/demo/expected_alerts.json" in text
    assert "rm -r /data/.demo" in text


def test_the_feed_finds_the_platform_it_belongs_to():
    command = " ".join(feed_command(INSTANCE, ("--seed", "9")))
    assert "demo-feed --data-dir /data/.demo --target-url http://127.0.0.1:8001 --seed 9" in command


async def test_a_feed_that_dies_is_started_again(tmp_path: Path):
    count = f"p = __import__('pathlib').Path({str(tmp_path / 'runs')!r}); p.open('a').write('x')"
    program = f"{count}; raise SystemExit(len(p.read_text()) < 2)"
    async with asyncio.timeout(10):
        await keep_feeding((sys.executable, "-c", program))
    assert (tmp_path / "runs").read_text() == "xx"


async def test_a_feed_is_stopped_with_the_platform(tmp_path: Path):
    pid_file = tmp_path / "pid"
    program = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    feeding = asyncio.create_task(keep_feeding((sys.executable, "-c", program)))
    async with asyncio.timeout(10):
        while not (pid_file.exists() and pid_file.read_text()):
            await asyncio.sleep(0.01)
        feeding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await feeding
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
