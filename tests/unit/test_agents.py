"""The agents' command lines, and every exit that was measured."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.agents import REGISTRY, program
from work_milestone.agents.api import Call, Outcome, Progress
from work_milestone.agents.api_errors import find_renewal
from work_milestone.settings import SessionSettings
from work_milestone.settings.agents import BUILT_IN
from work_milestone.store.outcomes import RETRIED, Session

CLAUDE, COMMAND = REGISTRY["claude"], REGISTRY["command"]
PROTOCOL_LINE = ["claude", "-p", "--model", "sonnet", "--permission-mode", "auto", "--output-format", "json"]


def settings(**own: Any) -> SessionSettings:
    base: dict[str, Any] = {"agent": "claude", "command": None, "model": "sonnet", "effort": None, "timeout": 7200.0,
                            "permission_mode": "auto", "allowed_tools": (), "budget_usd": None}  # fmt: skip
    return SessionSettings(**base | own)


def result(**own: Any) -> str:
    """The line that claude prints at its end."""
    line = {"type": "result", "subtype": "success", "is_error": False, "result": "STATUS: COMPLETE",
            "session_id": "0b2c", "num_turns": 3, "total_cost_usd": 0.0421, "duration_ms": 760, "usage": {},
            "permission_denials": []}  # fmt: skip
    return json.dumps({key: value for key, value in (line | own).items() if value is not ...}) + "\n"


# command lines


def test_claude_default_line_is_the_protocols() -> None:
    assert CLAUDE.argv(Call(settings())) == PROTOCOL_LINE


FLAGS: dict[str, tuple[Any, list[str]]] = {
    "effort": ("high", ["--effort", "high"]),
    "budget_usd": (2.5, ["--max-budget-usd", "2.5"]),
    "allowed_tools": (("Bash(git add:*)", "Edit"), ["--allowedTools", "Bash(git add:*),Edit"]),
}


@pytest.mark.parametrize("chosen", [*itertools.product([False, True], repeat=len(FLAGS))])
def test_claude_optional_flags(chosen: tuple[bool, ...]) -> None:
    given_flags = [flag for flag, wanted in zip(FLAGS, chosen, strict=True) if wanted]
    argv = CLAUDE.argv(Call(settings(**{flag: FLAGS[flag][0] for flag in given_flags})))
    assert argv == [*PROTOCOL_LINE, *(word for flag in given_flags for word in FLAGS[flag][1])]


def test_claude_model_and_mode() -> None:
    argv = CLAUDE.argv(Call(settings(model="opus", permission_mode="acceptEdits")))
    assert argv == ["claude", "-p", "--model", "opus", "--permission-mode", "acceptEdits", "--output-format", "json"]


@pytest.mark.parametrize(("dollars", "word"), [(1.0, "1"), (0.05, "0.05"), (100.0, "100"), (12.345, "12.345")])
def test_claude_budget_is_written_as_people_do(dollars: float, word: str) -> None:
    assert CLAUDE.argv(Call(settings(budget_usd=dollars)))[-2:] == ["--max-budget-usd", word]


@pytest.mark.parametrize("line", ["true", "echo 'a b' | cat", "# only a comment", "a\nb"])
def test_command_line_is_one_argument_of_a_shell(line: str) -> None:
    assert COMMAND.argv(Call(settings(agent="command", command=line))) == ["/bin/sh", "-c", line]


def test_command_that_is_missing_fails() -> None:
    assert COMMAND.argv(Call(settings(agent="command"))) == ["/bin/sh", "-c", "exit 127"]


def test_command_lines_are_made_of_settings_alone() -> None:
    """No argument is a prompt: each is a flag, or comes from the settings."""
    chosen = settings(effort="high", budget_usd=1.0, allowed_tools=("Edit",))
    known = {*PROTOCOL_LINE, "--effort", "high", "--max-budget-usd", "1", "--allowedTools", "Edit"}
    assert set(CLAUDE.argv(Call(chosen))) == known


def test_programs() -> None:
    assert program(settings(), {}) == "claude"
    assert program(settings(agent="command", command="make"), {}) is None
    assert set(REGISTRY) == set(BUILT_IN)


CONVERSATION = "7c7d1f0e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(("resume", "flag"), [(False, "--session-id"), (True, "--resume")])
def test_claude_begins_a_conversation_or_goes_on_with_one(resume: bool, flag: str) -> None:
    line = CLAUDE.argv(Call(settings(effort="high"), CONVERSATION, resume=resume))
    assert line == [*PROTOCOL_LINE, flag, CONVERSATION, "--effort", "high"]
    assert CLAUDE.resumes


@pytest.mark.parametrize("resume", [False, True])
def test_a_shell_line_starts_anew_each_time(resume: bool) -> None:
    own = settings(agent="command", command="make")
    assert COMMAND.argv(Call(own, CONVERSATION, resume=resume)) == COMMAND.argv(Call(own))
    assert not COMMAND.resumes


# when a quota is renewed

NOON = 1_767_268_800.0  # 2026-01-01, 12:00:00 UTC
HOUR = 3600.0


@pytest.fixture(params=["UTC", "Asia/Kolkata", "America/New_York"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """A time zone of the machine's; how many seconds it is ahead of UTC at noon."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield float(time.localtime(NOON).tm_gmtoff)
    monkeypatch.undo()
    time.tzset()


RENEWALS: list[tuple[str, float | None]] = [
    ("Claude AI usage limit reached|1767279600", 1_767_279_600.0),
    ("usage limit reached|1500000000", 1_500_000_000.0),
    ("limit; try again in 5 minutes", NOON + 300),
    ("limit; try again in 90 seconds.", NOON + 90),
    ("limit; try again in 1.5 hours", NOON + 1.5 * HOUR),
    ("limit; try again in 2h", NOON + 2 * HOUR),
    ("Weekly limit reached, resets in 3 days", NOON + 72 * HOUR),
    ("You've hit your session limit - resets 3pm (UTC)", NOON + 3 * HOUR),
    ("You've hit your session limit - Resets 3 PM (UTC)", NOON + 3 * HOUR),
    ("limit; resets at 3:30pm (UTC)", NOON + 3.5 * HOUR),
    ("limit; your limit will reset at 15:30 (GMT)", NOON + 3.5 * HOUR),
    ("limit; resets 12:01pm (UTC)", NOON + 60),
    ("limit; resets 12pm (UTC)", NOON + 24 * HOUR),
    ("limit; resets 12am (UTC)", NOON + 12 * HOUR),
    ("limit; resets 11am (UTC)", NOON + 23 * HOUR),
    ("limit; resets 00:00 (UTC)", NOON + 12 * HOUR),
    ("limit; resets 3pm (Europe/Berlin)", NOON + 2 * HOUR),
    ("limit; resets 1pm (Europe/Berlin)", NOON + 24 * HOUR),
    ("limit; resets 3pm (America/New_York)", NOON + 8 * HOUR),
    ("limit; resets 17:45 (Asia/Kolkata)", NOON + HOUR / 4),
    ("limit; resets 9am (Asia/Tokyo)", NOON + 12 * HOUR),
    ("You've hit your weekly limit · resets Jan 3, 9:50am (UTC)", NOON + 45 * HOUR + 3000),
    ("You've hit your weekly limit · resets Jan 1, 9pm (UTC)", NOON + 9 * HOUR),
    ("You've hit your weekly limit · resets Jan 1, 9am (UTC)", NOON + (365 * 24 - 3) * HOUR),
    ("You've hit your weekly limit · resets Jan 6, 2027, 9pm (UTC)", NOON + (370 * 24 + 9) * HOUR),
    ("", None),
    ("limit", None),
    ("resets soon", None),
    ("resets 7", None),
    ("resets 25:00 (UTC)", None),
    ("resets 10:75 (UTC)", None),
    ("resets Oct 3", None),
    ("resets Feb 30, 3pm (UTC)", None),
    ("resets Jan 3, 2025, 3pm (UTC)", None),
    ("resets 3 people", None),
    ("in many minutes", None),
    ("resets in ５ minutes", None),
    ("in 99999999999999999999999 days", None),
    ("call 12345678901234567890", None),
]


@pytest.mark.parametrize(("words", "until"), RENEWALS)
def test_renewal(words: str, until: float | None, zone: float) -> None:
    del zone  # what names its zone, or none, is the same everywhere
    assert find_renewal(words, NOON) == until


@pytest.mark.parametrize("hour", [*range(24)])
def test_a_clock_time_without_a_zone_is_the_machines_own(hour: int, zone: float) -> None:
    """The next time that the clock on the wall shows it: today, and tomorrow when it has passed."""
    midnight = (NOON + zone) // (24 * HOUR) * 24 * HOUR - zone
    until = midnight + hour * HOUR + 1800
    until += 0 if until > NOON else 24 * HOUR
    twelve = f"{(hour - 1) % 12 + 1}:30{'am' if hour < 12 else 'pm'}"
    for words in (f"limit; resets at {hour:02}:30", f"limit; resets {twelve}", f"resets {twelve} (Europe/Nowhere)"):
        assert find_renewal(words, NOON) == until, words


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "x" * 60, "Europe", "a\x00b", "Mars/Nord", " "])
def test_a_zone_that_nobody_knows_is_the_machines_own(name: str, zone: float) -> None:
    assert find_renewal(f"resets 10:30pm ({name})", NOON) == find_renewal("resets 10:30pm", NOON)


@pytest.mark.parametrize(
    ("day", "name", "hour"),
    [("2026-03-29", "Europe/Berlin", 23), ("2026-10-25", "Europe/Berlin", 25), ("2026-07-01", "Europe/Berlin", 24)],
)
def test_a_day_is_as_long_as_its_zone_has_it(day: str, name: str, hour: int) -> None:
    """In spring and autumn the clocks are changed in the night before."""
    begins = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo(name)).timestamp()
    assert find_renewal(f"resets 12am ({name})", begins + 1) == begins + hour * HOUR


@given(st.text() | st.from_regex(r"(resets? |in |try again in )[0-9]{1,12}[:|. ]?[0-9]{0,4} ?[a-z]{0,7}"))
def test_any_words_are_looked_through(words: str) -> None:
    until = find_renewal(words, NOON)
    assert until is None or until > NOON or re.search(r"[0-9]{10}|in 0", words, re.IGNORECASE)
    assert until is None or time.localtime(until)


# claude's exits, as measured


def error(status: int | None, words: str = "API Error", **own: Any) -> str:
    return result(is_error=True, api_error_status=status, result=words, **own)


EXITS = [
    ("success", 0, result(), "", Session.COMPLETE),
    ("success without denials", 0, result(permission_denials=...), "", Session.COMPLETE),
    ("denied", 0, result(permission_denials=[{"tool_name": "Bash"}]), "", Session.FAILED),
    ("denied, exit 1", 1, result(permission_denials=[{"tool_name": "Bash"}]), "", Session.FAILED),
    ("400", 1, error(400, "API Error: 400 bad request"), "", Session.FAILED),
    ("401", 1, error(401, "Invalid API key"), "", Session.AUTH),
    ("403", 1, error(403, "Forbidden"), "", Session.AUTH),
    ("429", 1, error(429, "rate limited"), "", Session.TRANSIENT),
    ("429 usage", 1, error(429, "You've hit your usage limit, resets 3pm"), "", Session.QUOTA),
    ("429 quota", 1, error(429, "Your quota is spent"), "", Session.QUOTA),
    ("429 five hours", 1, error(429, "You've hit your 5-hour limit · resets 11:20pm (UTC)"), "", Session.QUOTA),
    ("429 one model's", 1, error(429, "You've hit your Opus limit · resets 11:20pm (UTC)"), "", Session.QUOTA),
    ("429 credits", 1, error(429, "You're out of usage credits · resets 11:20pm (UTC)"), "", Session.QUOTA),
    (
        "429 busy",
        1,
        error(429, "Server is temporarily limiting requests (not your usage limit)"),
        "",
        Session.TRANSIENT,
    ),
    ("400 credit", 1, error(400, "Your credit balance is too low"), "", Session.AUTH),
    ("404", 1, error(404, "model: not found"), "", Session.FAILED),
    ("408", 1, error(408, "timed out"), "", Session.TRANSIENT),
    ("500", 1, error(500), "", Session.TRANSIENT),
    ("529", 1, error(529, "Overloaded"), "", Session.TRANSIENT),
    ("refused", 1, error(None, "Connection error.", api_error="connection_failed"), "", Session.TRANSIENT),
    ("cut off", 1, error(None, "Connection error.", terminal_reason="api_error"), "", Session.TRANSIENT),
    ("not logged in", 1, error(None, "Not logged in. Please run /login"), "", Session.AUTH),
    ("turns", 1, result(subtype="error_max_turns", result=..., is_error=True), "", Session.TURNS),
    ("budget", 1, result(subtype="error_max_budget_usd", result=..., is_error=True), "", Session.BUDGET),
    ("bad flag", 1, "", "error: unknown option '--x'\n", Session.FAILED),
    ("unknown session", 1, "", "No conversation found with session ID: 0\n", Session.CRASHED),
    ("TERM", 143, "", "", Session.FAILED),
    ("INT, empty", 0, "", "", Session.FAILED),
    ("INT", 0, result(subtype="error_during_execution", is_error=True, result=...), "", Session.FAILED),
    ("KILL", -9, "", "", Session.FAILED),
    ("no safety check", 1, result(is_error=True, result="auto mode is unavailable"), "", Session.FAILED),
    ("success that exits 1", 1, result(), "", Session.FAILED),
    ("unknown subtype", 0, result(subtype="novel"), "", Session.FAILED),
    ("no subtype", 0, result(subtype=...), "", Session.FAILED),
]


@pytest.mark.parametrize(("code", "stdout", "stderr", "status"), [row[1:] for row in EXITS],
                         ids=[row[0] for row in EXITS])  # fmt: skip
def test_claude_exit(code: int, stdout: str, stderr: str, status: Session) -> None:
    outcome = CLAUDE.judge(code, stdout, stderr)
    assert outcome.status is status
    assert bool(outcome.detail) == (status is not Session.COMPLETE), "what failed says why"
    assert "\n" not in outcome.detail
    assert (outcome.cost == 0.0421) == bool(stdout)


def assistant(message: str, *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An event as claude prints one for each part of a message."""
    usage = {"input_tokens": 1000, "output_tokens": 1, "service_tier": None}
    return {"type": "assistant", "message": {"id": message, "usage": usage, "content": [*blocks]}, **more}


def test_claude_progress_counts_a_message_of_many_parts_once() -> None:
    found, tool = Progress(), {"type": "tool_use", "name": "Bash"}
    for event in (assistant("msg_1", {"type": "text"}), assistant("msg_1", tool), assistant("msg_2", {"type": "text"}),
                  assistant("made up", {"type": "text"}, is_api_error_message=True)):  # fmt: skip
        CLAUDE.read_event(event, found)
    assert found == Progress(turns=2, tool="Bash", tokens=2002, message="msg_2")


def test_only_what_passes_is_tried_again() -> None:
    retried = {name for name, code, stdout, stderr, _ in EXITS if CLAUDE.judge(code, stdout, stderr).status in RETRIED}
    assert retried == {"turns", "408", "429", "429 busy", "500", "529", "refused", "cut off"}


def test_details_name_what_to_do() -> None:
    denials = [{"tool_name": "Write"}, {"tool_name": "Bash"}, {"tool_name": "Bash"}, "odd"]
    denied = CLAUDE.judge(0, result(permission_denials=denials), "").detail
    assert denied.startswith("denied: Bash, Write;")
    assert "allowed_tools" in denied
    assert "/login" in CLAUDE.judge(1, error(401, "Invalid API key"), "").detail
    assert "unknown option '--x'" in CLAUDE.judge(1, "", "error: unknown option '--x'\n").detail


# output that is not as it should be


def test_last_result_counts_and_what_hooks_print_does_not() -> None:
    both = result(result="first") + "{not json\n" + result(result="second", total_cost_usd=2) + "bye\n{}x\n"
    assert CLAUDE.judge(0, both, "") == Outcome(Session.COMPLETE, "second", "", 2.0)
    hook = json.dumps({"type": "hook", "result": "no"})
    assert CLAUDE.judge(0, result(result="mine") + hook + "\n", "").text == "mine"


def test_huge_result() -> None:
    text = "x" * 5_000_000 + "\nSTATUS: DONE"
    assert CLAUDE.judge(0, result(result=text), "").text == text
    assert len(CLAUDE.judge(1, error(400, text * 2), "").detail) <= 300


@pytest.mark.parametrize("stdout", [
    "", "\n\n", "garbage", "{", "{}{}", "[]", "null", "\0\0\0", "{\0}",
    "[" * 100_000, '{"a":' * 50_000, "\udcff", "{" * 9,
    '{"type": "result"', '"result"', "1e999", "{'type': 'result'}",
])  # fmt: skip
@pytest.mark.parametrize("code", [0, 1, 143, -9])
def test_garbage_is_never_success(stdout: str, code: int) -> None:
    assert CLAUDE.judge(code, stdout, "").status is Session.FAILED


def test_nul_bytes_around_a_result_do_no_harm() -> None:
    assert CLAUDE.judge(0, "\0\n" + result(result="a\0b"), "\0").text == "a\0b"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
RESULTS = st.fixed_dictionaries({"type": st.just("result"), "subtype": st.just("success") | JSON}, optional={
    "is_error": st.booleans() | JSON, "result": JSON, "api_error_status": st.sampled_from([401, 429, 500]) | JSON,
    "api_error": JSON, "terminal_reason": JSON, "permission_denials": st.none() | st.lists(JSON, max_size=3),
    "total_cost_usd": st.none() | st.floats() | st.text(max_size=5),
})  # fmt: skip


@given(st.integers(-1, 2), RESULTS, st.text(max_size=20))
def test_any_result_is_judged(code: int, fields: dict[str, Any], stderr: str) -> None:
    outcome = CLAUDE.judge(code, json.dumps(fields), stderr)
    sound = code == 0 and fields["subtype"] == "success" and not fields.get("is_error")
    assert (outcome.status is Session.COMPLETE) == (sound and not fields.get("permission_denials"))


@given(st.integers(-64, 255), st.text(), st.text())
def test_any_text_is_judged(code: int, stdout: str, stderr: str) -> None:
    assert CLAUDE.judge(code, stdout, stderr).status is Session.FAILED
    assert COMMAND.judge(code, stdout, stderr).text == stdout


# shell lines


@pytest.mark.parametrize(
    ("code", "status"),
    [(0, Session.COMPLETE), (1, Session.FAILED), (2, Session.FAILED), (75, Session.TRANSIENT), (126, Session.FAILED),
     (127, Session.FAILED), (143, Session.FAILED), (-9, Session.FAILED)],
)  # fmt: skip
def test_command_exit(code: int, status: Session) -> None:
    outcome = COMMAND.judge(code, "STATUS: BLOCKED\n", "not found\n")
    detail = "" if code == 0 else f"exit {code}: not found"
    assert outcome == Outcome(status, "STATUS: BLOCKED\n", detail, None)


def test_command_detail_falls_back_to_stdout() -> None:
    assert COMMAND.judge(1, "a\nb\n", "").detail == "exit 1: b"
    assert COMMAND.judge(1, "", "").detail == "exit 1: no output"


# what is known beforehand

GATEWAY = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:4000"}
BEFORE: list[tuple[str, dict[str, Any], dict[str, str], str]] = [
    ("claude", {"permission_mode": "auto"}, {}, ""),
    ("claude", {"permission_mode": "auto"}, {"ANTHROPIC_BASE_URL": "https://api.anthropic.com"}, ""),
    ("claude", {"permission_mode": "auto"}, GATEWAY, "acceptEdits with allowed_tools works everywhere"),
    ("claude", {"permission_mode": "acceptEdits"}, GATEWAY, ""),
    ("claude", {"budget_usd": 1.0}, {}, ""),
    ("codex", {"budget_usd": 1.0}, {}, "agent codex tells no cost: budget_usd does not hold its sessions"),
    ("gemini", {"budget_usd": 1.0}, {}, "agent gemini tells no cost"),
    ("opencode", {"budget_usd": 1.0}, {}, ""),
    ("command", {"budget_usd": 1.0}, {}, "agent command tells no cost"),
    ("codex", {}, {}, ""),
]


@pytest.mark.parametrize(("name", "own", "env", "words"), BEFORE)
def test_what_should_be_known_is_noted(name: str, own: dict[str, Any], env: dict[str, str], words: str) -> None:
    notes = list(REGISTRY[name].find_notes(settings(agent=name, **own), env))
    assert len(notes) == (1 if words else 0)
    assert all(words in note for note in notes)


MODES: list[tuple[str, bool, dict[str, str], str]] = [
    ("acceptEdits", True, {}, ""),
    ("bypassPermissions", False, {}, ""),
    ("bypassPermissions", True, {"IS_SANDBOX": "1"}, ""),
    ("bypassPermissions", True, {}, "refused to root"),
    ("yolo", False, {}, "write one of: acceptEdits,"),
]


@pytest.mark.parametrize(("mode", "root", "env", "words"), MODES)
def test_a_permission_mode_that_is_refused_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, mode: str, root: bool, env: dict[str, str], words: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
    faults = list(CLAUDE.find_faults(settings(permission_mode=mode), env))
    assert len(faults) == (1 if words else 0)
    assert all(words in fault for fault in faults)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"])
def test_a_result_may_hold_what_elsewhere_ends_a_line(mark: str) -> None:
    """JSON.stringify leaves them as they are, and a session that was paid for would have no result."""
    line = json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": f"one{mark}two"},
                      ensure_ascii=False)  # fmt: skip
    outcome = CLAUDE.judge(0, f"a hook\n{line}\r\n", "")
    assert outcome.status is Session.COMPLETE
    assert outcome.text == f"one{mark}two"
