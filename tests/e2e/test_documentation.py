"""The OpenAPI document and the page to try the API, as the running service has them."""

from __future__ import annotations

import json
import re

from tests.support.http import get, post
from tests.support.service import Service


def test_every_documented_example_is_answered(simulated: Service) -> None:
    document = get(simulated.url + "/openapi.json").json()
    asked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method == "post":
                example = operation["requestBody"]["content"]["application/json"]["example"]
                reply = post(simulated.url + path, example)
                assert reply.status == 200, reply.body
                assert reply.headers["content-type"].partition(";")[0] in operation["responses"]["200"]["content"]
                asked += 1
    assert asked == 4


def test_the_page_needs_nothing_from_elsewhere(simulated: Service) -> None:
    reply = get(simulated.url + "/docs")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert re.findall(rb"(?:src|href)=\"(?!/)|https?://|@import", reply.body) == []


def test_the_document_is_plain_json_of_openapi_3_1(simulated: Service) -> None:
    assert json.loads(get(simulated.url + "/openapi.json").body)["openapi"] == "3.1.0"
