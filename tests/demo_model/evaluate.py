"""`python -m tests.demo_model.evaluate`: asks the held-out sets and prints a table."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from rich.progress import track

from tests.demo_model.answerers import Answerer, Gguf, Service
from tests.demo_model.heldout import SETS, Case, cases
from tests.demo_model.scoring import Reply, Row, correct, table
from tests.demo_model.spec import NAME, WEIGHTS


def evaluate(model: Answerer, *, show: bool = False) -> str:
    """The table in Markdown; with `show`, every reply that is not right goes before it."""
    told, columns = list[str](), list[list[Row]]()
    for chosen in SETS:
        results: list[tuple[Case, Reply]] = []
        guided: list[tuple[Case, Reply]] = []
        for case in track(cases(chosen), chosen, transient=True):
            results.append((case, model.answer(case.messages, case.tools)))
            if case.schema:
                guided.append((case, model.answer(case.messages, case.tools, case.schema)))
        told += [_told(case, reply) for case, reply in results if show and not correct(case, reply)]
        columns.append(table(results, guided))
    return "\n".join((*told, *_lines(columns)))


def _lines(columns: Sequence[Sequence[Row]]) -> Iterator[str]:
    counts = [sum(not case.given for case in cases(chosen)) for chosen in SETS]
    titles = (f"{chosen}, {count} cases" for chosen, count in zip(SETS, counts, strict=True))
    yield f"| held out | {' | '.join(titles)} |"
    yield f"| --- |{' --- |' * len(SETS)}"
    for rows in zip(*columns, strict=True):
        yield f"| {rows[0].name} | {' | '.join(row.figure for row in rows)} |"


def _told(case: Case, reply: Reply) -> str:
    wanted = case.calls or case.value or [*case.contains, *case.any_of]
    return f"[{case.kind}] {case.messages[-1]['content']}\n    wants {wanted}\n    says  {reply.calls or reply.text!r}"


def main() -> None:
    """Reads the command line; without --base-url the GGUF is asked directly."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo_model.evaluate", description=__doc__)
    parser.add_argument("--base-url", help="for example http://localhost:8080/v1/openai")
    parser.add_argument("--model", default=NAME, help="model name to send")
    parser.add_argument("--api-key", default="demo")
    parser.add_argument("--gguf", type=Path, default=WEIGHTS)
    parser.add_argument("--show", action="store_true", help="print the replies that are not right")
    arguments = parser.parse_args()
    if arguments.base_url:
        report = evaluate(Service(arguments.base_url, arguments.model, arguments.api_key), show=arguments.show)
    else:
        with closing(Gguf(arguments.gguf)) as model:
            report = evaluate(model, show=arguments.show)
    sys.stdout.write(report + "\n")


if __name__ == "__main__":
    main()
