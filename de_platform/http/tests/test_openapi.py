import json
import re
from http import HTTPMethod

import httpx
import msgspec

from de_platform.http.openapi import ApiInfo, openapi_document
from de_platform.http.responses import Response
from de_platform.http.routing import Body, Endpoint, Operation, Parameter, Request


class Thing(msgspec.Struct, frozen=True):
    """Something."""

    name: str


class Things(msgspec.Struct, frozen=True):
    items: list[Thing]


LIST = Operation(
    method=HTTPMethod.GET,
    path="/api/things/{name}",
    operation_id="get_thing",
    summary="Get <one>",
    tag="things",
    parameters=(Parameter(name="name", place="path", description="Its name.", schema={"type": "string"}),),
    responses={200: Body(shape=Thing, description="It.", example=Thing("a"))},
    problems=(404,),
)
CREATE = Operation(
    method=HTTPMethod.POST,
    path="/api/things",
    operation_id="create_things",
    summary="Create",
    tag="things",
    request=Body(shape=Things, description="Them.", example=Things([Thing("a")])),
    responses={200: Body(shape=Thing, description="It.")},
)
INFO = ApiInfo(title="Test & co", version="1", description="One.\n\nTwo.", tags={"things": "Things."})


async def answer(_: Request) -> Response:
    return Response()


def test_bodies_refer_to_schemas_of_their_types() -> None:
    document = openapi_document([LIST, CREATE], INFO)
    response = document["paths"]["/api/things/{name}"]["get"]["responses"]["200"]
    assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert document["components"]["schemas"]["Thing"]["properties"] == {"name": {"type": "string"}}


def test_examples_fit_their_types() -> None:
    document = openapi_document([LIST, CREATE], INFO)
    content = document["paths"]["/api/things"]["post"]["requestBody"]["content"]["application/json"]
    assert msgspec.convert(content["example"], Things) == Things([Thing("a")])


def test_every_operation_documents_problems() -> None:
    document = openapi_document([LIST, CREATE], INFO)
    responses = document["paths"]["/api/things/{name}"]["get"]["responses"]
    assert set(responses) == {"200", "404", "default"}
    assert "application/problem+json" in responses["404"]["content"]


def test_every_reference_leads_somewhere() -> None:
    document = openapi_document([LIST, CREATE], INFO)
    referred = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert referred == {"Thing", "Things", "FieldError", "Problem"}
    assert referred <= set(document["components"]["schemas"])


def test_the_same_operations_give_the_same_document() -> None:
    assert openapi_document([LIST, CREATE], INFO) == openapi_document([LIST, CREATE], INFO)


async def test_document_and_page_are_served(make_app) -> None:
    app = make_app([Endpoint.of(LIST, answer), Endpoint.of(CREATE, answer)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        document = await client.get("/api/openapi.json")
        page = await client.get("/api/docs")
        style = await client.get("/api/docs/style.css")
    assert document.json()["openapi"] == "3.1.0"
    assert "GET /api/things/{name}" in page.text
    assert "Get &lt;one&gt;" in page.text
    assert style.headers["content-type"].startswith("text/css")


async def test_the_page_loads_nothing_from_elsewhere_and_has_nothing_inline(make_app) -> None:
    app = make_app([Endpoint.of(LIST, answer)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        page = (await client.get("/api/docs")).text
    assert "<script" not in page
    assert "<style" not in page
    assert "style=" not in page
    assert "//" not in page.replace("https://json-schema.org", "")
