"""The Messages API, as Claude Code and opencode speak it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any

from tests.e2e.agents.stubs import Refusal, Reply, Request, Said, Stub, Text, ToolCall, events, own_words

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
        """Write the events of a message."""
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


def _said(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"type": "text", "text": ""}, {"type": "text_delta", "text": text}


def _events(reply: Said, request: Request) -> Iterator[dict[str, Any]]:
    turn = len(request.results)
    stop = "max_tokens" if isinstance(reply, Text) and reply.cut else "end_turn"
    blocks = [_said(reply.text if isinstance(reply, Text) else reply.words)]
    if isinstance(reply, ToolCall):
        stop = "tool_use"
        call = {"type": "tool_use", "id": f"toolu_{turn}", "name": reply.name, "input": {}}
        called = call, {"type": "input_json_delta", "partial_json": json.dumps(reply.arguments)}
        blocks = [*(blocks if reply.words else ()), called]
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
    for index, (block, delta) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": USAGE}
    yield {"type": "message_stop"}
