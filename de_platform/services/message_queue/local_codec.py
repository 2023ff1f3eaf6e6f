"""Record batches: how the records of one publish to one partition are stored as one blob.

A blob is MessagePack: an array of columns. Offsets are not in it; they follow from the row that carries
it. Columns make both directions a few calls into C a batch instead of a few a record; and headers, of
which a batch's records have the same names and often the same values, take a fraction of the space.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from de_platform.pipeline.messages import Message, Record
from de_platform.services.message_queue.partitioning import chosen_partition

MAX_BATCH_BYTES = 1 << 20
"""Of values in one blob, as a rule: a reader of a few records decodes not much more than it needs."""


class _Columns(msgspec.Struct, array_like=True, frozen=True):
    keys: list[str]
    values: list[bytes]
    common_headers: dict[str, str] = {}
    """Every header name; the values that all records share, empty for the others."""
    varying_headers: dict[str, list[str]] = {}
    """The values of headers that differ, one a record."""
    irregular_headers: list[Mapping[str, str]] = []
    """Instead of the two: all headers of each record, when the records do not have the same names."""


class PackedBatch(NamedTuple):
    """Records on their way into one partition."""

    partition_id: int
    records: int
    payload: bytes


_encoder = msgspec.msgpack.Encoder(enc_hook=dict)
_decoder = msgspec.msgpack.Decoder(_Columns)


def pack(messages: Sequence[Message], partition_ids: Mapping[str, Sequence[int]]) -> list[PackedBatch]:
    """Sort messages into partitions, keeping their order, and encode them.

    `partition_ids` has every topic's partitions by number. Raises InvalidInput for a partition that does not exist.
    """
    by_partition: dict[int, list[Message]] = {}
    targets: dict[tuple[str, str, int | None], list[Message]] = {}
    for message in messages:
        address = (message.topic, message.key, message.partition)
        target = targets.get(address)
        if target is None:
            ids = partition_ids[message.topic]
            number = chosen_partition(message.topic, message.key, message.partition, len(ids))
            target = targets[address] = by_partition.setdefault(ids[number], [])
        target.append(message)
    return [
        PackedBatch(partition_id, len(part), _encode(part, values))
        for partition_id, whole in by_partition.items()
        for part, values in _parts(whole)
    ]


def unpack(payload: bytes, first_offset: int) -> tuple[Record, ...]:
    """Decode a blob into records that count up from `first_offset`."""
    columns = _decoder.decode(payload)
    offsets = range(first_offset, first_offset + len(columns.keys))
    return tuple(map(Record, offsets, columns.keys, columns.values, _headers(columns)))


def _encode(messages: Sequence[Message], values: list[bytes]) -> bytes:
    keys = [m.key for m in messages]
    headers = [m.headers for m in messages]
    by_name = _transposed(headers)
    if by_name is None:
        return _encoder.encode(_Columns(keys, values, irregular_headers=headers))
    varying = {name: column for name, column in by_name.items() if column.count(column[0]) < len(column)}
    common = {name: "" if name in varying else column[0] for name, column in by_name.items()}
    return _encoder.encode(_Columns(keys, values, common, varying))


def _transposed(headers: Sequence[Mapping[str, str]]) -> dict[str, list[str]] | None:
    """Return the values of each name, None unless all have the same names."""
    names = headers[0]
    if set(map(len, headers)) != {len(names)}:
        return None
    try:
        return {name: [h[name] for h in headers] for name in names}
    except KeyError:
        return None


def _headers(columns: _Columns) -> Sequence[Mapping[str, str]]:
    if columns.irregular_headers:
        return columns.irregular_headers
    headers = [columns.common_headers.copy() for _ in columns.keys]
    for name, column in columns.varying_headers.items():
        for of_record, value in zip(headers, column, strict=True):
            of_record[name] = value
    return headers


def _parts(messages: list[Message]) -> Iterator[tuple[list[Message], list[bytes]]]:
    values = [m.value for m in messages]
    parts = -(-sum(map(len, values)) // MAX_BATCH_BYTES)
    if parts <= 1:
        yield messages, values
        return
    step = -(-len(messages) // parts)
    for start in range(0, len(messages), step):
        yield messages[start : start + step], values[start : start + step]
