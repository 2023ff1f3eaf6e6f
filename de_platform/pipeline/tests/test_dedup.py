"""Dedup against a plain dictionary that never forgets, through restarts, replays and days."""

from datetime import timedelta
from enum import Enum

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.dedup import Arrivals, Deduplicator
from de_platform.pipeline.dedup_checkpoint import confirm, restore, take_snapshot
from de_platform.pipeline.tests.sample_events import NOW, at

TODAY, YESTERDAY, LAST_WEEK = "2026-11-20", "2026-11-19", "2026-11-13"
STEM = "0123456789abcdef" * 2


class Verdict(Enum):
    NEW = "new"
    REDELIVERY = "redelivery"
    DUPLICATE = "duplicate"


class Arrival(msgspec.Struct, frozen=True):
    """A message of an event."""

    event: str
    message: str
    day: str = TODAY


Answer = tuple[Verdict, str | None]


class Partition:
    """A deduplicator with the store and the checkpoint that it works with."""

    def __init__(self, *, complete: bool = True) -> None:
        self.dedup = Deduplicator(salt=5)
        self.segments: dict[str, bytes] = {}
        self.store: dict[tuple[str, str], tuple[str, int]] = {}
        self.pending: list[tuple[Arrival, int]] = []
        self.offset = 0
        self.complete = complete
        self.lookups = 0

    def take(self, arrivals: list[Arrival], *, now: timedelta = timedelta(0)) -> list[Answer]:
        """Decide a batch; what is new goes to the store at `persist`."""
        columns = Arrivals(
            keys=self.dedup.keys([f"{one.event}_{one.day}" for one in arrivals], [4] * len(arrivals)),
            days=[one.day for one in arrivals],
            message_ids=[one.message for one in arrivals],
            latest_at=at(now),
        )
        self.dedup.begin("topic", from_the_start=self.complete, latest_at=columns.latest_at)
        stored: dict[int, str] = {}
        for row in self.dedup.undecided(columns):
            self.lookups += 1
            message, offset = self.store.get((arrivals[row].event, arrivals[row].day), ("", 0))
            if message and offset < self.offset + row:
                stored[row] = message
        decided = self.dedup.decide(columns, stored)
        assert decided.count == len(arrivals)
        new = set(decided.new())
        self.pending += [(arrivals[row], self.offset + row) for row in sorted(new)]
        self.offset += len(arrivals)
        assert sorted([*new, *decided.redelivered, *decided.originals]) == list(range(len(arrivals)))
        return [
            (Verdict.NEW, None)
            if row in new
            else (Verdict.DUPLICATE, decided.originals[row])
            if row in decided.originals
            else (Verdict.REDELIVERY, None)
            for row in range(len(arrivals))
        ]

    def persist(self) -> None:
        """Let the store catch up."""
        for arrival, offset in self.pending:
            self.store.setdefault((arrival.event, arrival.day), (arrival.message, offset))
        self.pending.clear()

    def checkpoint(self) -> None:
        snapshot = take_snapshot(self.dedup)
        kept = {name: data for name, data in self.segments.items() if name in snapshot.kept_segments}
        assert kept.keys() == snapshot.kept_segments
        self.segments = {**kept, **snapshot.new_segments}
        confirm(self.dedup, snapshot)

    def restart(self) -> None:
        self.dedup = restore(self.segments)


def message(position: int) -> str:
    return f"{STEM}.{position}"


def verdicts(answers: list[Answer]) -> list[Verdict]:
    return [verdict for verdict, _ in answers]


@pytest.mark.parametrize("day", [TODAY, YESTERDAY, LAST_WEEK])
def test_first_again_and_other_message_of_an_event(day: str) -> None:
    partition = Partition()
    first, other = Arrival("a", message(1), day), Arrival("a", message(2), day)
    assert partition.take([first]) == [(Verdict.NEW, None)]
    assert partition.take([first]) == [(Verdict.REDELIVERY, None)]
    assert partition.take([other]) == [(Verdict.DUPLICATE, message(1))]
    assert partition.take([other]) == [(Verdict.REDELIVERY, None)]


@pytest.mark.parametrize("day", [TODAY, LAST_WEEK])
def test_repetition_within_a_batch_is_decided_in_order(day: str) -> None:
    batch = [Arrival("a", message(n), day) for n in (1, 2, 1, 2, 3)]
    assert Partition().take([*batch, Arrival("b", message(4), day)]) == [
        (Verdict.NEW, None),
        (Verdict.DUPLICATE, message(1)),
        (Verdict.REDELIVERY, None),
        (Verdict.REDELIVERY, None),
        (Verdict.DUPLICATE, message(1)),
        (Verdict.NEW, None),
    ]


def test_the_same_id_on_another_day_is_another_event() -> None:
    batch = [Arrival("a", message(1), TODAY), Arrival("a", message(2), YESTERDAY), Arrival("a", message(3), LAST_WEEK)]
    assert verdicts(Partition().take(batch)) == [Verdict.NEW] * 3


def test_events_of_today_and_yesterday_never_ask_the_store() -> None:
    partition = Partition()
    partition.take([Arrival("a", message(1), TODAY), Arrival("b", message(2), YESTERDAY)])
    assert partition.lookups == 0


def test_an_earlier_event_is_looked_up_in_the_store() -> None:
    partition = Partition()
    partition.store["a", LAST_WEEK] = (message(1), -1)
    assert partition.take([Arrival("a", message(2), LAST_WEEK)]) == [(Verdict.DUPLICATE, message(1))]
    assert partition.take([Arrival("a", message(1), LAST_WEEK)]) == [(Verdict.REDELIVERY, None)]
    assert partition.lookups == 1


def test_a_row_that_came_from_the_record_itself_is_not_there_yet() -> None:
    partition = Partition()
    partition.store["a", LAST_WEEK] = (message(1), 0)
    assert verdicts(partition.take([Arrival("a", message(1), LAST_WEEK)])) == [Verdict.NEW]


def test_a_late_event_is_known_for_an_hour_without_the_store() -> None:
    partition = Partition()
    partition.take([Arrival("a", message(1), LAST_WEEK)])
    later = partition.take([Arrival("a", message(2), LAST_WEEK)], now=timedelta(minutes=59))
    assert later == [(Verdict.DUPLICATE, message(1))]


def test_an_event_of_the_day_is_known_until_an_hour_after_the_next_day() -> None:
    partition = Partition()
    partition.take([Arrival("a", message(1), TODAY)])
    until = timedelta(days=1, hours=9, minutes=59)
    assert partition.take([Arrival("a", message(2), TODAY)], now=until) == [(Verdict.DUPLICATE, message(1))]


def test_generations_are_forgotten() -> None:
    partition = Partition()
    partition.take([Arrival("a", message(1), TODAY), Arrival("b", message(2), LAST_WEEK)])
    partition.take([Arrival("c", message(3), "2026-11-27")], now=timedelta(days=7))
    assert list(partition.dedup.generations) == ["2026-11-27"]


def test_a_state_that_began_amid_the_log_asks_the_store_about_its_first_days() -> None:
    partition = Partition(complete=False)
    partition.store["a", TODAY] = (message(1), -1)
    assert partition.take([Arrival("a", message(2), TODAY)]) == [(Verdict.DUPLICATE, message(1))]
    assert verdicts(partition.take([Arrival("b", message(3), TODAY)])) == [Verdict.NEW]
    partition.lookups = 0
    partition.take([Arrival("c", message(4), "2026-11-22")], now=timedelta(days=2))
    assert partition.lookups == 0


def test_a_clock_that_jumps_ahead_costs_only_lookups() -> None:
    partition = Partition()
    partition.take([Arrival("a", message(1), TODAY)])
    partition.persist()
    partition.take([Arrival("x", message(9), "2027-11-20")], now=timedelta(days=365))
    assert partition.take([Arrival("a", message(2), TODAY)]) == [(Verdict.DUPLICATE, message(1))]


def test_looking_changes_nothing() -> None:
    partition = Partition()
    partition.take([Arrival("a", message(1), LAST_WEEK)])
    partition.checkpoint()
    before = take_snapshot(partition.dedup)
    columns = Arrivals(
        keys=partition.dedup.keys(["b"], [4]), days=[LAST_WEEK], message_ids=["m"], latest_at=at(timedelta(days=9))
    )
    assert partition.dedup.undecided(columns) == [0]
    assert take_snapshot(partition.dedup) == before


def test_a_snapshot_writes_only_what_is_new_and_few_segments() -> None:
    partition = Partition()
    for batch in range(300):
        partition.take([Arrival(f"e{batch}", message(batch))])
        partition.checkpoint()
        assert len(partition.segments) <= 20
    snapshot = take_snapshot(partition.dedup)
    assert [name for name in snapshot.new_segments if not name.startswith("dedup.")] == []
    assert NOW.date().isoformat() in next(iter(snapshot.kept_segments))


def test_a_snapshot_that_was_not_saved_is_taken_again() -> None:
    partition = Partition()
    partition.take([Arrival("a", message(1))])
    assert take_snapshot(partition.dedup) == take_snapshot(partition.dedup)


ARRIVALS = st.builds(
    lambda event, number, day: Arrival(event, number if len(number) > 3 else message(int(number)), day),
    st.sampled_from("abcd"),
    st.sampled_from(["1", "2", "3", "4", "odd id"]),
    st.sampled_from([TODAY, YESTERDAY, "2026-11-18", LAST_WEEK]),
)
ACTIONS = st.one_of(
    st.tuples(st.just("take"), st.lists(ARRIVALS, min_size=1, max_size=6)),
    st.tuples(st.just("checkpoint"), st.none()),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("persist"), st.none()),
    st.tuples(st.just("wait"), st.integers(1, 100)),
)


@settings(max_examples=150)
@given(st.lists(ACTIONS, max_size=25))
def test_no_crash_changes_an_answer(actions: list[tuple[str, object]]) -> None:
    """Whatever happens, every batch gets the answers of a dictionary that never forgets, again and again.

    Time passes in steps that the store keeps up with. After a crash the log is replayed from the checkpoint
    in batches of other sizes. One thing is forgotten after an hour: the message ids of duplicates of earlier
    days, so the redelivery of one may be called a duplicate again (its row is the same).
    """
    partition, log, expected = Partition(), list[tuple[Arrival, timedelta]](), list[Answer]()
    firsts, seen = dict[tuple[str, str], str](), set[tuple[str, str, str]]()
    now, checkpointed = timedelta(0), 0
    partition.checkpoint()
    for action, argument in actions:
        if action == "take":
            assert isinstance(argument, list)
            answers = partition.take(argument, now=now)
            for one, answer in zip(argument, answers, strict=True):
                log.append((one, now))
                expected.append(answer)
                first = firsts.setdefault((one.event, one.day), one.message)
                known = (one.event, one.day, one.message) in seen
                seen.add((one.event, one.day, one.message))
                if not known:
                    verdict = Verdict.NEW if first == one.message else Verdict.DUPLICATE
                    assert answer == (verdict, first if verdict is Verdict.DUPLICATE else None)
                elif first == one.message or (one.day >= YESTERDAY and now < timedelta(hours=9)):
                    assert answer == (Verdict.REDELIVERY, None)
                else:
                    assert answer in ((Verdict.REDELIVERY, None), (Verdict.DUPLICATE, first))
        elif action == "checkpoint":
            partition.checkpoint()
            checkpointed = len(log)
        elif action == "crash":
            partition.restart()
            partition.offset = checkpointed
            for offset in range(checkpointed, len(log)):
                assert partition.take([log[offset][0]], now=log[offset][1]) == [expected[offset]]
        elif action == "persist":
            partition.persist()
        else:
            assert isinstance(argument, int)
            now += timedelta(minutes=argument)
            partition.persist()
