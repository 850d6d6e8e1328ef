"""`python -m tests.accounts COMMAND...`: runs a command with the servers that tests/unit/accounts can use, too."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.support import postgresql, valkey
from tests.support.postgresql import PostgreSQL
from tests.support.valkey import ValkeyServer


def main() -> int:
    environ = dict(os.environ)
    with ExitStack() as stack:
        if postgresql.programs() is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chasqui-postgresql-")))
            environ["TEST_POSTGRESQL"] = stack.enter_context(PostgreSQL(folder)).url
        if valkey.program() is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chasqui-valkey-")))
            environ["TEST_VALKEY"] = stack.enter_context(ValkeyServer(folder)).url
        return subprocess.call(sys.argv[1:], env=environ)  # noqa: S603 - the command of `make test-accounts`


if __name__ == "__main__":
    sys.exit(main())
