"""Every rule of an event, checked one by one, all faults named.

This is the slow path: it runs for events that `decoding` could not accept at a glance, and it alone decides what is
wrong. It never raises anything but InvalidInput, whatever the bytes.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

import msgspec
from msgspec import Raw

from de_platform.pipeline.currencies import CURRENCIES
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import (
    ADDED_FIELDS,
    PLATFORM_TENANT,
    RESERVED_FIELDS,
    STAMPED_FIELDS,
    TENANT_ID_PATTERN,
    EventType,
    IngestionMethod,
)
from de_platform.pipeline.instants import MAX_AHEAD, parse_instant
from de_platform.pipeline.shapes import MAX_TEXT_CHARS

MAX_EVENT_BYTES = 64 * 1024
MAX_STAMP_BYTES = 4 * 1024
"""What a starter's stamps may add to an event."""
MAX_ADDITIONAL_FIELDS_BYTES = 16 * 1024
MAX_DEPTH = 64
MAX_SUBMISSION_ID_CHARS = 1024
MARKET = "market"

_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII)
_MAX_DIGITS = 18
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)

Value = str | Raw
Rule = Callable[[Raw], Value]


def decode_strictly(raw: bytes) -> dict[str, Raw]:
    """Return the top-level fields of a JSON object as raw JSON, the last one where a name appears more than once.

    Raises InvalidInput for anything else.
    """
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput.single("", f"is not UTF-8: {error.reason} at byte {error.start}") from None
    if raw.startswith(b"\xef\xbb\xbf"):
        raise InvalidInput.single("", "must not begin with a byte order mark")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        raise InvalidInput.single("", f"is nested more than {MAX_DEPTH} levels deep")
    try:
        fields = msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise InvalidInput.single("", "must be a JSON object") from None
    except msgspec.DecodeError as error:
        raise InvalidInput.single("", f"is not valid JSON: {error}") from None
    return fields


def examine(
    raw: bytes, event_type: EventType, *, tenant_id: str | None, arrived_at: datetime | None
) -> Mapping[str, Value]:
    """Check an event and return its known fields, text decoded and numbers raw.

    `arrived_at` is the instant of intake; None means that the event is stamped (with that instant among
    others). `tenant_id` is the tenant it must name, if it is bound. Raises InvalidInput with every fault.
    """
    stamped = arrived_at is None
    _check_size(raw, MAX_EVENT_BYTES + (MAX_STAMP_BYTES if stamped else 0))
    fields = decode_strictly(raw)
    faults = [FieldError(_shown(name), "appears more than once") for name in _duplicate_names(raw, fields)]
    reserved = _reserved(stamped=stamped)
    faults += [FieldError(name, "is reserved: the platform sets it") for name in fields if name in reserved]
    values: dict[str, Value] = {}
    if stamped:
        _apply(_STAMPS, fields, values, faults)
        _expect(values, "event_type", event_type.value, faults)
        arrived_at = _instant(values.get("ingested_at"))
    _apply(_RULES[event_type], fields, values, faults)
    _check_optional(event_type, fields, values, faults)
    if tenant_id is not None:
        _expect(values, "tenant_id", tenant_id, faults)
    _check_not_ahead(values, arrived_at, faults)
    if faults:
        raise InvalidInput(faults)
    return values


def is_tenant_id(text: str) -> bool:
    """Say whether an event may carry this tenant."""
    return TENANT_ID_PATTERN.fullmatch(text) is not None and text != PLATFORM_TENANT


# decoding


def _check_size(raw: bytes, limit: int) -> None:
    if len(raw) > limit:
        raise InvalidInput.single("", f"is {len(raw)} bytes long, more than the {limit} allowed")


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    for token in _BRACKET.finditer(raw):
        if raw[token.start()] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif raw[token.start()] in b"]}":
            depth -= 1
    return deepest


def _duplicate_names(raw: bytes, fields: Mapping[str, Raw]) -> list[str]:
    """Return names that occur more than once at the top level.

    Every occurrence of a name costs two quotation marks, so when the marks add up there is none.
    """
    marks = 2 * len(fields) + sum(bytes(value).count(b'"') for value in fields.values())
    if marks == raw.count(b'"'):
        return []
    pairs: list[tuple[str, object]] = json.loads(raw, object_pairs_hook=list, parse_int=str, parse_float=str)
    names = [name for name, _ in pairs]
    return [name for name in fields if names.count(name) > 1]


def _shown(name: str) -> str:
    return name[:MAX_TEXT_CHARS]


# rules of one field: take raw JSON, return the value, raise ValueError with a message for the sender


def _text(value: Raw, *, max_chars: int = MAX_TEXT_CHARS) -> str:
    text = _string(value)
    if not text.strip():
        raise ValueError("must not be empty")
    if len(text) > max_chars:
        raise ValueError(f"is {len(text)} characters long, more than the {max_chars} allowed")
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def _string(value: Raw) -> str:
    try:
        return msgspec.json.decode(value, type=str)
    except msgspec.ValidationError:
        raise ValueError(f"must be a string, not {_kind(value)}") from None


def _kind(value: Raw) -> str:
    match bytes(value)[:1]:
        case b'"':
            return "a string"
        case b"{":
            return "an object"
        case b"[":
            return "a list"
        case b"t" | b"f":
            return "a boolean"
        case b"n":
            return "null"
        case _:
            return "a number"


def _positive_number(value: Raw) -> Raw:
    if _kind(value) != "a number":
        raise ValueError(f"must be a number, not {_kind(value)}")
    text = bytes(value).decode("ascii")
    if text.startswith("-"):
        raise ValueError("must be greater than 0")
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("must be in plain notation, without an exponent")
    if len(found[1]) > _MAX_DIGITS or len(found[2] or "") > _MAX_DIGITS:
        raise ValueError(f"has more than {_MAX_DIGITS} digits before or after the decimal point")
    if not text.strip("0."):
        raise ValueError("must be greater than 0")
    return value


def _time(value: Raw) -> str:
    text = _string(value)
    parse_instant(text)
    return text


def _tenant_id(value: Raw) -> str:
    text = _string(value)
    if not TENANT_ID_PATTERN.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits, dots, underscores or hyphens")
    if text == PLATFORM_TENANT:
        raise ValueError(f"{PLATFORM_TENANT!r} is reserved")
    return text


def _currency(value: Raw) -> str:
    text = _string(value)
    if text not in CURRENCIES:
        raise ValueError("must be a currency code of ISO 4217, like USD")
    return text


def _one_of(allowed: tuple[str, ...], value: Raw) -> str:
    text = _string(value)
    if text not in allowed:
        raise ValueError(f"must be {' or '.join(allowed)}")
    return text


def _object(value: Raw) -> Raw:
    if _kind(value) != "an object":
        raise ValueError(f"must be an object, not {_kind(value)}")
    size = len(bytes(value))
    if size > MAX_ADDITIONAL_FIELDS_BYTES:
        raise ValueError(f"is {size} bytes long, more than the {MAX_ADDITIONAL_FIELDS_BYTES} allowed")
    return value


_side = partial(_one_of, ("buy", "sell"))

_COMMON: dict[str, Rule] = {
    "id": _text,
    "tenant_id": _tenant_id,
    "status": _text,
    "transact_time": _time,
}
_RULES: dict[EventType, dict[str, Rule]] = {
    EventType.ORDER: {
        **_COMMON,
        "symbol": _text,
        "side": _side,
        "quantity": _positive_number,
        "order_type": _text,
        "currency": _currency,
    },
    EventType.EXECUTION: {
        **_COMMON,
        "order_id": _text,
        "symbol": _text,
        "side": _side,
        "quantity": _positive_number,
        "price": _positive_number,
        "execution_venue": _text,
        "currency": _currency,
    },
    EventType.TRANSACTION: {
        **_COMMON,
        "account_id": _text,
        "counterparty_id": _text,
        "amount": _positive_number,
        "currency": _currency,
        "transaction_type": _text,
    },
}
_STAMPS: dict[str, Rule] = {
    "message_id": _text,
    "ingested_at": _time,
    "event_type": _text,
    "ingestion_method": partial(_one_of, tuple(method.value for method in IngestionMethod)),
    "submission_id": partial(_text, max_chars=MAX_SUBMISSION_ID_CHARS),
}
_OPTIONAL: dict[str, Rule] = {"client_id": _text, "supersedes": _text, "additional_fields": _object}


def _apply(
    rules: Mapping[str, Rule], fields: Mapping[str, Raw], values: dict[str, Value], faults: list[FieldError]
) -> None:
    """Apply rules to fields that must be there."""
    for name, rule in rules.items():
        if name not in fields:
            faults.append(FieldError(name, "is missing"))
            continue
        _apply_one(name, rule, fields[name], values, faults)


def _apply_one(name: str, rule: Rule, value: Raw, values: dict[str, Value], faults: list[FieldError]) -> None:
    try:
        values[name] = rule(value)
    except ValueError as error:
        faults.append(FieldError(name, str(error)))


def _check_optional(
    event_type: EventType, fields: Mapping[str, Raw], values: dict[str, Value], faults: list[FieldError]
) -> None:
    rules = dict(_OPTIONAL)
    if event_type is EventType.ORDER:
        rules["order_id"] = _text
        if "price" in fields and not (values.get("order_type") == MARKET and _kind(fields["price"]) == "null"):
            rules["price"] = _positive_number
        elif "price" not in fields and values.get("order_type") != MARKET:
            faults.append(FieldError("price", "is missing; only a market order may lack it"))
    if "ingested_at" in values:
        rules["replayed_at"] = _time
    for name, rule in rules.items():
        if name in fields:
            _apply_one(name, rule, fields[name], values, faults)


# rules between fields


_RESERVED_WHEN_STAMPED = frozenset((*ADDED_FIELDS, "origin", "transact_date")) - frozenset(STAMPED_FIELDS)


def _reserved(*, stamped: bool) -> frozenset[str]:
    return _RESERVED_WHEN_STAMPED if stamped else RESERVED_FIELDS


def _expect(values: Mapping[str, Value], name: str, expected: str, faults: list[FieldError]) -> None:
    if name in values and values[name] != expected:
        faults.append(FieldError(name, f"must be {expected!r} here"))


def _instant(text: Value | None) -> datetime | None:
    return parse_instant(text) if isinstance(text, str) else None


def _check_not_ahead(values: Mapping[str, Value], arrived_at: datetime | None, faults: list[FieldError]) -> None:
    transact_time = _instant(values.get("transact_time"))
    if transact_time is not None and arrived_at is not None and transact_time > arrived_at + MAX_AHEAD:
        minutes = int(MAX_AHEAD.total_seconds() // 60)
        faults.append(FieldError("transact_time", f"is more than {minutes} minutes in the future of its arrival"))
