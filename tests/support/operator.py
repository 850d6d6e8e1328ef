"""Commands of `chasqui` as an operator runs them beside a service."""

from __future__ import annotations

from click.testing import CliRunner

from services.cli import main


class Operator:
    """Runs them with the accounts at `place`, a file or a URL."""

    def __init__(self, place: str) -> None:
        self.place = place

    def run(self, *words: str) -> str:
        """What the command prints; AssertionError if it fails."""
        done = CliRunner().invoke(main, words, env={"CHASQUI_ACCOUNTS": self.place})
        assert done.exit_code == 0, done.output
        return done.stdout.strip()
