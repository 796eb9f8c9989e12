"""What is masked, and what is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone import masking

LETTERS = "aB3" * 20
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


@given(st.text(), st.sampled_from(sorted(KEYS)), st.text())
def test_no_text_around_it_hides_a_key(before: str, kind: str, after: str) -> None:
    key = KEYS[kind]
    assert key not in masking.mask(f"{before} {key} {after}")


@given(st.binary())
def test_bytes_that_are_no_text_survive(data: bytes) -> None:
    masked = masking.mask_bytes(data)
    assert masked == data or masking.MASK.encode() in masked
