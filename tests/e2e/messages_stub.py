"""The Messages API, as Claude Code and opencode speak it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any

from tests.e2e.stubs import Refusal, Reply, Request, Said, Stub, Text, ToolCall, events, own_words

SESSION_HEADERS = ("X-Claude-Code-Session-Id", "X-Session-Id")
USAGE = {"input_tokens": 1000, "output_tokens": 100}


class MessagesStub(Stub):
    """`POST /v1/messages`."""

    def read(self, path: str, headers: Message, body: Mapping[str, Any]) -> Request | Reply | None:
        """Read the messages; who asks without tools wants a title for the conversation."""
        if path != "/v1/messages":
            return None
        if not body.get("tools"):
            return Text("A title")
        session = next((headers[name] for name in SESSION_HEADERS if name in headers), "")
        return Request(session, headers.get("X-Api-Key") or "", body, _blocks(body))

    def write(self, reply: Said, request: Request) -> str:
        """Write the events of a message of one block."""
        return events(_events(reply, request))

    def refuse(self, refusal: Refusal) -> Mapping[str, object]:
        """Give the body of an error."""
        return {"type": "error", "error": {"type": refusal.kind, "message": refusal.message, **refusal.more}}


def _blocks(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for message in body["messages"]:
        content = message["content"] if message["role"] == "user" else []
        found += [{"type": "text", "text": content}] if isinstance(content, str) else content
    return own_words([one for one in found if one["type"] in ("text", "tool_result")])


def _events(reply: Said, request: Request) -> Iterator[dict[str, Any]]:
    turn = len(request.results)
    block: dict[str, Any]
    if isinstance(reply, ToolCall):
        block = {"type": "tool_use", "id": f"toolu_{turn}", "name": reply.name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(reply.arguments)}
        stop = "tool_use"
    else:
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": reply.text}
        stop = "max_tokens" if reply.cut else "end_turn"
    message = {
        "id": f"msg_{turn}",
        "type": "message",
        "role": "assistant",
        "model": request.body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**USAGE, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": USAGE}
    yield {"type": "message_stop"}
