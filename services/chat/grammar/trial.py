"""A process that tries grammars with a model's vocabulary, as an engine will, each within a limit of CPU time.

`python -m services.chat.grammar.trial` reads lines of JSON: first the vocabulary, a list of tokens in hexadecimal
("" for special ones), which it answers with an empty line; then grammars, `{"grammar", "schemas"}`, each of which it
answers with what is wrong: `{"problem", "schema"}`, the latter an index or null, and an empty problem if all is well.
A grammar that takes too long kills the process: nothing else can end the work of a library that never looks up.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any, Final

# CPU seconds. Schemas that people write take 1 to 5 ms, the largest of them 20 ms with the 128,256 tokens of Llama 3.1.
# The engine spends the same once more for each choice, while all of its calls wait.
MOST_SECONDS: Final = 0.1
_LONGEST_PROBLEM: Final = 500  # of a message


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
        problem, schema = _problem(tokenizer, task["grammar"], task["schemas"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps({"problem": problem, "schema": schema}), flush=True)  # noqa: T201 - the answer


def _problem(tokenizer: Any, grammar: str, schemas: list[str]) -> tuple[str, int | None]:
    """What keeps the grammar from being enforced, and the schema to blame for it; "" and None if nothing does."""
    from llguidance import LLMatcher

    matcher = LLMatcher(tokenizer, grammar, log_level=0)
    if not matcher.is_error():
        matcher.compute_bitmask()  # the first token's
    if not matcher.is_error():
        return "", None
    for index, schema in enumerate(schemas):
        problem = LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(schema))
        if problem:
            return _sentence(problem), index
    return _sentence(matcher.get_error()), None


def _sentence(problem: str) -> str:
    """The message, without the state that follows it and the excerpts from schemas that make it long."""
    return problem.partition("\n<state>")[0].strip().rstrip(".")[:_LONGEST_PROBLEM]


if __name__ == "__main__":
    main()
