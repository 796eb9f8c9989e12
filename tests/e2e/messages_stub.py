"""A scripted server for the Messages API on loopback: as much of it as an agent's real binary asks for.

Rules:
- A script belongs to what a conversation begins with, and has the replies of one session after another. A
  conversation is told by its header, its session by how often the user has spoken in it (who resumes it speaks
  again), the turn by the results of tools since then: a request that is repeated gets the same reply again.
- What no script foresees is answered with an error, and stands in `faults`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

SESSION_HEADER = "X-Claude-Code-Session-Id"
USAGE = {"input_tokens": 1000, "output_tokens": 100}
_REMINDER = re.compile(r"\s*<system-reminder>.*</system-reminder>\s*", re.DOTALL)


@dataclass(frozen=True)
class ToolCall:
    """The model calls a tool and waits for its result."""

    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class Text:
    """The model says its last words."""

    text: str


@dataclass(frozen=True)
class Refusal:
    """The server answers with a status instead of a message."""

    status: int
    kind: str
    message: str


Reply = ToolCall | Text | Refusal


@dataclass(frozen=True)
class Request:
    """What a client has sent."""

    session: str
    key: str
    body: Mapping[str, Any]

    @property
    def prompts(self) -> list[str]:
        """The user's own words, one entry per session, without what the client wraps around them."""
        return [block["text"] for block in self._blocks() if block["type"] == "text"]

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """The results of tools in the whole conversation, in the order of their calls."""
        return [block for block in self._blocks() if block["type"] == "tool_result"]

    @property
    def turn(self) -> int:
        """How many results of tools came since the user spoke last."""
        return [block["type"] for block in reversed(self._blocks())].index("text")

    def _blocks(self) -> list[Mapping[str, Any]]:
        """What came from the user's side: words and results."""
        found: list[Mapping[str, Any]] = []
        for message in self.body["messages"]:
            content = message["content"] if message["role"] == "user" else []
            found += [{"type": "text", "text": content}] if isinstance(content, str) else content
        return [one for one in found if one["type"] == "tool_result"
                or (one["type"] == "text" and not _REMINDER.fullmatch(one["text"]))]  # fmt: skip


class MessagesStub(ThreadingHTTPServer):
    """The server, from entering the context to leaving it. `watch` sees each request before it is answered."""

    daemon_threads = False  # so that leaving the context waits for them

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Request] = []
        self.faults: list[str] = []
        self.watch: Callable[[Request], None] = lambda request: None
        self._scripts: dict[str, list[Sequence[Reply]]] = {}
        self._sessions: dict[tuple[str, int], Sequence[Reply]] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> MessagesStub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def play(self, beginning: str, *sessions: Sequence[Reply]) -> None:
        """Say what the sessions of conversations that begin like this are answered, one session after the other."""
        self._scripts[beginning] = list(sessions)

    def answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            try:
                self.watch(request)
                session = (request.session, len(request.prompts))
                if session not in self._sessions:
                    beginning = request.prompts[0]
                    (script,) = [script for words, script in self._scripts.items() if beginning.startswith(words)]
                    self._sessions[session] = script.pop(0)
                return self._sessions[session][request.turn]
            except Exception as error:  # noqa: BLE001 - it belongs to the test, not to this thread
                said = [words[:60] for words in request.prompts]
                fault = f"turn {len(request.results)} of {said}: {type(error).__name__}: {error}"
                self.faults.append(fault)
                return Refusal(400, "invalid_request_error", fault)


class _Handler(BaseHTTPRequestHandler):
    server: MessagesStub
    timeout = 30  # seconds; a connection that nobody speaks on does not keep the server from its end

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(self.headers[SESSION_HEADER] or "", self.headers["X-Api-Key"] or "", body)
        if self.path.partition("?")[0] != "/v1/messages":
            self.server.faults.append(f"POST {self.path}")
            self._send(404, "application/json", b"{}")
            return
        reply = self.server.answer(request)
        if isinstance(reply, Refusal):
            error = {"type": "error", "error": {"type": reply.kind, "message": reply.message}}
            self._send(reply.status, "application/json", json.dumps(error).encode())
        else:
            lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _events(reply, request)]
            self._send(200, "text/event-stream", "".join(lines).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Print nothing."""


def _events(reply: ToolCall | Text, request: Request) -> Iterator[dict[str, Any]]:
    """Give the events of a message of one block."""
    turn = len(request.results)
    block: dict[str, Any]
    if isinstance(reply, ToolCall):
        block = {"type": "tool_use", "id": f"toolu_{turn}", "name": reply.name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(reply.arguments)}
    else:
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": reply.text}
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
    stop = "tool_use" if isinstance(reply, ToolCall) else "end_turn"
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": USAGE}
    yield {"type": "message_stop"}
