"""Frozen values: made by name, changed by nothing, equal by what they hold."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.store.values import Value


class Plain(Value):
    number: int
    text: str = "none"


class Further(Plain):
    kind: ClassVar[str] = "further"

    many: tuple[str, ...] = ()


def test_fields_are_those_of_all_classes_in_their_order() -> None:
    assert list(Further.fields) == ["number", "text", "many"]
    assert (Plain.fields, Plain.defaults) == ({"number": "int", "text": "str"}, {"text": "none"})
    assert vars(Further(number=1)) == {"number": 1, "text": "none", "many": ()}


@pytest.mark.parametrize("given", [{}, {"text": "x"}, {"number": 1, "nmber": 2}, {"number": 1, "kind": "x"}])
def test_what_is_missing_or_unknown_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"Further: missing or unknown: "):
        Further(**given)


def test_nothing_changes_it() -> None:
    one = Further(number=1)
    with pytest.raises(AttributeError, match=r"Further\.number is frozen"):
        one.number = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"Further\.text is frozen"):
        del one.text
    assert one == Further(number=1)
    assert Further(number=2).text == "none", "one value's changes are not another's defaults"


@given(st.integers(), st.text(), st.integers())
def test_equal_is_what_holds_the_same(number: int, text: str, other: int) -> None:
    one = Plain(number=number, text=text)
    assert one == Plain(text=text, number=number)
    assert one != Further(number=number, text=text)
    assert (one == one.replace(number=other)) is (number == other)
    assert vars(one.replace(number=other)) == {"number": other, "text": text}
    assert repr(one) == f"Plain(number={number!r}, text={text!r})"
