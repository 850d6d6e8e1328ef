"""The environment variables that Kubernetes sets in every pod for the Services of its namespace; pure.

A Service named `chasqui` or `chasqui-edge` gives variables that begin as our settings do, among them `CHASQUI_PORT`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HOST = "_SERVICE_HOST"
_URL = re.compile(r"(tcp|udp|sctp)://\S+")


def service_links(environ: Mapping[str, str], settings: Iterable[str]) -> frozenset[str]:
    """The variables of `environ` that announce a Service; `settings` are the variables of our settings.

    Kubernetes sets `X_SERVICE_HOST` for each Service X, and further variables beside it.
    """
    services = [name.removesuffix(_HOST) for name in environ if name.endswith(_HOST)]
    forms = [re.compile(rf"{re.escape(name)}_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)") for name in services]
    ours = frozenset(settings)
    return frozenset(
        name
        for name, value in environ.items()
        if any(form.fullmatch(name) for form in forms) and (name not in ours or announces(value))
    )


def announces(value: str) -> bool:
    """Whether a value has the form in which Kubernetes announces a Service's port, as `tcp://10.0.0.1:8080`."""
    return _URL.fullmatch(value) is not None
