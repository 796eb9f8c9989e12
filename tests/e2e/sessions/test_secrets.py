"""What a session is given, what is kept from it, and what nobody is shown."""

from __future__ import annotations

import json
import stat

from tests.e2e.harness import KEEP, Sandbox, item, plan

KEY = "sk-ant-" + "a1B2" * 8
TOLD = f"STATUS: COMPLETE\\nNOTES: the key is {KEY}"


def environment(box: Sandbox) -> dict[str, str]:
    """The environment that the session of item 1 has had."""
    pairs = (entry.partition("=") for entry in (box.outside / "environment").read_text().split("\0") if entry)
    return {name: value for name, _, value in pairs}


def test_a_session_is_given_what_is_allowed_and_no_more(box: Sandbox) -> None:
    box.env |= {"DATABASE_PASSWORD": "secret-1", "MY_TOKEN": "secret-2", "AWS_REGION": "r", "AWS_PROFILE": "p",
                "LC_TIME": "C", "PYTHONPATH": str(box.root), "ANTHROPIC_API_KEY": "k",
                "HTTPS_PROXY": "http://127.0.0.1:9"}  # fmt: skip
    box.make(plan([[item(1)]]), pass_env=["OUT", "AWS_*"], set_env={"LC_TIME": "de", "MINE": "a b=$HOME"})
    box.behave(1, 'cat /proc/self/environ > "$OUT/environment"; work; report COMPLETE')
    box.milestone()
    found = environment(box)
    assert not {"DATABASE_PASSWORD", "MY_TOKEN", "PYTHONPATH", "ANTHROPIC_API_KEY"} & found.keys()
    wanted = {"AWS_REGION": "r", "AWS_PROFILE": "p", "LC_TIME": "de", "MINE": "a b=$HOME",
              "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": box.env["HOME"], "PATH": box.env["PATH"],
              "MILESTONE_ITEM": "1", "MILESTONE_NUMBER": "3"}  # fmt: skip
    assert {name: found.get(name) for name in wanted} == wanted


def test_each_agent_is_given_its_own_keys_alone(box: Sandbox) -> None:
    box.install("mine", '#!/bin/sh\ncat /proc/self/environ > "$OUT/environment"\n')
    box.env |= {"MINE_KEY": "mine", "OTHER_KEY": "other"}
    box.make(plan([[item(1)]]), agent="mine", command=None, retries=0,
             agents={"mine": {"argv": ["mine"], "pass_env": ["MINE_KEY"]}, "other": {"argv": ["o"],
                     "pass_env": ["OTHER_KEY"]}})  # fmt: skip
    box.milestone(rc=1)
    assert environment(box)["MINE_KEY"] == "mine"
    assert "OTHER_KEY" not in environment(box)


def test_what_a_run_writes_is_for_its_user_alone(box: Sandbox) -> None:
    box.make(plan([[item(1)], [item(2, 1)]], pre=["true"], post=["true"]))
    box.behave(1, "work; report COMPLETE")
    box.behave(2, "echo wrong >&2; exit 1")
    box.milestone(rc=1)
    own = box.root / ".milestone/3"
    trees = {own / "worktrees", own / "integration"}
    # What git is to leave out is no secret.
    files = [path for path in own.rglob("*") if path.is_file() and not trees & set(path.parents)]
    files.remove(own / "excludes")
    assert {"result.json", "stdout", "prompt.md", "journal.jsonl", "relay.md", "green", "exit.json"} <= {
        path.name for path in files
    }
    assert any(path.suffix == ".log" for path in files)
    assert {str(path): oct(stat.S_IMODE(path.stat().st_mode)) for path in files if path.stat().st_mode & 0o077} == {}


def test_a_key_is_shown_to_nobody_and_told_to_no_other_session(box: Sandbox) -> None:
    box.env["OWN_SECRET"] = "correct-horse-battery"
    box.make(plan([[item(1), item(2)], [item(3, 1)]]), set_env={"SET_TOKEN": "swift-lizard-river"})
    box.behave(1, f'echo "$SET_TOKEN"; work; printf "{TOLD}"')
    box.behave(2, f'echo "{KEY} correct-horse-battery" >&2; exit 1')
    box.behave(3, f"{KEEP}; work; report COMPLETE")
    shown = box.milestone(rc=1).text
    shown += "".join(box.doit(*words, "n=3", rc=0).text for words in (["status"], ["log:1"], ["log:2"]))
    assert "[masked]" in shown
    assert "the key is [masked]" in box.prompt("3")
    messages = box.git("log", "--all", "--format=%B")
    for text in (shown, box.prompt("3"), messages, json.dumps(box.receipt("items/1/result.json"))):
        assert KEY not in text
        assert "correct-horse" not in text
        assert "swift-lizard" not in text


PEM = "-----BEGIN PRIVATE KEY-----\\nMIIBVgIBADANBg\\nkqhkiG9w0BAQEF\\n-----END PRIVATE KEY-----\\n"


def test_a_key_of_several_lines_is_not_shown_line_by_line(box: Sandbox) -> None:
    box.make(plan([[item(1)]]))
    box.behave(1, f"work; printf -- '{PEM}'; report COMPLETE")
    box.milestone()
    told = box.doit("log:1", "n=3", rc=0).out
    assert told.startswith("[masked]\nSTATUS: COMPLETE")


def test_what_a_gate_prints_of_the_users_environment_is_told_to_nobody(box: Sandbox) -> None:
    box.env["OWN_SECRET"] = "correct-horse-battery"
    gate = 'test -e fixed || { echo "using $OWN_SECRET"; exit 1; }'
    box.make(plan([[item(1)]], post=[f"test ! -e item-1.txt || {gate}"]))
    box.behave("1-fix", 'cat > "$OUT/prompt-fix"; exit 1')
    box.behave("landing-fix", 'cat > "$OUT/prompt-fix"; exit 1')
    shown = box.milestone(rc=1).text
    assert "using [masked]" in box.prompt("fix")
    journal = (box.root / ".milestone/3/journal.jsonl").read_text()
    for text in (shown, box.prompt("fix"), journal):
        assert "correct-horse" not in text
        assert "[masked]" in text


def test_a_branch_that_looks_like_a_key_is_named_in_full(box: Sandbox) -> None:
    """The next command needs its name."""
    box.make(plan([[item(1, title="Task queue worker crashes on an empty payload")]]))
    box.behave(1, "git switch -qc elsewhere; work")
    done = box.milestone(rc=1)
    assert "not on work/3/1-task-queue-worker-crashes" in done.out
