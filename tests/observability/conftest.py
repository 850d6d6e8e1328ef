"""Without Prometheus, which `make test-observability` sees to, there is nothing to run here."""

import shutil

collect_ignore = [] if shutil.which("prometheus") and shutil.which("promtool") else ["test_rules.py"]
