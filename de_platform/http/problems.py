"""The one place where errors become answers: RFC 9457 `application/problem+json`.

| error                         | status                                                        |
| ----------------------------- | ------------------------------------------------------------- |
| InvalidInput                  | 422 where a body was sent, 400 where only the address can err |
| Unavailable                   | 503 with Retry-After                                          |
| HttpError                     | its own                                                       |
| no such path                  | 404                                                           |
| anything else: a defect       | 500, request id, nothing of the cause                         |
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from litestar.exceptions import HTTPException

from de_platform.http.responses import Response
from de_platform.pipeline.errors import FieldError, InvalidInput, Unavailable

RETRY_AFTER_SECONDS = 2
_MAX_DETAIL = 500
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class HttpError(Exception):
    """An answer that only HTTP has a word for: too large, unsupported media, not found."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers or {}
        super().__init__(f"{status} {detail}")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer that is not a success. Absent `type` means `about:blank`, as the RFC has it."""

    title: str
    """The status in words."""
    status: int
    detail: str
    """What is wrong this time."""
    instance: str
    """The path that was asked."""
    request_id: str
    """To quote when asking for help; also in the header `x-request-id` and in the logs."""
    errors: tuple[FieldError, ...] = ()
    """Every field that is wrong."""


def problem_response(error: Exception, *, method: str, path: str, request_id: str) -> Response:
    """Turn any error into its answer."""
    http_error = _as_http_error(error, method)
    problem = Problem(
        title=_title(http_error.status),
        status=http_error.status,
        detail=http_error.detail[:_MAX_DETAIL],
        instance=_printable(path),
        request_id=request_id,
        errors=http_error.errors,
    )
    return Response(
        status=http_error.status,
        body=msgspec.json.encode(problem),
        media_type="application/problem+json",
        headers=http_error.headers,
    )


def _as_http_error(error: Exception, method: str) -> HttpError:
    match error:
        case HttpError():
            return error
        case InvalidInput():
            return HttpError(400 if method in _BODILESS else 422, str(error), errors=error.errors)
        case Unavailable():
            return HttpError(
                503,
                f"{error.dependency} does not answer right now; nothing is wrong with the request, send it again",
                headers={"retry-after": str(RETRY_AFTER_SECONDS)},
            )
        case HTTPException() if error.status_code < 500:
            return _of_framework(error, method)
        case _:
            return HttpError(500, "something went wrong on our side; quote the request id when you report it")


def _of_framework(error: HTTPException, method: str) -> HttpError:
    match error.status_code:
        case 404:
            return HttpError(404, "nothing is served at this path; /api/docs lists what is")
        case 405:
            offered = {name.strip() for name in (error.headers or {}).get("allow", "").split(",")}
            allow = ", ".join(sorted(offered | {"HEAD"} if "GET" in offered else offered))
            return HttpError(405, f"{method[:32]} is not allowed here; allowed: {allow}", headers={"allow": allow})
        case status:
            return HttpError(status, error.detail)


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


def _printable(path: str) -> str:
    """Shorten the path and take out what could not be encoded or would disturb a terminal."""
    return "".join(c if c.isprintable() else "?" for c in path[:256])
