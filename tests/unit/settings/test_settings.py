"""Settings: where each comes from, which one wins, and what is refused with which words."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from work_milestone import settings as chosen
from work_milestone.plan import Item
from work_milestone.settings import check_agent, model
from work_milestone.settings.agents import BUILT_IN
from work_milestone.system import SettingsError, machine

Write = Callable[[str], Path]
REUSED = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write milestone.yaml; gives the root."""

    def write(text: str) -> Path:
        (tmp_path / "milestone.yaml").write_text(text)
        return tmp_path

    return write


def faults(root: Path, **variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        chosen.load_settings(root, variables)
    return caught.value.faults


def test_defaults(tmp_path: Path) -> None:
    found = chosen.load_settings(tmp_path, {})
    assert found.model_dump() == {
        "agent": "claude",
        "command": None,
        "model": None,
        "effort": None,
        "permission_mode": "auto",
        "allowed_tools": (),
        "budget_usd": None,
        "timeout": 7200.0,
        "retries": 1,
        "stream": False,
        "structured_report": False,
        "fallback": (),
        "agents": {},
        "pass_env": (),
        "set_env": {},
        "prove": None,
        "total_budget_usd": None,
        "backoff": 2.0,
        "mends": 2,
        "generations": 3,
        "max_sessions": model.default_max_sessions(),
        "links": (".venv", "node_modules"),
        "main": None,
        "remote": None,
        "schedule": "waves",
        "allow_dirty": False,
        "branch": None,
        "gates": None,
        "from_command_line": frozenset(),
    }


@pytest.mark.parametrize("text", ["", "# agent: command\n", "---\n", "~\n"])
def test_empty_file_is_defaults(write: Write, text: str) -> None:
    assert chosen.load_settings(write(text), {}).agent == "claude"


@pytest.mark.parametrize(
    ("line", "variable", "key", "value"),
    [
        ("model: opus", "opus", "model", "opus"),
        ("effort: high", "high", "effort", "high"),
        ("permission-mode: plan", "plan", "permission_mode", "plan"),
        ("allowed_tools: [Read, Edit]", "Read,Edit", "allowed_tools", ("Read", "Edit")),
        ("allowed-tools: Read", "Read", "allowed_tools", ("Read",)),
        (
            "allowed_tools: 'Bash(git log:*, x), Edit'",
            "Bash(git log:*, x), Edit",
            "allowed_tools",
            ("Bash(git log:*, x)", "Edit"),
        ),
        ("budget_usd: 2", "2", "budget_usd", 2.0),
        ("budget-usd: 2.5", "2.5", "budget_usd", 2.5),
        ("timeout: 90m", "90m", "timeout", 5400.0),
        ("timeout: 60", "60", "timeout", 60.0),
        ("retries: 0", "0", "retries", 0),
        ("max-sessions: 3", "3", "max_sessions", 3),
        ("links: [./a/b/, c]", "./a/b/,c", "links", ("a/b", "c")),
        ("links: []", "", "links", ()),
        ("main: trunk", "trunk", "main", "trunk"),
        ("remote: fork", "fork", "remote", "fork"),
        ("remote: none", "none", "remote", "none"),
        ("remote: false", "false", "remote", "none"),
        ("remote: no", "no", "remote", "none"),
        ("schedule: eager", "eager", "schedule", "eager"),
        ("agent: command", "command", "agent", "command"),
        ("command: make it", "make it", "command", "make it"),
    ],
)
def test_one_key_from_either_side(write: Write, line: str, variable: str, key: str, value: object) -> None:
    from_file = chosen.load_settings(write(line), {})
    assert getattr(from_file, key) == value
    assert from_file.from_command_line == frozenset()
    root = write("")
    for name in {key, key.replace("_", "-")}:
        from_line = chosen.load_settings(root, {name: variable})
        assert getattr(from_line, key) == value
        assert key in from_line.from_command_line


@pytest.mark.parametrize(
    ("text", "remote"), [("", None), ("remote:", "none"), ("remote: ~", "none"), ("remote: up", "up")]
)
def test_never_push(write: Write, text: str, remote: str | None) -> None:
    assert chosen.load_settings(write(text), {}).remote == remote


def test_null_is_not_given(write: Write) -> None:
    assert chosen.load_settings(write("model: \ntimeout: ~\n"), {}).timeout == 7200.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_sesions: 9", "1:1: max_sesions: no such setting; did you mean max_sessions?"),
        ("max-sesions: 9", "1:1: max-sesions: no such setting; did you mean max_sessions?"),
        ("zzz: 9", "1:1: zzz: no such setting; known: agent, command, model,"),
        ("model: a\nmodel: b", "2:1: model stands twice in one mapping, first on line 1; keep one"),
        (
            "max-sessions: 1\nmax_sessions: 1",
            "2:1: max_sessions and max-sessions are one key in two spellings",
        ),
        ("allow-dirty: yes", "1:1: allow-dirty: belongs on the command line; write it there: doit milestone"),
        ("n: 7", "1:1: n: belongs on the command line"),
        ("from_command_line: []", "1:1: from_command_line: no such setting"),
        ("agent: claud", "1:8: agent claud is not known; did you mean claude?"),
        ("agent: gpt", "1:8: agent gpt is not known; write one of: claude, codex, gemini, opencode, command"),
        ("model: 4", "1:8: model must be text, not 4; put it in quotes"),
        ("model: ' '", "1:8: model is empty; write it"),
        ("timeout: 0", "1:10: timeout must be more than 0 seconds and at most 366 days, not 0; write 2h"),
        ("timeout: -2h", "1:10: timeout must be a duration, not -2h; write 90m, 2h or 45s"),
        ("retries: 11", "1:10: retries must be at most 10, not 11; change it"),
        ("retries: -1", "1:10: retries must be at least 0, not -1; change it"),
        ("retries: '1'", "1:10: retries must be a whole number, not 1; write it without quotes"),
        ("max_sessions: 0", "1:15: max_sessions must be at least 1, not 0; change it"),
        ("budget_usd: 0", "1:13: budget_usd must be greater than 0, not 0; change it"),
        ("budget_usd: .inf", "1:13: budget_usd must be a number, not .inf; write one"),
        ("links: [/a]", "1:9: an entry of links /a is no path inside the repository; write one, like .venv"),
        ("links: [a, b/../c]", "1:12: an entry of links b/../c is no path inside the repository"),
        ("links: ['']", "1:9: an entry of links (empty) is no path inside the repository"),
        ("links: [.]", "1:9: an entry of links . is no path inside the repository"),
        ("links: [.git/hooks]", "1:9: an entry of links .git/hooks is no path inside the repository"),
        ("links: 3", "1:8: links must be a list, not 3; write it as [a, b]"),
        ("main: a..b", "1:7: main a..b has '..', which git refuses in a branch; write the branch that"),
        ("remote: --all", "1:9: remote --all is no remote; write its name, or none"),
        ("remote: true", "1:9: remote must be text, not true; put it in quotes"),
        ("schedule: fast", "1:11: schedule must be waves or eager, not fast; write one of them"),
        ("- a", "1:1: not a mapping at the top level; write `key: value` lines"),
        ("a: [", "2:1: not valid YAML"),
    ],
)
def test_file_is_refused(write: Write, text: str, expected: str) -> None:
    (fault,) = faults(write(text + "\n"))
    assert fault.startswith(f"milestone.yaml:{expected}")


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("max_sesions", "9", "no such variable; did you mean max_sessions?"),
        ("alow-dirty", "1", "no such variable; did you mean allow_dirty?"),
        ("zzz", "9", "no such variable; known: agent, command,"),
        ("max_sessions", "many", "max_sessions must be a whole number; write it without quotes"),
        ("max_sessions", "2.5", "max_sessions must be a whole number; write it without quotes"),
        ("budget_usd", "-1", "budget_usd must be greater than 0; change it"),
        ("timeout", "0", "timeout must be more than 0 seconds"),
        ("agent", "comand", "agent comand is not known; did you mean command?"),
        ("model", "", "model is empty; write it"),
        ("remote", "", "remote (empty) is no remote; write its name, or none"),
        ("allow_dirty", "maybe", "allow_dirty must be true or false; write one of them, without quotes"),
        ("branch", "delete", "branch must be resume or recreate; write one of them"),
        ("gates", "none", "gates must be all or baseline; write one of them"),
        ("gates", "", "gates must be all or baseline; write one of them"),
        ("links", "a,/b", "an entry of links /b is no path inside the repository"),
    ],
)
def test_variable_is_refused(tmp_path: Path, key: str, text: str, expected: str) -> None:
    (fault,) = faults(tmp_path, **{key: text})
    assert fault.startswith(f"{key}={text}: {expected}")


def test_every_fault_at_once(write: Write) -> None:
    root = write("retries: x\nagnt: claude\nmodel: 3\n")
    found = faults(root, n="7", max_sesions="9", schedule="x", **{"max-sessions": "1", "max_sessions": "2"})
    assert [fault.split(": ")[0] for fault in found] == [
        "milestone.yaml:1:10",
        "milestone.yaml:2:1",
        "milestone.yaml:3:8",
        "max_sesions=9",
        "max_sessions=2",
        "schedule=x",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("True", True), ("1", True), ("no", False), ("FALSE", False), ("0", False)],
)
def test_allow_dirty(tmp_path: Path, text: str, value: bool) -> None:
    found = chosen.load_settings(tmp_path, {"allow_dirty": text, "branch": "resume", "n": "7"})
    assert (found.allow_dirty, found.branch) == (value, "resume")
    assert found.from_command_line == frozenset()


@pytest.mark.parametrize(("text", "value"), [(None, None), ("7", 7), (" 7 ", 7), ("007", 7), ("999999999", 999999999)])
def test_number(text: str | None, value: int | None) -> None:
    assert chosen.parse_number(text) == value


@pytest.mark.parametrize("text", ["abc", "-1", "0", "7.5", "", "1" * 5000, "٧", "1e3", "7\n8", "+7", "1_0"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen.parse_number(text)
    (fault,) = caught.value.faults
    assert fault.startswith("n=")
    assert fault.isprintable()
    assert len(fault) < 200


@pytest.mark.parametrize(
    ("text", "own", "variables", "agent", "command"),
    [
        ("", {}, {}, "claude", None),
        ("command: f", {}, {}, "command", "f"),
        ("agent: claude\ncommand: f", {}, {}, "claude", None),
        ("agent: command", {}, {}, "command", None),
        ("agent: command", {"command": "i"}, {}, "command", "i"),
        ("", {"command": "i"}, {}, "command", "i"),
        ("agent: claude", {"command": "i"}, {}, "command", "i"),
        ("command: f", {"command": "i"}, {}, "command", "i"),
        ("command: f", {"agent": "claude"}, {}, "claude", None),
        ("command: f", {"agent": "command"}, {}, "command", "f"),
        ("command: f", {}, {"agent": "claude"}, "claude", None),
        ("command: f", {"command": "i"}, {"agent": "claude"}, "claude", None),
        ("command: f", {"command": "i"}, {"agent": "command"}, "command", "i"),
        ("command: f", {"command": "i"}, {"command": "c"}, "command", "c"),
        ("agent: claude", {}, {"command": "c"}, "command", "c"),
        ("", {"agent": "claude"}, {"command": "c"}, "command", "c"),
        ("", {"agent": "claude"}, {"agent": "command"}, "command", None),
    ],
)
def test_agent_and_command(
    write: Write, text: str, own: dict[str, Any], variables: dict[str, str], agent: str, command: str | None
) -> None:
    settings = chosen.load_settings(write(text), variables)
    found = chosen.session_settings(settings, Item(title="a", issue=1, **own))
    assert (found.agent, found.command) == (agent, command)


@pytest.mark.parametrize(
    ("key", "text", "own", "variable", "values"),
    [
        ("model", "f", "i", "c", ("sonnet", "f", "i", "c")),
        ("effort", "f", "i", "c", (None, "f", "i", "c")),
        ("timeout", "1m", "2m", "3m", (7200.0, 60.0, 120.0, 180.0)),
        ("budget_usd", "1", 2, "3", (None, 1.0, 2.0, 3.0)),
    ],
)
def test_levels(write: Write, key: str, text: str, own: Any, variable: str, values: tuple[object, ...]) -> None:
    plain, with_own = Item(title="a", issue=1), Item.model_validate({"title": "a", "issue": 1, key: own})

    def value(root: Path, variables: dict[str, str], item: Item) -> object:
        return getattr(chosen.session_settings(chosen.load_settings(root, variables), item), key)

    root = write("")
    assert value(root, {}, plain) == values[0]
    root = write(f"{key}: {text}")
    assert value(root, {}, plain) == values[1]
    assert value(root, {}, with_own) == values[2]
    assert value(root, {key: variable}, with_own) == values[3]


MODEL = [
    # file, item, command line, agent, model
    ("", {}, {}, "claude", "sonnet"),
    ("model: opus", {"agent": "codex"}, {}, "codex", ""),
    ("model: opus", {"agent": "codex", "model": "m"}, {}, "codex", "m"),
    ("model: opus", {"agent": "claude"}, {}, "claude", "opus"),
    ("model: opus", {}, {"agent": "codex"}, "codex", ""),
    ("model: opus", {}, {"agent": "codex", "model": "m"}, "codex", "m"),
    ("agents: {codex: {model: own}}", {"agent": "codex"}, {}, "codex", "own"),
    ("agents: {codex: {model: own}}", {"agent": "codex"}, {"model": "opus"}, "codex", "own"),
    ("agents: {codex: {model: own}}\nagent: codex\nmodel: m", {}, {}, "codex", "m"),
    ("agents: {mine: {argv: [mine]}}", {"agent": "mine"}, {}, "mine", ""),
    ("agents: {mine: {argv: [mine]}}", {}, {"agent": "mine"}, "mine", ""),
    ("model: opus", {"command": "make"}, {}, "command", ""),
]


@pytest.mark.parametrize(("text", "own", "variables", "agent", "model"), MODEL)
def test_a_model_is_for_the_agent_that_it_was_chosen_with(
    write: Write, text: str, own: dict[str, Any], variables: dict[str, str], agent: str, model: str
) -> None:
    settings = chosen.load_settings(write(text), variables)
    found = chosen.session_settings(settings, Item(title="a", issue=1, **own))
    assert (found.agent, found.model) == (agent, model)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agents: {Mine: {argv: [a]}}", "no name of an agent"),
        ("agents: {mine: {model: m}}", "without argv"),
        ("agents: {codex: {argv: [a]}}", "codex is built in: argv cannot be set"),
        ("agents: {mine: {argv: []}}", "the program comes first"),
        ("agents: {mine: {argv: ['{model}']}}", "the program comes first"),
        ("agents: {mine: {argv: [a, '{modle}']}}", "{modle} stands for nothing; did you mean model?"),
        ("agents: {mine: {argv: [a], quota: '('}}", "no regular expression"),
        ("agents: {mine: {argv: [a], result: xml}}", "result"),
        ("agents: [mine]", "agents"),
        ("agents: {mine: {argv: [a], resutl: json}}", "1:28: resutl: no such key of an agent; did you mean result?"),
        ("agents: {mine: {argv: [a, '{conversation}']}}", "describe resume: too"),
        ("agents: {mine: {argv: [a], resume: [a, '{conversation}']}}", "that argv did not"),
        (
            "agents: {mine: {argv: [a, '{conversation}'], resume: [a], own-conversations: true}}",
            "leave {conversation} out",
        ),
        ("agents: {mine: {argv: [a], resume: [a, '{conversation}'], own_conversations: true}}", "told in JSON"),
        ("set_env: {'A*': x}", "A* stands for many"),
        ("fallback: [clawd]", "clawd is not known; did you mean claude?"),
        ("pass_env: ['A B']", "no name of a variable"),
        ("set_env: {A: 1}", "A must be text, not 1; put it in quotes"),
        ("set_env: {'A-B': x}", "A-B is no name of a variable"),
    ],
)
def test_agents_and_variables_are_refused_where_they_stand(write: Write, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen.load_settings(write(text), {})
    (fault,) = caught.value.faults
    assert "milestone.yaml:1:" in fault
    assert words in fault


def test_what_only_a_file_can_say_is_no_variable(write: Write) -> None:
    for name in ("agents", "set_env"):
        with pytest.raises(SettingsError, match="no such variable"):
            chosen.load_settings(write(""), {name: "x"})


def test_the_rest_of_a_session(write: Write) -> None:
    settings = chosen.load_settings(write("permission_mode: plan\n"), {"allowed_tools": "Read"})
    found = chosen.session_settings(settings, Item(title="a", issue=1))
    assert (found.permission_mode, found.allowed_tools) == ("plan", ("Read",))


@pytest.mark.parametrize(
    ("pages", "limit", "cores", "expected"),
    [(1, None, 8, 1), (16, None, 4, 8), (8, None, 16, 4), (64, None, None, 2), (64, 4, 8, 2), (8, 64, 8, 4)],
)
def test_max_sessions(
    monkeypatch: pytest.MonkeyPatch, pages: int, limit: int | None, cores: int | None, expected: int
) -> None:
    sizes = {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 1 << 30}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(machine, "memory_limit", lambda: limit << 30 if limit else None)
    assert model.default_max_sessions() == expected


def test_max_sessions_without_sysconf(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", refuse)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(machine, "memory_limit", lambda: None)
    assert model.default_max_sessions() == 2


@pytest.mark.parametrize("name", BUILT_IN)
def test_known_agents(name: str) -> None:
    assert check_agent(name) is None


@REUSED
@given(
    content=st.binary(max_size=100),
    variables=st.dictionaries(st.sampled_from(["n", *model.SETTINGS_KEYS]), st.text()),
)
def test_anything_loads_or_is_refused(tmp_path: Path, content: bytes, variables: dict[str, str]) -> None:
    (tmp_path / "milestone.yaml").write_bytes(content)
    found: list[str] = []
    try:
        chosen.load_settings(tmp_path, variables)
    except SettingsError as error:
        found = error.faults
    assert all(fault.isprintable() for fault in found)
