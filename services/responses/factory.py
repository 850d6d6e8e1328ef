"""Opens the stored responses of the settings: the one place that imports what only `CHASQUI_ACCOUNTS` needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.settings import SettingsError

if TYPE_CHECKING:
    from services.responses.api import Responses
    from services.settings import Settings


def open_responses(settings: Settings) -> Responses | None:
    """The stored responses, None unless `CHASQUI_RESPONSE_DAYS` is set; SettingsError if they cannot be opened."""
    if not settings.response_days:
        return None
    if not settings.accounts:
        raise SettingsError("CHASQUI_RESPONSE_DAYS needs CHASQUI_ACCOUNTS, in whose database responses are stored.")
    try:
        from services.responses.response_store import ResponseStore
    except ImportError as error:
        raise SettingsError(
            f"CHASQUI_ACCOUNTS needs the extra 'accounts' (pip install 'chasqui[accounts]'): {error}."
        ) from error
    return ResponseStore(settings)
