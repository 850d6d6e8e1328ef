"""The imports of Python files, read from their syntax trees."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Import:
    """`module` is imported in line `line` of `file`; `from a import b` imports `a.b`, whatever b is."""

    file: str
    line: int
    module: str
    in_function: bool

    def within(self, *packages: str) -> bool:
        """Whether it is one of the packages or inside one."""
        return any(self.module == package or self.module.startswith(package + ".") for package in packages)

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports_of(source: str, file: str) -> Iterator[Import]:
    """Every import of a source text, those of functions and type checkers included; `file` is relative to the root."""
    yield from _visit(ast.parse(source), Path(file), in_function=False)


def imports_under(*folders: str) -> list[Import]:
    """Every import of every Python file in the folders; generated stubs are left out."""
    files = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [found for path in files for found in _of_file(path)]


@cache
def _of_file(path: Path) -> list[Import]:
    return list(imports_of(path.read_text(), path.relative_to(ROOT).as_posix()))


def module_imports(*folders: str) -> list[tuple[str, str]]:
    """The imports among the modules in the folders, as pairs of dotted names: importing, imported."""
    modules = {
        path.relative_to(ROOT).as_posix().removesuffix(".py").replace("/", ".")
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    found = set[tuple[str, str]]()
    for one in imports_under(*folders):
        source, target = one.file.removesuffix(".py").replace("/", "."), one.module
        while target and target not in modules:
            target = target.rpartition(".")[0]
        if target and target != source:
            found.add((source, target))
    return sorted(found)


def circles(imports: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The groups of modules that import each other, directly or by way of others; each group sorted."""
    reached: dict[str, set[str]] = {}
    for source, target in imports:
        reached.setdefault(source, set()).add(target)
    grown = True
    while grown:
        grown = False
        for targets in reached.values():
            further = set().union(*(reached.get(target, set()) for target in targets)) - targets
            targets |= further
            grown = grown or bool(further)
    looped = sorted(module for module, targets in reached.items() if module in targets)
    groups = {
        tuple(other for other in looped if other in reached[module] and module in reached[other]) for module in looped
    }
    return [list(group) for group in sorted(groups)]


def _visit(node: ast.AST, file: Path, *, in_function: bool) -> Iterator[Import]:
    name = file.as_posix()
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(name, node.lineno, alias.name, in_function)
    elif isinstance(node, ast.ImportFrom):
        # One dot is the file's own package, each further dot the one around it.
        around = file.parents[node.level - 1].parts if node.level else ()
        base = [*around, *([node.module] if node.module else [])]
        for alias in node.names:
            yield Import(name, node.lineno, ".".join([*base, alias.name]), in_function)
    inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _visit(child, file, in_function=inside)
