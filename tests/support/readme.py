"""The parts of README.md that the code dictates."""

from __future__ import annotations

from services.settings import Settings, fields, variable


def settings_table() -> str:
    """The table of all settings, as README.md must have it."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for setting in fields():
        default = getattr(Settings(), setting.name)
        shown = ",".join(default) if isinstance(default, tuple) else str(default)
        unit = setting.metadata["unit"]
        value = f"`{shown}`{f' {unit}' if unit else ''}" if shown else ""
        choices = setting.metadata["choices"]
        meaning = setting.metadata["help"] + (
            f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
        )
        lines.append(f"| `{variable(setting.name)}` | {value} | {meaning} |")
    return "\n".join(lines)
