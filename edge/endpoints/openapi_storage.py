"""Files and batches in the OpenAPI document; pure."""

from __future__ import annotations

from typing import Any, Final

from edge.endpoints.openapi_operation import ID, operation, query_parameter
from edge.openai.batch_schema import BatchBody, BatchList, BatchRequest, DeletedFile, FileBody, FileList
from services.batches.input_file import ENDPOINTS
from services.batches.requests import MOST_BATCHES, MOST_FILES, PURPOSES

STORAGE_STRUCTS: Final = (BatchBody, BatchList, BatchRequest, DeletedFile, FileBody, FileList)
_AFTER: Final = query_parameter("after", "The id behind which the page begins.")
_FILE_PARAMETERS: Final = (
    query_parameter("purpose", "Files of that purpose only."),
    query_parameter("order", "By the time of their creation.", enum=["asc", "desc"], default="desc"),
)
_NEEDS: Final = "Needs `CHASQUI_ACCOUNTS`; without it the answer is 404, `no_accounts`."
_UPLOAD: Final = {
    "type": "object",
    "properties": {
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "file": {
            "type": "string",
            "format": "binary",
            "description": 'JSON lines: {"custom_id", "method": "POST", "url", "body"}.',
        },
    },
    "required": ["purpose", "file"],
}
_EXAMPLE: Final = {"input_file_id": "file-0", "endpoint": ENDPOINTS[0], "completion_window": "24h"}


def storage_paths() -> dict[str, Any]:
    """The paths."""
    upload = operation("Upload a file of requests", FileBody) | {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _UPLOAD}}}
    }
    paths: dict[str, dict[str, Any]] = {
        "/v1/files": {"post": upload, "get": _listed("The files of the key", FileList, MOST_FILES, *_FILE_PARAMETERS)},
        "/v1/files/{id}": {"get": operation("One file", FileBody), "delete": operation("Delete a file", DeletedFile)},
        "/v1/files/{id}/content": {"get": _content()},
        "/v1/batches": {
            "post": operation("Create a batch of an uploaded file", BatchBody, BatchRequest, _EXAMPLE),
            "get": _listed("The batches of the key, newest first", BatchList, MOST_BATCHES),
        },
        "/v1/batches/{id}": {"get": operation("One batch", BatchBody)},
        "/v1/batches/{id}/cancel": {"post": operation("Cancel a batch", BatchBody)},
    }
    for path, operations in paths.items():
        for described in operations.values():
            described["description"] = _NEEDS
            if "{id}" in path:
                described["parameters"] = [ID]
    return paths


def _listed(summary: str, answer: type[Any], most: int, *parameters: dict[str, Any]) -> dict[str, Any]:
    limit = query_parameter("limit", "Entries of a page.", type="integer", minimum=1, maximum=most)
    return operation(summary, answer) | {"parameters": [limit, _AFTER, *parameters]}


def _content() -> dict[str, Any]:
    described = operation("What is in a file", FileBody)
    binary = {"schema": {"type": "string", "format": "binary"}}
    described["responses"]["200"]["content"] = {"application/octet-stream": binary}
    return described
