"""A groomed milestone as a graph: `doit milestone n=7` builds it, `doit list n=7` shows its steps.

First the branch and its baseline; per item: worktree, lock, prompt, spawn, merge, mend, and the verdict `item`; per
wave: `wave` and `relay`; then `followups`, `gates`, `land` and `milestone`. Each step leaves a receipt in
`.milestone/7/`, and is done when its receipt, or git, says so. A session that fails or a merge that conflicts is an
outcome, written in its receipt: the others go on, and the item's verdict keeps the landing back until it is settled.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from work_milestone import graph, landing, preflight, sessions, verbs
from work_milestone.gates import baseline
from work_milestone.graph import Action, Check, Task, describe, describe_milestone, step, verdicts
from work_milestone.graph.commandline import is_partial, named
from work_milestone.landing import closing
from work_milestone.merging import queue as merge_queue
from work_milestone.merging import remedies
from work_milestone.plan import Item, Wave, edges
from work_milestone.run import followups, integration
from work_milestone.run.run import Run
from work_milestone.sessions import halting, preparation, relay
from work_milestone.text.lines import count
from work_milestone.verbs import demo, recovery

__all__ = ["DOIT_CONFIG", "task_plan", "task_preflight", "task_verbs"]

run = graph.open_run(Path.cwd())
DOIT_CONFIG = graph.configure(run)


def task_preflight() -> Task:
    """Say all that can be known to fail, before anything starts."""
    return step("preflight", preflight.check, run, doc="what can be known to fail, said before anything starts",
                fresh=lambda: not run.faults and closing.is_closed(run))  # fmt: skip


def task_plan() -> Iterator[Task]:
    """The plan as steps: branch and baseline, each wave's items, the wave and its relay, the gates, the landing."""
    if run.plan is None:
        yield step("milestone", preflight.check, run, doc=describe_milestone(run))
        return
    yield step("branch", integration.begin, run, doc=run.branch, after=["preflight"],
               fresh=lambda: integration.is_ready(run), receipt=run.folder.path / "branch.json")  # fmt: skip
    yield step("baseline", baseline.check, run, doc="every gate, on what there is before any merge", after=["branch"],
               fresh=lambda: baseline.is_known(run), receipt=run.folder.path / "baseline.json")  # fmt: skip
    before = edges.before(run.waves, eager=run.settings.schedule == "eager", partial=is_partial())
    for wave in run.waves:
        for item in wave.items:
            yield from item_steps(wave, item, before[item.issue])
        yield from wave_steps(wave)
    worked = ["baseline", *(f"mend:{issue}" for issue in run.dispatched)]
    worked += [f"relay:{wave.wave}" for wave in run.waves[-1:]]
    yield step("followups", followups.require_dispatched, run, doc="what came up meanwhile, for a further graph",
               after=worked, fresh=lambda: followups.is_dispatched(run))  # fmt: skip
    settled = ["followups", *(f"item:{issue}" for issue in run.dispatched)]
    yield step("gates", landing.check, run, doc="every gate, on what main is to become", after=settled,
               fresh=lambda: landing.is_gated(run))  # fmt: skip
    yield step("land", landing.land, run, doc="main moves to what the gates were green on", after=["gates"],
               fresh=lambda: landing.is_landed(run))  # fmt: skip
    yield step("milestone", closing.close, run, doc=describe_milestone(run), after=["land"],
               fresh=lambda: closing.is_closed(run))  # fmt: skip


def item_steps(wave: Wave, item: Item, before: list[str]) -> Iterator[Task]:
    """The way of one item, from an empty worktree to its verdict."""
    doc = describe(wave, item)

    def make(name: str, action: Action, after: list[str], fresh: Check) -> Task:
        return step(f"{name}:{item.issue}", action, run, item, doc=doc, after=after,
                    fresh=lambda: fresh(run, item), receipt=run.folder.receipt(item.issue, name))  # fmt: skip

    yield make("worktree", preparation.prepare, before, preparation.is_prepared)
    yield make("lock", preparation.write_lock, [f"worktree:{item.issue}"], preparation.is_prepared)
    yield make("prompt", preparation.write_prompt, [f"lock:{item.issue}"], preparation.is_prepared)
    yield make("spawn", sessions.work, [f"prompt:{item.issue}"], sessions.is_done)
    yield make("merge", merge_queue.merge, [f"spawn:{item.issue}"], merge_queue.is_done)
    yield make("mend", remedies.mend, [f"merge:{item.issue}"], remedies.is_mended)
    settles = [item.issue, *(issue for issue in run.followers(item.issue) if issue in run.dispatched)]
    yield make("item", verdicts.require_settled, [f"mend:{issue}" for issue in settles], verdicts.is_settled)


def wave_steps(wave: Wave) -> Iterator[Task]:
    """A wave as a whole: its end, and what the next waves are told of it."""
    number, folder = wave.wave, run.folder.wave(wave.wave)

    def fresh(check: Callable[[Run, Wave], bool]) -> bool:
        return check(run, wave) or closing.is_closed(run)  # the last follow-up may have settled what stands there

    told = count(len(wave.items), "item")
    yield step(f"wave:{number}", relay.settle, run, wave, doc=f"wave {number} · {told} settled",
               after=["baseline", *(f"mend:{item.issue}" for item in wave.items)],
               fresh=lambda: fresh(relay.is_settled), receipt=folder / "wave.json")  # fmt: skip
    yield step(f"relay:{number}", relay.write, run, wave, doc=f"wave {number} · what the next waves are told",
               after=[f"wave:{number}"], fresh=lambda: fresh(relay.is_fresh),
               receipt=folder / "relay.json")  # fmt: skip


def task_verbs() -> Iterator[Task]:
    """What a person asks of a run from outside."""
    yield step("status", verbs.print_status, run, doc="where each item stands, also while a run is on")
    yield step("demo", demo.work, doc="a small real milestone in a temporary folder, worked before your eyes")
    for verb, action, bare, doc in (
        ("skip", verbs.skip, None, "leave an item out: doit skip:42 n=7"),
        ("retry", verbs.retry, None, "ask for a new session of an item: doit retry:42 n=7"),
        ("log", verbs.log, None, "show the output of an item's latest attempt: doit log:42 n=7"),
        ("stop", halting.stop_item, halting.stop, "stop a run from another terminal, or one session: doit stop:42 n=7"),
        ("recover", recovery.restore, recovery.print_kept, "what attempts have left; into a worktree: doit recover:42"),
    ):
        whole = (bare, run) if bare else (verbs.refuse, run, verb)
        yield step(verb, *whole, doc=doc)
        for issue in named(verb):
            yield step(f"{verb}:{issue}", action, run, issue, doc=doc)
    yield step("prune", recovery.prune, run, doc="remove what attempts have left and nobody wants back: doit prune n=7")
