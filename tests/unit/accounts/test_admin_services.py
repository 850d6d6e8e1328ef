"""KeyService and the UsageService of all keys, as a program of the operator calls them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from chasqui.v1 import key_service_pb2 as pb
from chasqui.v1 import key_service_pb2_grpc, usage_service_pb2, usage_service_pb2_grpc
from services.accounts.keys.key import Key
from services.accounts.prices.money import PICODOLLARS
from services.accounts.sql.accounts import SqlAccounts
from services.chat.accounts.admin_server import build_admin_server
from services.errors import InvalidApiKey
from services.settings import Settings, SettingsError
from services.telemetry.rpc import RpcObserver
from services.telemetry.spans import untraced
from tests.support.ledger import an_entry
from tests.support.wording import is_one_sentence

KEY = "operator-key"
AUTHORIZED = (("authorization", f"Bearer {KEY}"),)
SERVICES = ("chasqui.v1.KeyService", "chasqui.v1.UsageService")
LIMIT = 60.0  # seconds for what another thread does at once


@pytest.fixture
def accounts(place: str, tmp_path: Path) -> Any:
    opened = SqlAccounts(place, tmp_path / "journal")
    yield opened
    opened.close()


@pytest.fixture
async def channel(accounts: SqlAccounts, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """To a server with the services."""
    address = f"unix:{tmp_path / 'admin.sock'}"
    settings = Settings(admin_address=address, admin_keys=f"{KEY},second")
    server = build_admin_server(settings, accounts, RpcObserver(untraced()))
    assert server is not None
    await server.start()
    async with grpc.aio.insecure_channel(address) as opened:
        yield opened
    await server.stop(None)


@pytest.fixture
def keys(channel: grpc.aio.Channel) -> Any:
    stub: Any = key_service_pb2_grpc.KeyServiceStub(channel)

    class Authorized:
        def __getattr__(self, name: str) -> Any:
            return lambda request: getattr(stub, name)(request, metadata=AUTHORIZED)

    return Authorized()


async def refused(call: Any) -> tuple[str, str, str]:
    """The status code, the reason, and the field of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status: Any = rpc_status.from_call(raised.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return raised.value.code().name, info.reason, info.metadata.get("param", "")


def valid(accounts: SqlAccounts, secret: str, expected: bool) -> bool:
    """Whether the servers' keys take or refuse a secret, soon."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = False
        with suppress(InvalidApiKey):
            found = accounts.key(secret) is not None
        if found is expected:
            return True
        time.sleep(0.02)
    return False


def written(accounts: SqlAccounts, rows: int) -> bool:
    """Whether the ledger has so many rows, soon."""
    end = time.monotonic() + LIMIT
    while accounts.ledger.state().written < rows and time.monotonic() < end:
        time.sleep(0.02)
    return accounts.ledger.state().written == rows


async def test_a_key_from_its_creation_to_its_end(keys: Any, accounts: SqlAccounts) -> None:
    end = Timestamp(seconds=int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()))
    rights = pb.KeyRights(
        owner="research",
        expires_at=end,
        models=["m"],
        endpoints=["chat/completions", "scoped-jwt"],
        tiers=["flex"],
        priority="high",
        limits=pb.KeyLimits(calls_per_minute=60, usd_per_day="2.5"),
    )
    made = await keys.CreateKey(pb.CreateKeyRequest(name="ana", rights=rights))
    assert valid(accounts, made.secret, True)
    assert accounts.key(made.secret) == accounts.key_store.find("ana")
    assert made.key.prefixes == [made.secret[:17]]
    assert (made.key.status, made.key.rights) == (pb.KEY_STATUS_ACTIVE, rights)
    assert abs(made.key.created_at.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (await keys.GetKey(pb.GetKeyRequest(name="ana"))).key == made.key

    mask = FieldMask(paths=["owner", "limits.usd_per_day", "limits.usd_per_month", "endpoints"])
    new = pb.KeyRights(owner="sales", limits=pb.KeyLimits(usd_per_month="7", calls_per_minute=1), models=["n"])
    changed = (await keys.UpdateKey(pb.UpdateKeyRequest(name="ana", rights=new, update_mask=mask))).key.rights
    assert (changed.owner, list(changed.models), list(changed.endpoints)) == ("sales", ["m"], [])
    assert changed.limits == pb.KeyLimits(calls_per_minute=60, usd_per_month="7")

    rotated = await keys.RotateKey(pb.RotateKeyRequest(name="ana", overlap=Duration(seconds=3600)))
    assert rotated.key.prefixes == [rotated.secret[:17], made.secret[:17]]
    again = await keys.RotateKey(pb.RotateKeyRequest(name="ana"))
    assert again.key.prefixes == [again.secret[:17]]
    revoked = await keys.RevokeKey(pb.RevokeKeyRequest(name="ana"))
    assert revoked.key.status == pb.KEY_STATUS_REVOKED
    assert valid(accounts, again.secret, False)


async def test_what_is_done_to_keys_is_logged_without_their_secrets(
    keys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "services.chat.accounts")
    secrets = [(await keys.CreateKey(pb.CreateKeyRequest(name="ana"))).secret]
    mask = FieldMask(paths=["owner"])
    await keys.UpdateKey(pb.UpdateKeyRequest(name="ana", rights=pb.KeyRights(owner="o"), update_mask=mask))
    secrets.append((await keys.RotateKey(pb.RotateKeyRequest(name="ana"))).secret)
    await keys.RevokeKey(pb.RevokeKeyRequest(name="ana"))
    records: list[Any] = [record for record in caplog.records if record.name == "services.chat.accounts.key_servicer"]
    assert [record.getMessage() for record in records] == [
        f"a key was {what}" for what in ("created", "changed", "rotated", "revoked")
    ]
    assert {record.fields["key"] for record in records} == {"ana"}
    assert all(record.fields["request_id"] for record in records)
    assert not [secret for secret in secrets if secret in str([vars(record) for record in records])]


async def test_keys_are_listed_in_pages(keys: Any) -> None:
    for name in ("c", "a", "b"):
        await keys.CreateKey(pb.CreateKeyRequest(name=name))
    first = await keys.ListKeys(pb.ListKeysRequest(page_size=2))
    rest = await keys.ListKeys(pb.ListKeysRequest(page_size=2, page_token=first.next_page_token))
    assert [key.name for key in [*first.keys, *rest.keys]] == ["a", "b", "c"]
    assert rest.next_page_token == ""
    everything = await keys.ListKeys(pb.ListKeysRequest())
    assert [(key.name, key.rights.priority, len(key.prefixes)) for key in everything.keys] == [
        (name, "normal", 1) for name in ("a", "b", "c")
    ]


def new(**rights: Any) -> pb.CreateKeyRequest:
    return pb.CreateKeyRequest(name="new", rights=pb.KeyRights(**rights))


def limited(**limits: Any) -> pb.CreateKeyRequest:
    return new(limits=pb.KeyLimits(**limits))


@pytest.mark.parametrize(
    ("method", "request_", "code", "field"),
    [
        ("CreateKey", pb.CreateKeyRequest(name="ana"), "ALREADY_EXISTS", "name"),
        ("CreateKey", pb.CreateKeyRequest(name="a b"), "INVALID_ARGUMENT", "name"),
        ("CreateKey", new(endpoints=["chat"]), "INVALID_ARGUMENT", "rights.endpoints"),
        ("CreateKey", new(tiers=["x"]), "INVALID_ARGUMENT", "rights.tiers"),
        ("CreateKey", new(priority="top"), "INVALID_ARGUMENT", "rights.priority"),
        ("CreateKey", new(owner="o" * 129), "INVALID_ARGUMENT", "rights.owner"),
        ("CreateKey", new(owner="o\0"), "INVALID_ARGUMENT", "rights.owner"),
        ("CreateKey", new(models=[""]), "INVALID_ARGUMENT", "rights.models"),
        ("CreateKey", new(expires_at=Timestamp(seconds=10**15)), "INVALID_ARGUMENT", "rights.expires_at"),
        ("CreateKey", limited(usd_per_day="much"), "INVALID_ARGUMENT", "rights.limits.usd_per_day"),
        ("CreateKey", limited(calls_per_minute=-1), "INVALID_ARGUMENT", "rights.limits.calls_per_minute"),
        ("GetKey", pb.GetKeyRequest(name="nobody"), "NOT_FOUND", "name"),
        ("RevokeKey", pb.RevokeKeyRequest(name="revoked"), "FAILED_PRECONDITION", "name"),
        ("RotateKey", pb.RotateKeyRequest(name="ana", overlap=Duration(seconds=-1)), "INVALID_ARGUMENT", "overlap"),
        ("RotateKey", pb.RotateKeyRequest(name="ana", overlap=Duration(seconds=10**11)), "INVALID_ARGUMENT", "overlap"),
        ("UpdateKey", pb.UpdateKeyRequest(name="ana"), "INVALID_ARGUMENT", "update_mask"),
        (
            "UpdateKey",
            pb.UpdateKeyRequest(name="ana", update_mask=FieldMask(paths=["name"])),
            "INVALID_ARGUMENT",
            "update_mask",
        ),
        ("ListKeys", pb.ListKeysRequest(page_size=1001), "INVALID_ARGUMENT", "page_size"),
        ("ListKeys", pb.ListKeysRequest(page_size=-1), "INVALID_ARGUMENT", "page_size"),
    ],
)
async def test_what_is_wrong_is_named(keys: Any, method: str, request_: Any, code: str, field: str) -> None:
    for name in ("ana", "revoked"):
        await keys.CreateKey(pb.CreateKeyRequest(name=name))
    await keys.RevokeKey(pb.RevokeKeyRequest(name="revoked"))
    found = await refused(getattr(keys, method)(request_))
    assert (found[0], found[2]) == (code, field)


async def test_usage_is_of_all_keys_or_of_those_that_are_selected(
    channel: grpc.aio.Channel, accounts: SqlAccounts
) -> None:
    for number, key in enumerate(("ana", "ana", "ben")):
        entry = an_entry(f"{number}", key=key, token="t" if number else "", cost=PICODOLLARS * (number + 1))
        accounts.ledger.record(entry)
    stub: Any = usage_service_pb2_grpc.UsageServiceStub(channel)

    async def sums(by: list[str], **where: str) -> list[tuple[dict[str, str], int, str]]:
        request = usage_service_pb2.ListUsageRequest(by=by, filter=usage_service_pb2.UsageFilter(**where))
        answer = await stub.ListUsage(request, metadata=AUTHORIZED)
        return [(dict(one.groups), one.calls, one.cost_usd.rstrip("0").rstrip(".")) for one in answer.sums]

    assert written(accounts, 3)
    assert await sums(["key"]) == [({"key": "ana"}, 2, "3"), ({"key": "ben"}, 1, "3")]
    assert await sums(["token"], key="ana") == [({"token": ""}, 1, "1"), ({"token": "t"}, 1, "2")]
    assert await sums([], token="") == [({}, 1, "1")]


async def test_nothing_is_done_without_an_admin_key(channel: grpc.aio.Channel, accounts: SqlAccounts) -> None:
    keys: Any = key_service_pb2_grpc.KeyServiceStub(channel)
    usage: Any = usage_service_pb2_grpc.UsageServiceStub(channel)
    secret = accounts.key_store.create(Key("ana", "", datetime.now(UTC)))
    assert valid(accounts, secret, True)
    for authorization in (None, "Bearer wrong", f"Bearer {secret}", KEY):
        metadata = () if authorization is None else (("authorization", authorization),)
        for call in (
            keys.CreateKey(pb.CreateKeyRequest(name="new"), metadata=metadata),
            keys.ListKeys(pb.ListKeysRequest(), metadata=metadata),
            usage.ListUsage(usage_service_pb2.ListUsageRequest(), metadata=metadata),
        ):
            assert (await refused(call))[:2] == ("UNAUTHENTICATED", "INVALID_API_KEY")
    assert [key.name for key in accounts.key_store.all()] == ["ana"]
    second = (("authorization", "Bearer second"),)
    assert (await keys.ListKeys(pb.ListKeysRequest(), metadata=second)).keys


async def test_reflection_lists_these_services(channel: grpc.aio.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    call = stub.ServerReflectionInfo(iter([asked]), metadata=AUTHORIZED)
    answer = await call.read()
    names = {service.name for service in answer.list_services_response.service}
    assert {name for name in names if name.startswith("chasqui")} == set(SERVICES)


async def test_health_needs_no_key(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    for service in ("", *SERVICES):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("mutual", [False, True])
async def test_the_address_has_tls_where_the_public_port_has_it(
    accounts: SqlAccounts, tmp_path: Path, mutual: bool
) -> None:
    authority, issued = trustme.CA(), tmp_path / "issued"
    issued.mkdir()
    server_certificate, client = authority.issue_cert("localhost"), authority.issue_cert("program@example.com")
    authority.cert_pem.write_to_path(issued / "ca")
    server_certificate.private_key_pem.write_to_path(issued / "key")
    for blob in server_certificate.cert_chain_pems:
        blob.write_to_path(issued / "certificate", append=True)
    settings = Settings(
        admin_address="localhost:0",
        admin_keys=KEY,
        tls_certificate=str(issued / "certificate"),
        tls_key=str(issued / "key"),
        tls_client_ca=str(issued / "ca") if mutual else "",
    )
    server = build_admin_server(settings, accounts, RpcObserver(untraced()))
    assert server is not None
    target = f"localhost:{await server.start()}"
    root = authority.cert_pem.bytes()
    own = client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
    ways = {
        "plain": grpc.aio.insecure_channel(target),
        "tls": grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(root)),
        "mutual": grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(root, *own)),
    }
    let_in = set()
    for name, way in ways.items():
        async with way as opened:
            stub: Any = key_service_pb2_grpc.KeyServiceStub(opened)
            with suppress(grpc.aio.AioRpcError):
                await stub.ListKeys(pb.ListKeysRequest(), metadata=AUTHORIZED)
                let_in.add(name)
    await server.stop(None)
    assert let_in == ({"mutual"} if mutual else {"tls", "mutual"})


def test_a_certificate_that_cannot_be_read_stops_the_server(accounts: SqlAccounts, tmp_path: Path) -> None:
    for files in ({"tls_key": str(tmp_path / "none")}, {}):
        settings = Settings(
            admin_address="localhost:0",
            admin_keys=KEY,
            tls_certificate=str(tmp_path),
            **files,  # type: ignore[arg-type]
        )
        with pytest.raises(SettingsError, match="CHASQUI_TLS_") as raised:
            build_admin_server(settings, accounts, RpcObserver(untraced()))
        assert is_one_sentence(str(raised.value))


async def test_a_database_that_is_away_is_unavailable(keys: Any) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("the server closed the connection"))

    event.listen(Engine, "begin", fail)
    try:
        assert (await refused(keys.ListKeys(pb.ListKeysRequest())))[0] == "UNAVAILABLE"
    finally:
        event.remove(Engine, "begin", fail)


@pytest.mark.parametrize(
    "given",
    [{"admin_address": "127.0.0.1:0"}, {"admin_keys": "key"}, {"admin_address": "127.0.0.1:0", "admin_keys": "key"}],
)
def test_half_of_what_they_need_stops_the_server(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="CHASQUI_ADMIN_ADDRESS") as raised:
        build_admin_server(Settings(**given), None, RpcObserver(untraced()))
    assert is_one_sentence(str(raised.value))


def test_without_the_settings_there_are_no_such_services(accounts: SqlAccounts) -> None:
    assert build_admin_server(Settings(), accounts, RpcObserver(untraced())) is None
