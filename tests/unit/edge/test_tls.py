"""The settings of TLS: what is missing, unreadable or does not fit is one sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from edge.envoy.tls import Tls, check_files, tls
from services.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates with their keys, an authority, and a text."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("a", "b"):
        issued = ca.issue_cert("localhost")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.crt")
    (folder / "text").write_text("no certificate")
    return folder


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tls_certificate": "a"}, "CHASQUI_TLS_CERTIFICATE is set, but CHASQUI_TLS_KEY is not."),
        ({"tls_key": "a"}, "CHASQUI_TLS_KEY is set, but CHASQUI_TLS_CERTIFICATE is not."),
        ({"tls_client_ca": "a"}, "CHASQUI_TLS_CLIENT_CA is set, but without CHASQUI_TLS_CERTIFICATE there is no TLS."),
    ],
)
def test_a_setting_without_its_companion_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        tls(Settings(**given))


def test_without_settings_there_is_no_tls_and_with_both_there_is() -> None:
    assert tls(Settings()) is None
    assert tls(Settings(tls_certificate="a", tls_key="b")) == Tls("a", "b")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("nowhere", "a.key", ""), "CHASQUI_TLS_CERTIFICATE is '{folder}/nowhere', but: No such file or directory."),
        (("a.crt", "nowhere", ""), "CHASQUI_TLS_KEY is '{folder}/nowhere', but: No such file or directory."),
        (("a.crt", "a.key", "nowhere"), "CHASQUI_TLS_CLIENT_CA is '{folder}/nowhere', but: No such file or directory."),
        (("text", "a.key", ""), "must be a certificate in PEM form and its key without a password."),
        (("a.crt", "b.key", ""), "must be a certificate in PEM form and its key without a password."),
        (("a.crt", "a.key", "text"), "CHASQUI_TLS_CLIENT_CA is '{folder}/text', which holds no certificate."),
    ],
    ids=["no certificate", "no key", "no authority", "text", "another's key", "text as authority"],
)
def test_a_file_of_no_use_is_refused_by_name(folder: Path, names: tuple[str, str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message.format(folder=folder))):
        check_files(Tls(*(str(folder / name) if name else "" for name in names)))


def test_files_that_fit_are_taken(folder: Path) -> None:
    check_files(Tls(str(folder / "a.crt"), str(folder / "a.key"), str(folder / "ca.pem")))
