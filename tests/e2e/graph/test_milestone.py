"""A milestone worked from end to end, as a user sees it."""

from __future__ import annotations

from tests.e2e.harness import Sandbox

SAMPLE = (42, 45, 38, 39, 50, 51)


def test_the_sample_plan_lands_whole(box: Sandbox) -> None:
    box.make()
    base, before = box.rev(), box.git("status", "--porcelain", "--ignored")
    box.milestone()
    box.require_landed(*SAMPLE, base=base)
    box.require_clean()
    assert before == ""
    assert box.git("rev-list", "--first-parent", "main").split()[1:] == [base]
    assert box.git("rev-parse", "main^1") == base
    for issue in SAMPLE:
        assert box.show(f"item-{issue}.txt") == f"work on {issue}"
        assert (box.root / f"item-{issue}.txt").exists()
    assert box.starts() == dict.fromkeys(SAMPLE, 1)
    assert box.lines("overlaps") == []


def test_squash_commits_bear_the_trailers_and_keep_the_waves_order(box: Sandbox) -> None:
    box.make().milestone()
    merged = box.squashes()
    for issue, (commit,) in merged.items():
        trailers = box.trailers(commit)
        assert trailers == {
            "Milestone": "3",
            "Milestone-Item": str(issue),
            "Milestone-Head": box.receipt(f"items/{issue}/result.json")["head"],
        }
        assert box.git("diff-tree", "-r", "--name-only", "--no-commit-id", commit) == f"item-{issue}.txt"
        assert box.git("log", "-1", "--format=%s", commit).endswith(f"(#{issue})")
    order = list(merged)
    assert set(order[:3]) == {42, 45, 38}
    assert set(order[3:5]) == {39, 50}
    assert order[5:] == [51]
    assert "Milestone:" not in box.git("log", "-1", "--format=%B", "main")


def test_prompts_carry_the_relay_of_the_waves_before(box: Sandbox) -> None:
    box.make().milestone()
    prompts = {issue: (box.root / f".milestone/3/items/{issue}/prompt.md").read_text() for issue in SAMPLE}
    for issue in (42, 45, 38):
        assert "Prior Wave Results" not in prompts[issue]
    for issue in (39, 50):
        assert "# Prior Wave Results" in prompts[issue]
        assert "Wave 1 Results" in prompts[issue]
        assert "fix: work on 42" in prompts[issue]
        assert "notes of 45" in prompts[issue]
        assert "item-38.txt" in prompts[issue]
    assert "Wave 2 Results" in prompts[51]
    assert "milestone/3-v1.1-ordering-service" in prompts[42]
    assert "git diff --check HEAD" in prompts[42]


def test_the_same_line_again_does_nothing(box: Sandbox) -> None:
    box.make().milestone()
    main, starts = box.rev(), box.starts()
    box.milestone()
    assert (box.rev(), box.starts()) == (main, starts)
    box.require_clean()


def test_the_hyphenated_plan_lands_too(box: Sandbox) -> None:
    box.make(number=8)
    base = box.rev()
    box.doit("milestone", "n=8", rc=0)
    assert {"item-101.txt", "item-102.txt"} <= box.files()
    assert box.git("rev-list", "--first-parent", "main").split()[1:] == [base]
    assert box.starts() == {101: 1, 102: 1}
    box.require_clean()
