"""Templates: whose counts, what is an error, and that data is never a template."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.system.errors import RenderError
from work_milestone.text.render import BUILT_IN, render

HOSTILE = "{{ 7 * 7 }} {% include '/etc/passwd' %} {# gone #} <b>&\n{%"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / ".milestone" / "templates"
    folder.mkdir(parents=True)
    return folder


def test_built_in_templates_are_there() -> None:
    assert {"prompt.md.j2", "relay.md.j2"} <= {path.name for path in BUILT_IN.iterdir()}


def test_built_in_without_a_folder_of_ones_own(tmp_path: Path) -> None:
    assert render(tmp_path, "relay.md.j2", waves=[]) == "# Prior Wave Results\n"


def test_own_template_goes_first_and_may_extend_nothing_else(tmp_path: Path, own: Path) -> None:
    (own / "relay.md.j2").write_text("mine: {{ waves | length }}\n")
    assert render(tmp_path, "relay.md.j2", waves=[1, 2]) == "mine: 2\n"


def test_another_template_of_ones_own_changes_no_built_in_one(tmp_path: Path, own: Path) -> None:
    (own / "prompt.md.j2").write_text("mine\n")
    assert render(tmp_path, "relay.md.j2", waves=[]) == "# Prior Wave Results\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ok\n{{ missing }}\n", ""),
        ("ok\n{{ value.missing }}\n", ""),
        ("ok\n\n{% if %}\n", ":3"),
        ("{% for x in value %}\n", ":1"),
        ("{{ value | nofilter }}", ":1"),
        ("{% include 'absent.j2' %}", ""),
        ("{{ 1 / 0 }}", ""),
        ("{{ value + 1 }}", ""),
        ("{{ none() }}", ""),
    ],
)
def test_broken_template_is_named(tmp_path: Path, own: Path, text: str, line: str) -> None:
    path = own / "broken.j2"
    path.write_text(text)
    with pytest.raises(RenderError) as caught:
        render(tmp_path, "broken.j2", value="text", none=None)
    assert str(caught.value).startswith(f"{path}{line}: ")
    assert "mend the template" in str(caught.value)


def test_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"absent\.j2"):
        render(tmp_path, "absent.j2")


@pytest.mark.parametrize("name", ["../secret", "../../etc/passwd"])
def test_no_template_from_outside(tmp_path: Path, own: Path, name: str) -> None:
    (own.parent / "secret").write_text("secret")
    with pytest.raises(RenderError):
        render(tmp_path, name)


def test_data_is_never_a_template(tmp_path: Path, own: Path) -> None:
    (own / "plain.md.j2").write_text("[{{ text }}]")
    assert render(tmp_path, "plain.md.j2", text=HOSTILE) == f"[{HOSTILE}]"


@given(st.text())
def test_any_data_stays_what_it_is(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.getbasetemp() / "render"
    folder = root / ".milestone" / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plain.md.j2").write_text("[{{ text }}]")
    assert render(root, "plain.md.j2", text=text) == f"[{text}]"


@pytest.mark.parametrize(("name", "escaped"), [("page.html.j2", True), ("page.svg.j2", True), ("page.html", True),
                                               ("page.md.j2", False), ("page.txt", False)])  # fmt: skip
def test_only_pages_are_escaped(tmp_path: Path, own: Path, name: str, escaped: bool) -> None:
    (own / name).write_text("{{ text }}")
    expected = "&lt;script&gt;&amp;" if escaped else "<script>&"
    assert render(tmp_path, name, text="<script>&") == expected
