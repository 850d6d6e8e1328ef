"""A process that tries grammars with a model's vocabulary, as an engine will, each within a limit of CPU time.

`python -m services.chat.grammar.trial` reads lines of JSON: first the vocabulary, a list of tokens in hexadecimal
("" for special ones), which it answers with an empty line; then grammars, `{"grammar", "schemas"}`, each of which it
answers with a list of what is wrong: `{"problem", "schema", "pointer"}`, with the index of the schema and the place in
it, or null and "" if it is the whole. A grammar that takes too long kills the process, as the library cannot be
interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import Any, Final

from services.chat.grammar.normal_form import children

# CPU seconds. Schemas that people write take 1 to 5 ms, the largest of them 20 ms with the 128,256 tokens of Llama 3.1.
# The engine spends the same once more for each choice, while all of its calls wait.
MOST_SECONDS: Final = 0.1
_LONGEST_PROBLEM: Final = 500  # characters of a message
# CPU seconds in which the place of a problem is searched for; within the limit for the whole.
_MOST_SEARCH: Final = 0.02


class _Vocabulary:
    """What llguidance wants to know of a tokeniser."""

    def __init__(self, tokens: list[bytes]) -> None:
        self.special_token_ids = [index for index, token in enumerate(tokens) if not token]
        # Its mark of tokens that no text can contain.
        self.tokens = [token or b"\xff%d" % index for index, token in enumerate(tokens)]
        self.eos_token_id = self.special_token_ids[0] if self.special_token_ids else len(tokens) - 1
        self.bos_token_id = None

    def __call__(self, text: bytes) -> list[int]:
        return []  # texts are only tokenised to force them


def main() -> None:
    """Serve until the input ends."""
    from llguidance import LLTokenizer, TokenizerWrapper

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    tokens = [bytes.fromhex(token) for token in json.loads(sys.stdin.readline())]
    tokenizer = LLTokenizer(TokenizerWrapper(_Vocabulary(tokens)))
    print(flush=True)  # noqa: T201 - the answer
    for line in sys.stdin:
        task = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)  # its signal ends a process that does not handle it
        problems = _problems(tokenizer, task["grammar"], task["schemas"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(problems), flush=True)  # noqa: T201 - the answer


def _problems(tokenizer: Any, grammar: str, schemas: list[str]) -> list[dict[str, Any]]:
    """What keeps the grammar from being enforced."""
    from llguidance import LLMatcher

    matcher = LLMatcher(tokenizer, grammar, log_level=0)
    if not matcher.is_error():
        matcher.compute_bitmask()  # the first token's
    if not matcher.is_error():
        return []
    found = []
    for index, text in enumerate(schemas):
        problem = _schema_problem(text)
        if problem:
            pointer = _place(json.loads(text), problem)
            found.append({"problem": _sentence(problem), "schema": index, "pointer": pointer})
    return found or [{"problem": _sentence(matcher.get_error()), "schema": None, "pointer": ""}]


def _schema_problem(schema: str) -> str:
    """What is wrong with a schema, without the library's trail of the references that led there."""
    from llguidance import LLMatcher

    problem: str = LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(schema))
    return problem.partition("\n  while processing")[0]


def _place(schema: dict[str, Any], problem: str) -> str:
    """The JSON pointer of the innermost schema that has the same problem by itself."""
    definitions = {keyword: schema[keyword] for keyword in ("$defs", "definitions") if keyword in schema}
    pointer, node, end = "", schema, time.process_time() + _MOST_SEARCH
    while time.process_time() < end:
        for step, inner in children(node):
            if isinstance(inner, dict) and _schema_problem(json.dumps(definitions | inner)) == problem:
                pointer, node = pointer + step, inner
                break
        else:
            break
    return pointer or "/"


def _sentence(problem: str) -> str:
    """The message, without the state that follows it and the excerpts from schemas that make it long."""
    return problem.partition("\n<state>")[0].strip().rstrip(".")[:_LONGEST_PROBLEM]


if __name__ == "__main__":
    main()
