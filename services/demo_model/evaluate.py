"""`python -m services.demo_model.evaluate`: asks the held-out set and prints a table."""

import argparse
import sys
from contextlib import closing
from pathlib import Path

from rich.progress import track

from services.demo_model.answerers import Answerer, Gguf, Service
from services.demo_model.heldout import Case, cases
from services.demo_model.scoring import Reply, correct, table
from services.demo_model.spec import NAME, WEIGHTS


def evaluate(model: Answerer, *, show: bool = False) -> str:
    """The table in Markdown; with `show`, every reply that is not right goes before it."""
    results: list[tuple[Case, Reply]] = []
    guided: list[tuple[Case, Reply]] = []
    for case in track(cases(), "held-out cases", transient=True):
        results.append((case, model.answer(case.messages, case.tools)))
        if case.schema:
            guided.append((case, model.answer(case.messages, case.tools, case.schema)))
    failures = [_told(case, reply) for case, reply in results if not correct(case, reply)] if show else []
    rows = [str(row) for row in table(results, guided)]
    return "\n".join(
        [
            *failures,
            f"| {sum(not case.given for case, _ in results)} held-out cases | share | count |",
            "| --- | --- | --- |",
            *rows,
        ]
    )


def _told(case: Case, reply: Reply) -> str:
    wanted = case.calls or case.value or [*case.contains, *case.any_of]
    return f"[{case.kind}] {case.messages[-1]['content']}\n    wants {wanted}\n    says  {reply.calls or reply.text!r}"


def main() -> None:
    """Reads the command line; without --base-url the GGUF is asked directly."""
    parser = argparse.ArgumentParser(prog="python -m services.demo_model.evaluate", description=__doc__)
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
