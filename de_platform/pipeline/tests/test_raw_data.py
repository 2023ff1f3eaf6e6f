from hypothesis import given
from hypothesis import strategies as st

from de_platform.pipeline.raw_data import ESCAPED_MARK, MAX_RECORDED_BYTES, from_text, to_text


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: (ESCAPED_MARK + text).encode())))
def test_any_bytes_come_back(raw: bytes) -> None:
    assert from_text(to_text(raw)) == raw


def test_utf_8_stays_readable() -> None:
    assert to_text('{"id":"Zürich \\n"}'.encode()) == '{"id":"Zürich \\n"}'


def test_what_is_not_utf_8_is_escaped() -> None:
    assert to_text(b'{"id":"\xff\\"}') == ESCAPED_MARK + '{"id":"\\xff\\\\"}'


def test_a_long_input_is_cut_with_its_length_and_digest() -> None:
    text = to_text("ü".encode() * MAX_RECORDED_BYTES)
    assert text.startswith("ü" * (MAX_RECORDED_BYTES // 2) + " [cut: 131072 bytes, sha256 ")
    assert "�" not in text
