"""Templates of the repository's own: what they are handed is plain data, which stays what it is."""

from __future__ import annotations

import json

from tests.e2e.harness import Sandbox, item, plan

PROMPT = "{{ item.issue }} {{ earlier.get('status', '') }} {{ earlier['notes'] }} {{ earlier | tojson }}\n"
RELAY = """\
{% for wave in waves %}
{% for told in wave.told %}
{{ told.commits | tojson }}
{% for commit in told.commits %}
{{ commit.get("id") == commit.id == commit["id"] }} {{ commit.subject }}
{% endfor %}
{% endfor %}
{% endfor %}
"""


def test_what_templates_are_handed_is_plain_data(box: Sandbox) -> None:
    box.make(plan([[item(1)], [item(2)]]))
    for name, text in (("prompt", PROMPT), ("relay", RELAY)):
        box.write(f".milestone/templates/{name}.md.j2", text)
    box.behave(1, "exit 3")
    box.milestone(rc=1)
    box.mend(1)
    box.milestone()
    prompt = (box.root / ".milestone/3/items/1/prompt.md").read_text(encoding="utf-8")
    assert prompt.startswith("1 failed ")
    assert json.loads(prompt[prompt.index("{") :])["attempt"] == 1
    commits, told = (box.root / ".milestone/3/waves/1/relay.md").read_text(encoding="utf-8").splitlines()[:2]
    assert [commit["subject"] for commit in json.loads(commits)] == [told.removeprefix("True ")]
