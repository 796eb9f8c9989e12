"""What is masked, and what is not."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.text import masking

LETTERS = "aB3" * 20
MIDDLE = re.compile(r"B3aB3aB3|ABCDEFGH|1234567890|abc$|abc(?=\n)")
KEYS = {
    "Anthropic": f"sk-ant-api03-{LETTERS}",
    "OpenAI": f"sk-proj-{LETTERS}",
    "GitHub": f"ghp_{LETTERS[:36]}",
    "GitHub, fine-grained": f"github_pat_{LETTERS}",
    "GitLab": f"glpat-{LETTERS[:20]}",
    "AWS": "AKIA" + "ABCDEFGHIJKLMNOP",
    "Google": f"AIza{LETTERS[:35]}",
    "Slack": "xoxb-1234567890-abcdef",
    "npm": f"npm_{LETTERS[:36]}",
    "a web token": f"eyJ{LETTERS[:20]}.{LETTERS[:20]}.{LETTERS[:20]}",
    "a header": f"Bearer {LETTERS[:30]}",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    "a cut private key": "-----BEGIN PRIVATE KEY-----\nabc",
}
PLAIN = (
    "sk-8",
    "the task is done, skip-worktree was set",
    "bearer of bad news",
    "https://example.org/a@b",
    "git@github.com:owner/name.git",
    "commit 0123456789abcdef0123456789abcdef01234567",
    "ghp_short",
    "",
    # Names of branches, and words:
    "work/7/42-task-queue-worker-crashes-on-empty-payload",
    "work/7/42-npm-install-fails-when-offline-cache-is-cold",
    "refs/milestone/3/attempt/7/1-disk-usage-report-2-is-wrong-for-links",
    "docs/Task-Queue-Worker-Design-Notes-2024.md",
    "sk-learn-pipeline-for-feature-selection-2",
    "basic internationalization, bearer authentication-middleware",
    "the checks look for -----BEGIN",
)


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process has two secrets, and some that only look like one."""
    monkeypatch.setenv("MY_API_KEY", "hunter2hunter2")
    monkeypatch.setenv("DB_PASSWORD", "p.s+w(rd*")
    monkeypatch.setenv("PIN_TOKEN", "1234")
    monkeypatch.setenv("KEYBOARD", "qwertyuiop")
    masking._pattern.cache_clear()
    yield
    masking._pattern.cache_clear()


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_goes_and_the_words_around_it_stay(kind: str) -> None:
    masked = masking.mask(f"before {KEYS[kind]}")
    assert masked == f"before {masking.MASK}"


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_key_stays(text: str) -> None:
    assert masking.mask(text) == text


def test_user_and_password_go_from_an_address() -> None:
    assert masking.mask("https://me:secret@example.org/x") == f"https://{masking.MASK}@example.org/x"


def test_values_of_secret_variables_go_wherever_they_stand() -> None:
    said = "key=hunter2hunter2; db p.s+w(rd* pin 1234 and qwertyuiop"
    assert masking.mask(said) == f"key={masking.MASK}; db {masking.MASK} pin 1234 and qwertyuiop"


def test_lines_of_json_hide_no_key() -> None:
    for kind, key in KEYS.items():
        line = json.dumps({"result": f"the key:\n{key}"})
        assert MIDDLE.findall(key)[0] not in masking.mask(line), kind


def test_a_form_of_a_key_that_is_only_named_takes_nothing_with_it() -> None:
    text = "it looks for -----BEGIN PRIVATE KEY----- in each file; then it stops\nNOTES: more"
    masked = masking.mask(text)
    assert masked == f"it looks for {masking.MASK} in each file; then it stops\nNOTES: more"


def test_a_secret_of_several_lines_goes_in_each_form(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ['{"type": "account",', ' "private": "xyzzy xyzzy"}']
    monkeypatch.setenv("CLOUD_CREDENTIALS", "\n".join(lines) + "\n")
    masking._pattern.cache_clear()
    for said in ("\n".join(lines), json.dumps({"text": "\n".join(lines)}), lines[1], " ".join(lines)):
        assert "xyzzy" not in masking.mask(said)


def test_the_file_that_a_key_is_in_has_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSH_KEY_FOLDER", str(tmp_path))
    masking._pattern.cache_clear()
    assert masking.mask(f"log: {tmp_path}/1") == f"log: {tmp_path}/1"


HOSTILE = ("eyJ", "eyJ-", "-eyJ", "sk-", "-sk-a", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "bearer ", "Basic a", "://a:",
           "pypi-", "xoxb-", "AKIA", "a", " ", "\n")  # fmt: skip


@pytest.mark.parametrize("word", HOSTILE)
def test_no_text_takes_long(word: str) -> None:
    """In proportion to its length: what were a square would take minutes here."""
    began = time.process_time()
    masking.mask(word * (2_000_000 // len(word)))
    assert time.process_time() - began < 10


@given(st.binary(max_size=200), st.sampled_from(sorted(KEYS)), st.integers(-120, 120), st.binary(max_size=200))
def test_a_key_across_two_blocks_goes_too(before: bytes, kind: str, off: int, after: bytes) -> None:
    with patch.object(masking, "BLOCK", 1000), patch.object(masking, "HELD", 400):
        filled = before + b" " * (max(0, 1000 - len(before) + off)) + KEYS[kind].encode() + b" " + after
        told = b"".join(masking.mask_stream(io.BytesIO(filled)))
    assert KEYS[kind].encode() not in told
    assert told.startswith(before) or masking.MASK.encode() in told[:250]


@given(st.text(), st.sampled_from(sorted(KEYS)), st.text())
def test_no_text_around_it_hides_a_key(before: str, kind: str, after: str) -> None:
    key = KEYS[kind]
    assert key not in masking.mask(f"{before} {key} {after}")


@given(st.binary())
def test_bytes_that_are_no_text_survive(data: bytes) -> None:
    masked = b"".join(masking.mask_stream(io.BytesIO(data)))
    assert masked == data or masking.MASK.encode() in masked
