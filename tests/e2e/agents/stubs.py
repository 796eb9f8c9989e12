"""Scripted servers of model APIs on loopback: as much of them as the agents' real binaries ask for.

Rules:
- A script belongs to what a conversation begins with, and has the replies of one session after another. A
  conversation is told by its id, or by its beginning where the API has none; its session by how often the user has
  spoken in it (who resumes it speaks again), the turn by the results of tools since then: a request that is repeated
  gets the same reply again.
- What no script foresees is answered with an error, and stands in `faults`.
- One class per API has only the API's form: how a request is read, how a reply is written.
"""

from __future__ import annotations

import json
import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType, TracebackType
from typing import Any, Self

LONGEST = 100  # seconds that a reply is held back at most
# What a client says for itself: <system-reminder>, and that the report is to be filled.
_WRAPPED = re.compile(r"\s*(?:<([a-z_-]+)>.*</\1>|\[structured-output-enforce\].*)\s*", re.DOTALL)


@dataclass(frozen=True)
class ToolCall:
    """The model calls a tool and waits for its result; `words` are what it says before it (Messages API alone)."""

    name: str
    arguments: Mapping[str, object]
    words: str = ""


@dataclass(frozen=True)
class Text:
    """The model says its last words; `cut` where its limit of tokens ends them."""

    text: str
    cut: bool = False


@dataclass(frozen=True)
class Refusal:
    """The server answers with a status instead of a message; `more` are further keys of the error."""

    status: int
    kind: str
    message: str
    more: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Silence:
    """The model does not answer: the connection stays open until the client or the server ends."""


Said = ToolCall | Text
Reply = Said | Refusal | Silence


@dataclass(frozen=True)
class Request:
    """What a client has sent. `blocks` are what came from the user's side, of type `text` or `tool_result`."""

    session: str
    key: str
    body: Mapping[str, Any]
    blocks: Sequence[Mapping[str, Any]]

    @property
    def prompts(self) -> list[str]:
        """The user's own words, one entry per session, without what the client wraps around them."""
        return [block["text"] for block in self.blocks if block["type"] == "text"]

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """The results of tools in the whole conversation, in the order of their calls."""
        return [block for block in self.blocks if block["type"] == "tool_result"]

    @property
    def turn(self) -> int:
        """How many results of tools came since the user spoke last."""
        return [block["type"] for block in reversed(self.blocks)].index("text")


class Stub(ThreadingHTTPServer):
    """The server, from entering the context to leaving it. `watch` sees each request before it is answered."""

    daemon_threads = False  # so that leaving the context waits for them

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Request] = []
        self.faults: list[str] = []
        self.watch: Callable[[Request], None] = lambda request: None
        self.over = threading.Event()
        self._scripts: dict[str, list[Sequence[Reply]]] = {}
        self._sessions: dict[tuple[str, int], Sequence[Reply]] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.over.set()
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
                session = (request.session or request.prompts[0], len(request.prompts))
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

    # -- the API's form

    @abstractmethod
    def read(self, path: str, headers: Message, body: Mapping[str, Any]) -> Request | Reply | None:
        """Read a request, or answer one that no script is about; None for a path that the API does not have."""

    @abstractmethod
    def write(self, reply: Said, request: Request) -> str:
        """Write the events of a reply."""

    @abstractmethod
    def refuse(self, refusal: Refusal) -> Mapping[str, object]:
        """Give the body of an error."""


def own_words(blocks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out what the client says for itself."""
    return [one for one in blocks if one["type"] != "text" or not _WRAPPED.fullmatch(one["text"])]


def events(found: Iterable[Mapping[str, Any]]) -> str:
    """Write events that are named by their type."""
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in found)


class _Handler(BaseHTTPRequestHandler):
    server: Stub
    timeout = 30  # seconds; a connection that nobody speaks on does not keep the server from its end

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        read = self.server.read(self.path.partition("?")[0], self.headers, body)
        reply = self.server.answer(read) if isinstance(read, Request) else read
        if isinstance(reply, Silence):
            self.server.over.wait(LONGEST)
        elif isinstance(reply, Refusal):
            self._send(reply.status, "application/json", json.dumps(self.server.refuse(reply)), reply.headers)
        elif reply is None:
            self.server.faults.append(f"POST {self.path}")
            self._send(404, "application/json", "{}")
        else:
            request = read if isinstance(read, Request) else Request("", "", body, ())
            self._send(200, "text/event-stream", self.server.write(reply, request))

    def _send(self, status: int, kind: str, text: str, more: Mapping[str, str] = MappingProxyType({})) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Print nothing."""
