"""What a ClickHouse HTTP request asks for: statement, data, settings and parameters."""

import gzip
import importlib
import re
import zlib
from collections.abc import Mapping
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from de_platform.services.database.interface import DatabaseError

MAX_BODY_BYTES = 256 * 1024 * 1024
"""Of a request's body, and of what it unpacks to."""

_BAD_ARGUMENTS = "36"
_SYNTAX_ERROR = "62"
_TOO_LARGE = "131"

_NOT_SETTINGS = frozenset(
    (
        "query",
        "database",
        "default_format",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "compress",
        "decompress",
        "wait_end_of_query",
        "buffer_size",
        "enable_http_compression",
        "http_zlib_compression_level",
        "client_protocol_version",
        "user",
        "password",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    )
)
"""Parameters of the protocol itself. Sessions are not kept: each statement stands alone. Answers always wait for
the end of the query."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUERY_ID = re.compile(r"[A-Za-z0-9._:-]{0,128}")
_PARAMETER_PREFIX = "param_"
_QUOTED = r"""'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*`"""
_INSERT_WITH_DATA = re.compile(
    rf"""
    \A (?P<target> \s* INSERT \b (?: (?! \b (?:SELECT|WITH|VALUES) \b ) [^'"`] | {_QUOTED} )*? )
    (?P<settings> \b SETTINGS \b (?: [^'] | {_QUOTED} )*? )?
    (?: \b FORMAT \s+ (?P<format>\w+) [ \t\r]* \n? | \b (?P<values>VALUES) \b )
    """.encode(),
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_LONGEST_INSERT_CLAUSE = 65_536
_TRAILING_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)


class Insert(msgspec.Struct, frozen=True, kw_only=True):
    """An INSERT whose rows came as data: its text before the data, cut where a file name can be put in."""

    target: str
    settings: str
    format: str
    data: bytes


class StoreRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One statement and how to run it."""

    statement: str
    insert: Insert | None
    """Given when rows came with the statement; then `statement` says nothing more."""
    result_format: str
    database: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    query_id: str
    accepts_gzip: bool


def parse_request(query_string: bytes, headers: Mapping[str, str], body: bytes) -> StoreRequest:
    """Read a request; header names are in lower case. Raises DatabaseError with ClickHouse's code for it."""
    fields = _address_fields(query_string)
    body = unpacked(body, headers.get("content-encoding", ""))
    if headers.get("content-type", "").startswith("multipart/form-data"):
        fields |= _form_fields(headers["content-type"], body)
        body = b""
    text = fields.get("query", "").encode()
    insert = _insert(text, body)
    statement = b"\n".join(part for part in (text, body) if part) if insert is None else text
    if not statement.strip() and insert is None:
        raise DatabaseError("Empty query", code=_SYNTAX_ERROR)
    return StoreRequest(
        statement=_decoded(statement),
        insert=insert,
        result_format=_result_format(_decoded(statement), fields, headers) if insert is None else "TabSeparated",
        database=fields.get("database") or headers.get("x-clickhouse-database", ""),
        settings=_settings(fields),
        parameters={
            name.removeprefix(_PARAMETER_PREFIX): value
            for name, value in fields.items()
            if name.startswith(_PARAMETER_PREFIX)
        },
        query_id=_check(fields.get("query_id", ""), _QUERY_ID, "the id of a query"),
        accepts_gzip=fields.get("enable_http_compression") == "1" and "gzip" in headers.get("accept-encoding", ""),
    )


def unpacked(body: bytes, encoding: str) -> bytes:
    """Undo a content encoding: gzip, deflate, or lz4 where its package is installed."""
    match encoding:
        case "" | "identity":
            return body
        case "gzip" | "deflate":
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
            try:
                data = unpacker.decompress(body, MAX_BODY_BYTES + 1)
            except zlib.error as error:
                raise DatabaseError(f"the body is not {encoding}: {error}", code=_BAD_ARGUMENTS) from error
            return _within_limit(data)
        case "lz4":
            return _within_limit(_unpacked_lz4(body))
        case _:
            raise DatabaseError(f"unknown content encoding {encoding!r}", code=_BAD_ARGUMENTS)


def packed(body: bytes) -> bytes:
    """Compress an answer as far as it is worth on a local connection."""
    return gzip.compress(body, compresslevel=1)


def too_large() -> DatabaseError:
    """Return what says that a body exceeds the limit."""
    return DatabaseError(f"the body exceeds {MAX_BODY_BYTES} bytes", code=_TOO_LARGE)


def _unpacked_lz4(body: bytes) -> bytes:
    try:
        lz4: Any = importlib.import_module("lz4.frame")
    except ImportError as error:
        raise DatabaseError("lz4 is not installed here: use gzip", code=_BAD_ARGUMENTS) from error
    try:
        return lz4.LZ4FrameDecompressor().decompress(body, max_length=MAX_BODY_BYTES + 1)
    except RuntimeError as error:
        raise DatabaseError(f"the body is not lz4: {error}", code=_BAD_ARGUMENTS) from error


def _within_limit(data: bytes) -> bytes:
    if len(data) > MAX_BODY_BYTES:
        raise too_large()
    return data


def _address_fields(query_string: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise DatabaseError("the address is not UTF-8", code=_BAD_ARGUMENTS) from error


def _form_fields(content_type: str, body: bytes) -> dict[str, str]:
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields: dict[str, str] = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            content: Any = part.get_payload(decode=True)
            fields[name] = _decoded(content)
    return fields


def _insert(text: bytes, body: bytes) -> Insert | None:
    """Recognise an INSERT with data; the data begins after the FORMAT clause and exactly one newline."""
    found = _INSERT_WITH_DATA.match((text or body)[:_LONGEST_INSERT_CLAUSE])
    if found is None or (found["values"] and not text):
        return None
    rest = (text or body)[found.end() :]
    if text and rest.strip() and not body:
        return None
    return Insert(
        target=_decoded(found["target"]),
        settings=_decoded(found["settings"] or b""),
        format=_decoded(found["format"] or b"Values"),
        data=rest + body if text else rest,
    )


def _result_format(statement: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> str:
    named = _TRAILING_FORMAT.search(statement)
    if named:
        return named.group(1)
    wanted = fields.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
    return _check(wanted, _NAME, "a format")


def _settings(fields: Mapping[str, str]) -> dict[str, str]:
    settings = {
        name: value
        for name, value in fields.items()
        if name not in _NOT_SETTINGS and not name.startswith(_PARAMETER_PREFIX)
    }
    for name in settings:
        _check(name, _NAME, "the name of a setting")
    return settings


def _check(text: str, pattern: re.Pattern[str], what: str) -> str:
    """Return text that will stand in a statement or a header as it is."""
    if not pattern.fullmatch(text):
        raise DatabaseError(f"{text!r} cannot be {what}", code=_BAD_ARGUMENTS)
    return text


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise DatabaseError("the statement is not UTF-8", code=_BAD_ARGUMENTS) from error
