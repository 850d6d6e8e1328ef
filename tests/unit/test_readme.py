"""What the READMEs say is what the code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge.anthropic import answer_schema as anthropic
from edge.api import errors
from edge.envoy.local_replies import _LOCAL_REPLIES as LOCAL_REPLIES
from edge.openai import answer_schema
from edge.responses import answer_schema as responses
from services.errors import Cancelled, ChasquiError, Unavailable
from services.settings import fields, variable
from tests.support.bounds import BOUNDS
from tests.support.clients import CLIENTS
from tests.support.field_tests import HONOURED, shown_by
from tests.support.readme import BLOCKS, FIELDS, ROOT, documents, filled

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = ("proto", "services", "edge", "tests", "docker")
LINES_OF_THE_FRONT_PAGE = 160
WRITTEN_BY_USERS = {"docker/.env"}
every_document = pytest.mark.parametrize(
    "path", documents(), ids=[path.relative_to(ROOT).as_posix() for path in documents()]
)


def _fenced(text: str) -> str:
    return "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def _anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _exists(folder: Path, test: str) -> bool:
    """Whether `file::function` is a test below `folder`."""
    file, _, function = test.partition("::")
    source = (folder / file).read_text(encoding="utf-8")
    return re.search(rf"^(?:async )?def {function}\(", source, re.MULTILINE) is not None


def test_the_front_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LINES_OF_THE_FRONT_PAGE


@every_document
def test_the_tables_are_those_of_the_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert filled(text) == text, "`make readme` writes the tables again"


def test_every_table_of_the_code_is_in_one_document() -> None:
    texts = [path.read_text(encoding="utf-8") for path in documents()]
    for name in BLOCKS:
        assert sum(f"<!-- BEGIN {name} (make readme) -->" in text for text in texts) == 1, name


@every_document
def test_every_file_that_a_document_names_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(rf"(?<![\w/.-])((?:{'|'.join(FOLDERS)})/[\w./-]*\w)", text)) - WRITTEN_BY_USERS
    assert [name for name in named if not (ROOT / name).exists() and not (path.parent / name).exists()] == []


@every_document
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked.read_text(encoding="utf-8")), target


@every_document
def test_every_make_target_that_a_document_names_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    command = r"(?:[A-Z_]+=\S+ )*make ([a-z][a-z0-9-]*)"
    named = {*re.findall(rf"`{command}", text), *re.findall(rf"^{command}", _fenced(text), re.MULTILINE)}
    assert named <= targets


@every_document
def test_every_setting_that_a_document_names_exists(path: Path) -> None:
    named = set(re.findall(r"\bCHASQUI_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
    assert named <= {variable(setting.name) for setting in fields()}


def test_every_request_field_is_explained() -> None:
    text = (ROOT / "edge" / "README.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", text))))
    assert {name for known in FIELDS.values() for name in known} - words == set()


def test_every_answer_field_is_explained() -> None:
    text = (ROOT / "edge" / "README.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", text))))
    schemas = (answer_schema, responses, anthropic)
    structs = [each for schema in schemas for each in vars(schema).values() if hasattr(each, "__struct_fields__")]
    assert {field for struct in structs for field in struct.__struct_fields__} - words == set()


def test_every_error_code_is_explained_beside_its_status() -> None:
    text = (ROOT / "edge" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) \| [A-Z_]* ?\| ([`a-z_, ]+) \|", text, re.MULTILINE)
    explained = {(int(status), code) for status, codes in rows for code in re.findall(r"\w+", codes)}
    assert explained == set(_error_codes())


def _error_codes() -> Iterator[tuple[int, str]]:
    """Status and code of every error that a caller can see."""
    yield from errors._HTTP_CODES.items()
    yield from ((status, code) for _, status, _, code, _ in LOCAL_REPLIES)
    for kind in _subclasses(ChasquiError):
        if kind not in (Unavailable, Cancelled):  # a cancelled caller sees nothing
            yield errors._STATUSES[kind.code], kind.reason.lower()
    for folder in ("services", "edge"):
        for path in (ROOT / folder).rglob("*.py"):
            for reason in re.findall(r'reason="([A-Z_]+)"', path.read_text(encoding="utf-8")):
                yield errors._STATUSES[Unavailable.code], reason.lower()


def _subclasses(kind: type[ChasquiError]) -> Iterator[type[ChasquiError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def test_every_rpc_is_explained() -> None:
    text = (ROOT / "proto" / "README.md").read_text(encoding="utf-8")
    for proto in (ROOT / "proto" / "chasqui" / "v1").glob("*_service.proto"):
        if proto.name not in ("account_service.proto", "relay_service.proto"):  # private: callers cannot reach them
            rpcs = re.findall(r"^  rpc (\w+)", proto.read_text(encoding="utf-8"), re.MULTILINE)
            assert [rpc for rpc in rpcs if f"`{rpc}`" not in text] == []


def test_every_feature_has_a_test_that_exists() -> None:
    text = (ROOT / "edge" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| .* \| `(test_\w+\.py::test_\w+)` \|$", text, re.MULTILINE)
    assert len(named) > 20
    assert [name for name in named if not _exists(ROOT / "tests" / "e2e", name)] == []


def test_every_field_has_a_test_that_exists() -> None:
    tests = {shown_by(kind, name, known) for kind in HONOURED for name, known in FIELDS[kind].items()}
    assert [test for test in tests if not _exists(ROOT / "tests", test)] == []
    assert [name for kind, names in HONOURED.items() for name in names if name not in kind.__struct_fields__] == []


def test_every_bound_has_a_test_that_exists() -> None:
    assert [bound.test for bound in BOUNDS if not _exists(ROOT / "tests", bound.test)] == []


def test_the_plugins_that_are_shown_are_those_of_buf_gen_yaml() -> None:
    text = (ROOT / "proto" / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert (ROOT / "proto" / "buf.gen.yaml").read_text(encoding="utf-8").endswith(shown)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_of_the_table_is_run_by_a_test(name: str) -> None:
    tests = [*(ROOT / "tests" / "e2e" / "clients").glob("test_*.py"), ROOT / "tests" / "support" / "reference.py"]
    assert any(f'CLIENTS["{name}"]' in path.read_text(encoding="utf-8") for path in tests)
