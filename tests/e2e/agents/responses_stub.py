"""The Responses API, as Codex speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any

from tests.e2e.agents.stubs import Refusal, Reply, Request, Said, Stub, ToolCall, events, own_words

USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 1100,
}


class ResponsesStub(Stub):
    """`POST /v1/responses`."""

    def read(self, path: str, headers: Message, body: Mapping[str, Any]) -> Request | Reply | None:
        """Read the input."""
        if path != "/v1/responses":
            return None
        key = (headers.get("Authorization") or "").removeprefix("Bearer ")
        return Request(headers.get("Thread-Id") or "", key, body, own_words([*_blocks(body)]))

    def write(self, reply: Said, request: Request) -> str:
        """Write the events of a response of one item."""
        return events(_events(reply, request))

    def refuse(self, refusal: Refusal) -> Mapping[str, object]:
        """Give the body of an error."""
        return {"error": {"type": refusal.kind, "message": refusal.message, **refusal.more}}


def _blocks(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for item in body["input"]:
        if item["type"] == "function_call_output":
            yield {**item, "type": "tool_result", "content": item["output"]}
        elif item["type"] == "message" and item["role"] == "user":
            yield from ({"type": "text", "text": part["text"]} for part in item["content"] if "text" in part)


def _events(reply: Said, request: Request) -> Iterator[dict[str, Any]]:
    turn = len(request.results)
    item: dict[str, Any]
    if isinstance(reply, ToolCall):
        arguments = json.dumps(reply.arguments)
        item = {"type": "function_call", "call_id": f"call_{turn}", "name": reply.name, "arguments": arguments}
    else:
        content = [{"type": "output_text", "text": reply.text}]
        item = {"type": "message", "id": f"msg_{turn}", "role": "assistant", "content": content}
    response: dict[str, Any] = {"id": f"resp_{turn}", "usage": USAGE}
    yield {"type": "response.created", "response": {"id": f"resp_{turn}"}}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    if not isinstance(reply, ToolCall) and reply.cut:
        cut = {"incomplete_details": {"reason": "max_output_tokens"}}
        yield {"type": "response.incomplete", "response": {**response, **cut}}
    else:
        yield {"type": "response.completed", "response": response}
