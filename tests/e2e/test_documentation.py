"""The OpenAPI document and the web pages, as the running service has them."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.http import get, post
from tests.support.service import Service

OF_ACCOUNTS = ("/v1/files", "/v1/batches", "/v1/scoped-jwt")


def test_every_documented_example_is_answered(simulated: Service) -> None:
    document = get(simulated.url + "/openapi.json").json()
    asked = 0
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if "requestBody" in operation and path not in OF_ACCOUNTS:
                example = operation["requestBody"]["content"]["application/json"]["example"]
                reply = post(simulated.url + path, example)
                assert reply.status == 200, reply.body
                assert reply.headers["content-type"].partition(";")[0] in operation["responses"]["200"]["content"]
                asked += 1
    assert asked == 7


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_needs_nothing_from_elsewhere(simulated: Service, path: str) -> None:
    reply = get(simulated.url + path)
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    loaded = re.findall(r"(?:src|href)=\"(/web/[^\"]+)\"", reply.body.decode())
    assert loaded
    assert [get(simulated.url + path).status for path in loaded] == [200] * len(loaded)


def test_the_document_is_plain_json_of_openapi_3_1(simulated: Service) -> None:
    assert json.loads(get(simulated.url + "/openapi.json").body)["openapi"] == "3.1.0"
