"""Which variables a session is given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from work_milestone.agents import REGISTRY
from work_milestone.sessions import environment as session_env

NAMES = st.from_regex(r"[A-Z_]{1,8}", fullmatch=True)


def test_names_are_whole_or_end_with_a_star() -> None:
    env = {"A": "1", "AB": "2", "B_C": "3", "B": "4", "XB_": "5"}
    assert session_env.choose(["A", "B_*"], env) == {"A": "1", "B_C": "3"}
    assert session_env.choose([], env) == {}


@given(names=st.lists(st.builds(lambda name, star: name + star, NAMES, st.sampled_from(["", "*"]))),
       env=st.dictionaries(NAMES, st.text(max_size=3)))  # fmt: skip
def test_what_is_chosen_is_named_and_what_is_named_is_chosen(names: list[str], env: dict[str, str]) -> None:
    def is_named(variable: str) -> bool:
        return any(variable == name or (name.endswith("*") and variable.startswith(name[:-1])) for name in names)

    assert session_env.choose(names, env) == {name: value for name, value in env.items() if is_named(name)}


def test_no_agent_is_given_the_keys_of_another() -> None:
    keys = {"claude": "ANTHROPIC_API_KEY", "codex": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY"}
    env = dict.fromkeys(keys.values(), "k")
    for name, key in keys.items():
        assert set(session_env.choose((*session_env.COMMON, *REGISTRY[name].passes), env)) == {key}
    assert session_env.choose((*session_env.COMMON, *REGISTRY["command"].passes), env) == {}
