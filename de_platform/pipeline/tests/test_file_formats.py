"""File parsers: the same pieces under any chunking, one fault a broken piece, bounded memory."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.file_formats import FileFormat, detect, parser_for, without_bom
from de_platform.pipeline.file_pieces import EXCERPT_BYTES, MAX_PIECE_BYTES, Piece


def parse(file_format: FileFormat, data: bytes, *, chunk_size: int = 1 << 20) -> list[Piece]:
    parser = parser_for(file_format)
    pieces = [p for at in range(0, len(data), chunk_size) for p in parser.feed(data[at : at + chunk_size])]
    return pieces + list(parser.close())


def raws(pieces: list[Piece]) -> list[bytes]:
    return [p.raw for p in pieces if not p.fault]


def faults(pieces: list[Piece]) -> list[int]:
    return [p.position for p in pieces if p.fault]


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
EVENTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS | SCALARS, max_size=6), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_array_gives_its_elements_however_it_is_cut(values, chunk_size, indent, ascii_only) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    pieces = parse(FileFormat.JSON, data, chunk_size=chunk_size)
    assert [json.loads(p.raw) for p in pieces] == values
    assert [p.position for p in pieces] == list(range(1, len(values) + 1))
    assert not faults(pieces)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=120) | st.text(alphabet='[]{},"\\:1 \n', max_size=80).map(str.encode), st.integers(1, 9))
@pytest.mark.parametrize("file_format", list(FileFormat))
def test_pieces_do_not_depend_on_chunks(file_format, data, chunk_size) -> None:
    data = b"id,quantity,note\n" + data if file_format is FileFormat.CSV else data
    assert parse(file_format, data, chunk_size=chunk_size) == parse(file_format, data)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("chunk_size", [1, 3, 1000])
def test_every_kind_of_line_end_is_one(end, chunk_size) -> None:
    pieces = parse(FileFormat.JSONL, end.join([b"{}", b"", b'{"a":1}']), chunk_size=chunk_size)
    assert pieces == [Piece(1, b"{}"), Piece(3, b'{"a":1}')]


@pytest.mark.parametrize("chunk_size", [1000, 65536, 1 << 23])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_long_line_is_one_fault_with_the_beginning_kept(chunk_size, end) -> None:
    data = b"{}\n" + b"x" * (MAX_PIECE_BYTES + 1) + end + (b"{}" if end else b"")
    pieces = parse(FileFormat.JSONL, data, chunk_size=chunk_size)
    assert faults(pieces) == [2]
    assert len(pieces[1].raw) == EXCERPT_BYTES
    assert raws(pieces) == ([b"{}", b"{}"] if end else [b"{}"])


def test_line_of_exactly_the_limit_passes() -> None:
    assert raws(parse(FileFormat.JSONL, b"x" * MAX_PIECE_BYTES + b"\r\n", chunk_size=4096)) == [b"x" * MAX_PIECE_BYTES]


@pytest.mark.parametrize("chunk_size", [1000, 1 << 23])
def test_long_element_is_one_fault_and_the_rest_goes_on(chunk_size) -> None:
    long = b'{"a":"' + b"],[" * MAX_PIECE_BYTES + b'"}'
    pieces = parse(FileFormat.JSON, b"[1," + long + b", {}]", chunk_size=chunk_size)
    assert raws(pieces) == [b"1", b"{}"]
    assert faults(pieces) == [2]


def test_endless_space_between_elements_is_not_held() -> None:
    parser = parser_for(FileFormat.JSON)
    parser.feed(b"[{},")
    for _ in range(40):
        parser.feed(b" " * 65536)
    assert list(parser.feed(b"{}]")) == [Piece(2, b"{}")]


@pytest.mark.parametrize(
    ("data", "good", "broken"),
    [
        (b'[{"a":1},{"b":},{"c":2}]', [b'{"a":1}', b'{"b":}', b'{"c":2}'], []),
        (b'[{"a":1],{"c":2}]', [b'{"a":1]', b'{"c":2}'], []),
        (b"[1,,2]", [b"1", b"2"], [2]),
        (b"[1,]", [b"1"], [2]),
        (b"[1] x [2]", [b"1"], [2]),
        (b"[1,2", [b"1"], [2]),
        (b"[1,", [b"1"], [2]),
        (b'{"a":1}', [], [1]),
        (b"[]", [], []),
        (b"  ", [], []),
        (b"[" + b"[" * 100_000 + b"]" * 100_000 + b",1]", [b"[" * 100_000 + b"]" * 100_000, b"1"], []),
    ],
    ids=["bad value", "wrong bracket", "two commas", "comma at end", "garbage", "cut", "cut after comma",
         "no array", "empty", "blank", "deep"],
)  # fmt: skip
def test_broken_array_costs_only_what_is_broken(data, good, broken) -> None:
    pieces = parse(FileFormat.JSON, data)
    assert raws(pieces) == good
    assert faults(pieces) == broken


def test_array_that_is_not_closed_is_truncated() -> None:
    parser = parser_for(FileFormat.JSON)
    parser.feed(b'[{"a":1},')
    parser.close()
    assert parser.truncated


def test_csv_number_keeps_its_exact_text() -> None:
    data = b"id,quantity,price\na,0.10000000000000000000001,1e400\n"
    assert raws(parse(FileFormat.CSV, data)) == [b'{"id":"a","quantity":0.10000000000000000000001,"price":1e400}']


@pytest.mark.parametrize("cell", ["NaN", "1_000", "0x10", "+1", ".5", "007", "1,5", "١", '1,"tenant_id":"b"'])
def test_csv_number_that_is_none_stays_text(cell) -> None:
    quoted = cell.replace('"', '""')
    (raw,) = raws(parse(FileFormat.CSV, f'id,quantity\na,"{quoted}"\n'.encode()))
    assert json.loads(raw) == {"id": "a", "quantity": cell}


def test_csv_cell_cannot_break_out_of_its_json_column() -> None:
    (raw,) = raws(parse(FileFormat.CSV, b'id,additional_fields\na,"{},""tenant_id"":""b"""\n'))
    assert json.loads(raw) == {"id": "a", "additional_fields": '{},"tenant_id":"b"'}


def test_csv_json_column_is_spliced() -> None:
    (raw,) = raws(parse(FileFormat.CSV, b'id,additional_fields,desk\na,"{""k"": [1.10]}",x\n'))
    assert raw == b'{"id":"a","additional_fields":{"k": [1.10]},"desk":"x"}'


def test_csv_empty_cell_is_absent() -> None:
    assert raws(parse(FileFormat.CSV, b"id,price,x\na,,\n")) == [b'{"id":"a"}']


def test_csv_quoted_cell_may_hold_line_breaks() -> None:
    pieces = parse(FileFormat.CSV, b'id,x\na,"1\n2"\nb,3\n', chunk_size=5)
    assert [(p.position, json.loads(p.raw)) for p in pieces] == [
        (2, {"id": "a", "x": "1\n2"}),
        (4, {"id": "b", "x": "3"}),
    ]


@pytest.mark.parametrize("broken", [b'b,"2', b"b", b"b,1,2", b'b,"2"x', b"b,\xff"])
def test_csv_broken_line_is_one_fault_and_the_rest_goes_on(broken) -> None:
    pieces = parse(FileFormat.CSV, b'id,x\na,"1"\n' + broken + b'\nc,"3"\nd,4\n')
    assert [json.loads(r)["id"] for r in raws(pieces)] == ["a", "c", "d"]
    assert faults(pieces) == [3]


def test_csv_header_names_every_fault() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(FileFormat.CSV, b"a,,a\n1,2,3\n")
    assert [e.message.split(",")[0] for e in refused.value.errors] == [
        "column 2 has no name",
        "column 'a' appears 2 times",
        "has no column 'id'",
    ]


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b' \n[{"id":1}]', "x.txt", FileFormat.JSON),
        (b'{"id":1}\n', "x.json", FileFormat.JSONL),
        (b"[1]", "x.csv", FileFormat.JSON),
        (b"garbage\n{}", "x.JSONL.gz", FileFormat.JSONL),
        (b"", "x.ndjson", FileFormat.JSONL),
        (b"a;b\n", "x.csv.gz", FileFormat.CSV),
        (b'tenant_id,"id",x\n', "feed", FileFormat.CSV),
    ],
)
def test_format_is_told_from_content_then_name(head, name, expected) -> None:
    assert detect(head, name) is expected


@pytest.mark.parametrize(("head", "name"), [(b"hello world\n", "x.txt"), (b'{\n "id": 1\n}', "x.json")])
def test_format_that_cannot_be_told_is_refused(head, name) -> None:
    with pytest.raises(InvalidInput):
        detect(head, name)


@pytest.mark.parametrize(
    "head",
    [b"\xff\xfe[\0", b"\xfe\xff\0[", b"[\0]\0", b"PK\x03\x04", b"\x7fELF\x02\x01\0\0", b"PAR1", b"\x1f\x8b\x08"],
)
def test_what_is_no_text_is_refused(head) -> None:
    with pytest.raises(InvalidInput):
        without_bom(head)


def test_mark_of_utf8_is_dropped() -> None:
    assert without_bom(b"\xef\xbb\xbf[]") == b"[]"


def test_long_line_that_begins_blank_is_not_lost() -> None:
    assert faults(parse(FileFormat.JSONL, b" " * (MAX_PIECE_BYTES + 1) + b"{}\n")) == [1]
