"""`/api/docs`: the OpenAPI document as one readable page, with nothing loaded from elsewhere and no script."""

import json
import re
from html import escape
from importlib.resources import files
from typing import Any

import msgspec

from de_platform.http.responses import Response
from de_platform.http.routing import Endpoint, HTTPMethod, MediaType, Request

DOCS_PATH = "/api/docs"
DOCUMENT_PATH = "/api/openapi.json"
_STYLE_PATH = f"{DOCS_PATH}/style.css"

Json = dict[str, Any]

_CODE = re.compile(r"`([^`]+)`")


def docs_endpoints(document: Json) -> list[Endpoint]:
    """Serve a document, its page and the page's style; all are made once."""
    style = files("de_platform.http").joinpath("assets", "docs.css").read_bytes()
    return [
        _fixed(DOCUMENT_PATH, msgspec.json.encode(document), MediaType.JSON),
        _fixed(DOCS_PATH, docs_page(document).encode(), MediaType.HTML),
        _fixed(_STYLE_PATH, style, MediaType.CSS),
    ]


def _fixed(path: str, body: bytes, media_type: MediaType) -> Endpoint:
    charset = "" if media_type is MediaType.JSON else "; charset=utf-8"
    response = Response(body=body, media_type=f"{media_type}{charset}", headers={"cache-control": "no-cache"})

    async def serve(_: Request) -> Response:
        return response

    return Endpoint(method=HTTPMethod.GET, path=path, handle=serve)


def docs_page(document: Json) -> str:
    """Render a document as HTML."""
    info = document["info"]
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    sections = [_tag(tag, operations) for tag in document["tags"]]
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(info["title"])}</title><link rel="stylesheet" href="{_STYLE_PATH}"></head><body><main>'
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
        f"{_paragraphs(info['description'])}"
        f'<p>The same as an <a href="{DOCUMENT_PATH}">OpenAPI 3.1 document</a>.</p>'
        f'{"".join(sections)}<section id="schemas"><h2>Schemas</h2>{schemas}</section></main></body></html>'
    )


def _tag(tag: Json, operations: list[tuple[str, str, Json]]) -> str:
    own = [_operation(path, method, op) for path, method, op in operations if tag["name"] in op["tags"]]
    return f"<section><h2>{escape(tag['name'])}</h2>{_paragraphs(tag['description'])}{''.join(own)}</section>"


def _operation(path: str, method: str, operation: Json) -> str:
    parts = [
        f'<article id="{escape(operation["operationId"])}">',
        f"<h3><code>{method.upper()} {escape(path)}</code></h3><p>{escape(operation['summary'])}</p>",
        _paragraphs(operation.get("description", "")),
    ]
    if operation["parameters"]:
        rows = "".join(_parameter(parameter) for parameter in operation["parameters"])
        parts.append(f"<table><thead><tr><th>Parameter<th>In<th>Meaning<th>Values</tr></thead>{rows}</table>")
    if "requestBody" in operation:
        parts.append(f"<h4>Request</h4>{_body(operation['requestBody'])}")
    parts.append("<h4>Answers</h4>")
    parts.extend(
        f"<details><summary><code>{status}</code> {escape(response['description'])}</summary>"
        f"{_content(response['content'])}</details>"
        for status, response in operation["responses"].items()
    )
    return "".join([*parts, "</article>"])


def _parameter(parameter: Json) -> str:
    required = " (required)" if parameter["required"] else ""
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code>{required}<td>{parameter['in']}"
        f"<td>{_prose(parameter['description'])}<td><code>{escape(_brief(parameter['schema']))}</code></tr>"
    )


def _brief(schema: Json) -> str:
    if "properties" in schema:
        return ", ".join(schema["properties"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return " ".join(str(schema[key]) for key in ("type", "format", "pattern") if key in schema)


def _body(body: Json) -> str:
    return f"<p>{_prose(body['description'])}</p>{_content(body['content'])}"


def _content(content: Json) -> str:
    parts: list[str] = []
    for media_type, media in content.items():
        parts.append(f"<p><code>{escape(media_type)}</code> {_type(media['schema'])}</p>")
        if "example" in media:
            parts.append(_pre(media["example"]))
    return "".join(parts)


def _type(schema: Json) -> str:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.rsplit("/", 1)[-1]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    return escape(_brief(schema))


def _schema(name: str, schema: Json) -> str:
    return f'<details id="schema-{escape(name)}"><summary>{escape(name)}</summary>{_pre(schema)}</details>'


def _pre(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_prose(part)}</p>" for part in text.split("\n\n") if part)


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))
