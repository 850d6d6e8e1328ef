"""instructor: Pydantic models from forced calls and from structured output."""

from __future__ import annotations

from tests.e2e.conftest import REFERENCE_MODEL
from tests.support.clients import CLIENTS
from tests.support.service import Service

PROGRAM = """
import json, sys
import instructor, openai
from pydantic import BaseModel

class Person(BaseModel):
    name: str
    age: int

url, model = sys.argv[1:]
seen = {}
for mode in (instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(openai.OpenAI(base_url=url, api_key="unused", max_retries=0), mode=mode)
    asked = {
        "model": model, "max_tokens": 200, "temperature": 0, "response_model": Person, "max_retries": 0,
        "messages": [{"role": "user", "content": "Ann is 30."}],
    }
    parts = list(client.chat.completions.create_partial(**asked))
    seen[mode.name] = [client.chat.completions.create(**asked).model_dump(), parts[-1].model_dump()]
print(json.dumps(seen))
"""


def test_every_mode_gives_the_model_whole_and_in_parts(llama_cpp: Service) -> None:
    seen = CLIENTS["instructor"].run(PROGRAM, llama_cpp.url + "/v1", REFERENCE_MODEL)
    assert set(seen) == {"TOOLS", "TOOLS_STRICT", "JSON", "JSON_SCHEMA"}
    for whole, last in seen.values():
        assert isinstance(whole["age"], int)
        assert whole == last
