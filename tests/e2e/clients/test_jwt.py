"""Scoped tokens that the libraries of others sign with a key, as edge/README.md says."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.clients import CLIENTS
from tests.support.http import get, post
from tests.support.npm import installed, node
from tests.support.operator import Operator
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

JOSERFC = """
import json, sys
from joserfc import jwt
from joserfc.jwk import OctKey
key, claims = sys.argv[1], json.loads(sys.argv[2])
header = {"alg": "HS256", "kid": key.split("_")[1]}
print(json.dumps(jwt.encode(header, claims, OctKey.import_key(key))))
"""
NODE = Path(__file__).with_name("jsonwebtoken.cjs")


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(str(tmp_path_factory.mktemp("accounts") / "accounts.db"))


@pytest.fixture(scope="module")
def key(accounts: Operator) -> str:
    return accounts.run("keys", "create", "signer")


@pytest.fixture(scope="module")
def service(accounts: Operator, key: str) -> Iterator[Service]:
    with Service(engine="simulated", simulated_rate=0, model_name="simulated", accounts=accounts.place) as running:
        yield running


def signed_in_python(key: str, claims: dict[str, Any]) -> str:
    return str(CLIENTS["joserfc"].run(JOSERFC, key, json.dumps(claims)))


def signed_in_node(key: str, claims: dict[str, Any]) -> str:
    program = shutil.copy(NODE, installed([CLIENTS["jsonwebtoken"].package]))
    done = subprocess.run([node(), program, key, json.dumps(claims)], capture_output=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


@pytest.mark.parametrize("sign", [signed_in_python, signed_in_node])
def test_what_a_library_signs_with_the_key_is_held_to_its_claims(service: Service, key: str, sign: Any) -> None:
    claims = {"models": ["simulated"], "exp": int(time.time()) + 600, "spending_limit": 0.5, "jti": sign.__name__}
    body = {"model": "simulated", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 2}
    chats = service.url + "/v1/chat/completions"
    token = sign(key, claims)
    assert post(chats, body, authorization=f"Bearer {token}").status == 200
    found = get(f"{service.url}/v1/scoped-jwt?jwtoken={token}", authorization=f"Bearer {key}").json()
    assert (found["id"], found["models"], found["spending_limit"]) == (sign.__name__, ["simulated"], 0.5)
    statuses = [
        post(chats, body, authorization=f"Bearer {sign(secret, {**claims, **changes})}").status
        for secret, changes in ((key, {"models": ["m"]}), (key, {"exp": 1}), (f"{key[:-1]}!", {}))
    ]
    assert statuses == [403, 401, 401]
