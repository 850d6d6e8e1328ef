"""Opens the files and batches of the settings: the one place that imports what only `CHASQUI_ACCOUNTS` needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.settings import SettingsError

if TYPE_CHECKING:
    from services.batches.api import Storage
    from services.settings import Settings


def has_batches(settings: Settings) -> bool:
    """Whether there are files and batches: with accounts, and a directory for the contents."""
    return bool(settings.accounts and (settings.files or "://" not in settings.accounts))


def open_batches(settings: Settings) -> Storage | None:
    """Files and batches, None without them; SettingsError if they cannot be opened."""
    if not has_batches(settings):
        return None
    try:
        from services.batches.storage import BatchStorage
    except ImportError as error:
        raise SettingsError(
            f"CHASQUI_ACCOUNTS needs the extra 'accounts' (pip install 'chasqui[accounts]'): {error}."
        ) from error
    return BatchStorage(settings)
