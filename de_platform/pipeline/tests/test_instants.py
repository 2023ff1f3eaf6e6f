import pytest

from de_platform.pipeline.instants import are_timely, format_instant, is_timely, parse_instant, utc_day

ARRIVAL = "2026-11-20T15:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-11-20T15:00:00Z", "2026-11-20T15:00:00.000000Z"),
        ("2026-11-20T15:00:00.5Z", "2026-11-20T15:00:00.500000Z"),
        ("2026-11-20T15:00:00.123456+05:30", "2026-11-20T09:30:00.123456Z"),
        ("2026-01-01T00:30:00-01:00", "2026-01-01T01:30:00.000000Z"),
        ("2024-02-29T23:59:59-00:00", "2024-02-29T23:59:59.000000Z"),
    ],
)
def test_an_instant_with_a_zone_is_read_exactly(text: str, same: str) -> None:
    assert format_instant(parse_instant(text)) == same


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T15:00:00",
        "2026-11-20 15:00:00Z",
        "2026-11-20t15:00:00z",
        "2026-11-20T15:00Z",
        "2026-11-20T15:00:00.1234567Z",
        "2026-11-20T15:00:00.Z",
        "2026-11-20T15:00:00,5Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "20261120T150000Z",
        "2026-W47-5T15:00:00Z",
        "1677-09-21T00:12:43Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:30:00+01:00",
        "0001-01-01T00:00:00+14:00",
        "2026-11-20T15:00:00+24:00",
        "2026-11-20T15:00:00+0530",
        "２０２６-11-20T15:00:00Z",
        "2026-11-20T15:00:00Z\n",
        "1732114800",
        "",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|exists"):
        parse_instant(text)
    assert not is_timely(text, ARRIVAL)
    assert not are_timely([text], [ARRIVAL])


@pytest.mark.parametrize("text", ["2026-11-20T15:05:00Z", "2026-11-20T16:05:00+01:00", "2026-11-20T15:04:59.999999Z"])
def test_five_minutes_ahead_are_timely(text: str) -> None:
    assert is_timely(text, ARRIVAL)


@pytest.mark.parametrize("text", ["2026-11-20T15:05:00.000001Z", "2026-11-20T15:05:01Z", "9999-12-31T23:59:59Z"])
def test_more_than_five_minutes_ahead_are_not(text: str) -> None:
    assert not is_timely(text, ARRIVAL)


def test_the_day_is_that_of_utc() -> None:
    assert utc_day("2026-11-20T23:30:00-01:00") == "2026-11-21"
    assert utc_day("2026-11-20T23:30:00Z") == "2026-11-20"


def test_a_column_is_timely_only_if_every_instant_is() -> None:
    good = ["2026-11-20T14:59:59Z", "2026-11-20T14:59:59.5Z", "2026-11-20T14:59:59.123456Z"]
    assert are_timely(good, [ARRIVAL] * 3)
    for bad in ("2026-11-20T14:59:59.Z", "2026-11-20T14:59:5Z", "Z.5", "2026-11-20T15:00:01Z"):
        assert not are_timely([*good, bad], [ARRIVAL] * 4)


@pytest.mark.parametrize("seconds", [2, 60], ids=["few seconds", "many seconds"])
@pytest.mark.parametrize(
    "bad", ["24:00:00.12Z", "14:60:00.12Z", "14:00:60.12Z", "14:00:00.Z1Z", "14:00:00.1.Z", "14:00:00.1٥Z"]
)
def test_one_that_is_none_is_found_among_few_and_many_seconds(seconds: int, bad: str) -> None:
    good = [f"2026-11-19T14:30:{second:02}.{second:02}Z" for second in range(seconds)]
    assert are_timely(good, [ARRIVAL] * seconds)
    assert not are_timely([*good, f"2026-11-19T{bad}"], [ARRIVAL] * (seconds + 1))
