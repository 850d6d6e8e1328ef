"""LangChain's standard integration suite for chat models, run in LangChain's environment by `test_langchain.py`."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

URL = os.environ["CHASQUI_URL"] + "/v1"
MODEL = httpx.get(URL + "/models").json()["data"][0]["id"]


class TestStandard(ChatModelIntegrationTests):
    """`ChatOpenAI` against the demo model."""

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"base_url": URL, "api_key": "unused", "model": MODEL, "temperature": 0, "max_retries": 0}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return MODEL

    @pytest.mark.xfail(
        reason="judges the model: it must repeat a name in Chinese, of which the demo model knows none", run=False
    )
    def test_unicode_tool_call_integration(self, model: Any) -> None:
        super().test_unicode_tool_call_integration(model)
