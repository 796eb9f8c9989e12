"""The Gemini API, as Gemini CLI speaks it. It names no conversation: that is told by its beginning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any

from tests.e2e.agents.stubs import Refusal, Reply, Request, Said, Stub, ToolCall, own_words

_PATH = re.compile(r"/v1beta/models/[^/]+:streamGenerateContent")
USAGE = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}


class GeminiStub(Stub):
    """`POST /v1beta/models/MODEL:streamGenerateContent`."""

    def read(self, path: str, headers: Message, body: Mapping[str, Any]) -> Request | Reply | None:
        """Read the contents."""
        if not _PATH.fullmatch(path):
            return None
        return Request("", headers.get("X-Goog-Api-Key") or "", body, own_words([*_blocks(body)]))

    def write(self, reply: Said, request: Request) -> str:
        """Write the one chunk of a reply of one part."""
        part: Mapping[str, object]
        if isinstance(reply, ToolCall):
            part = {"functionCall": {"name": reply.name, "args": reply.arguments}}
        else:
            part = {"text": reply.text}
        reason = "MAX_TOKENS" if not isinstance(reply, ToolCall) and reply.cut else "STOP"
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": reason, "index": 0}
        chunk = {"candidates": [candidate], "usageMetadata": USAGE, "responseId": f"r{len(request.results)}"}
        return f"data: {json.dumps(chunk)}\r\n\r\n"

    def refuse(self, refusal: Refusal) -> Mapping[str, object]:
        """Give the body of an error."""
        error = {"code": refusal.status, "message": refusal.message, "status": refusal.kind, "details": []}
        return {"error": {**error, **refusal.more}}


def _blocks(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in (part for content in body["contents"] if content["role"] == "user" for part in content["parts"]):
        if "functionResponse" in part:
            yield {**part["functionResponse"], "type": "tool_result"}
        elif "text" in part:
            yield {"type": "text", "text": part["text"]}
