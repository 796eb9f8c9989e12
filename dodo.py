"""A groomed milestone as a graph: `doit milestone n=7` builds it, `doit list n=7` shows its steps.

First `preflight`, the branch and its baseline; per item: worktree, lock, prompt, spawn, merge, mend, and `item`, which
passes when that is settled; per wave: `wave` and `relay`; then `followups`, `gates`, `land` and `milestone`. A step is
one function of the room that it is named with below; what it does is written in a record in `.milestone/7/`, and it is
done when its record, or git, says so. A session that fails or a merge that conflicts is an outcome, written down as
that: the others go on, and `item` keeps the landing back. Where follow-ups came up, `followups` fails, and the process
goes on with a graph that has them (`graph.generations`).
"""

from collections.abc import Iterator
from pathlib import Path

from work_milestone.gates import baseline
from work_milestone.graph import Task, configure, describe, describe_milestone, is_partial, named, open_run, task
from work_milestone.landing import closing, landing
from work_milestone.merging import integration, queue, remedies
from work_milestone.plan import Item, Wave, edges
from work_milestone.preflight import checks
from work_milestone.report import relay, settlement
from work_milestone.run import followups
from work_milestone.sessions import preparation, work
from work_milestone.text import count
from work_milestone.verbs import changes, demo, looks, recovery, speech, stop

__all__ = ["DOIT_CONFIG", "task_plan", "task_preflight", "task_verbs"]

run = open_run(Path.cwd())
DOIT_CONFIG = configure(run)


def task_preflight() -> Task:
    """Say all that can be known to fail, before anything starts."""
    return task("preflight", checks.check, run, doc="what can be known to fail, said before anything starts")


def task_plan() -> Iterator[Task]:
    """The plan as steps: branch and baseline, each wave's items, the wave and its relay, the gates, the landing."""
    dispatch, whole = run.dispatch, describe_milestone(run)
    if run.milestone.plan is None:
        yield task("milestone", checks.check, run, doc=whole)
        return
    awaited = edges.find_awaited(dispatch.waves, eager=run.milestone.settings.schedule == "eager", partial=is_partial())
    yield task("branch", integration.begin, run, doc=run.history.branch, after=["preflight"])
    yield task("baseline", baseline.check, run, doc="every gate, on what there is before any merge", after=["branch"])
    for wave in dispatch.waves:
        for item in wave.items:
            yield from item_steps(wave, item, awaited[item.issue])
        yield from wave_steps(wave)
    worked = ["baseline", *(f"mend:{issue}" for issue in dispatch.dispatched)]
    worked += [f"relay:{wave.wave}" for wave in dispatch.waves[-1:]]
    settled = ["followups", *(f"item:{issue}" for issue in dispatch.dispatched)]
    for name, step, after, doc in (
        ("followups", followups.require_dispatched, worked, "what came up meanwhile, for a further graph"),
        ("gates", landing.check, settled, "every gate, on what main is to become"),
        ("land", landing.land, ["gates"], "main moves to what the gates were green on"),
        ("milestone", closing.close, ["land"], whole),
    ):
        yield task(name, step, run, doc=doc, after=after)


def item_steps(wave: Wave, item: Item, awaited: list[str]) -> Iterator[Task]:
    """The way of one item, from an empty worktree to its verdict."""
    issue, dispatched = item.issue, run.dispatch.dispatched
    settled_with = [issue, *(one for one in run.dispatch.followers(issue) if one in dispatched)]
    for name, step, after in (
        ("worktree", preparation.prepare, awaited),
        ("lock", preparation.write_lock, [f"worktree:{issue}"]),
        ("prompt", preparation.write_prompt, [f"lock:{issue}"]),
        ("spawn", work.work, [f"prompt:{issue}"]),
        ("merge", queue.merge, [f"spawn:{issue}"]),
        ("mend", remedies.mend, [f"merge:{issue}"]),
        ("item", settlement.require_settled, [f"mend:{one}" for one in settled_with]),
    ):
        yield task(f"{name}:{issue}", step, run, item, doc=describe(wave, item), after=after)


def wave_steps(wave: Wave) -> Iterator[Task]:
    """A wave as a whole: its end, and what the next waves are told of it."""
    number, items = wave.wave, count(len(wave.items), "item")
    mended = ["baseline", *(f"mend:{item.issue}" for item in wave.items)]
    yield task(f"wave:{number}", relay.settle, run, wave, doc=f"wave {number} · {items} settled", after=mended)
    yield task(f"relay:{number}", relay.write, run, wave, doc=f"wave {number} · what the next waves are told",
               after=[f"wave:{number}"])  # fmt: skip


def task_verbs() -> Iterator[Task]:
    """What a person asks of a run from outside."""
    yield task("status", looks.print_status, run, doc="where each item stands, also while a run is on")
    yield task("demo", demo.work, run, doc="a small real milestone in a temporary folder, worked before your eyes")
    for verb, action, whole, doc in (
        ("skip", changes.skip, None, "leave an item out: doit skip:42 n=7"),
        ("retry", changes.retry, None, "ask for a new session of an item: doit retry:42 n=7"),
        ("log", looks.print_log, None, "show the output of an item's latest attempt: doit log:42 n=7"),
        ("stop", stop.stop_item, stop.stop, "stop a run from another terminal, or one session: doit stop:42 n=7"),
        ("recover", recovery.restore, recovery.print_kept, "what attempts have left; into a worktree: doit recover:42"),
    ):
        yield task(verb, whole, run, doc=doc) if whole else task(verb, speech.refuse, run, verb, doc=doc)
        for issue in named(verb):
            yield task(f"{verb}:{issue}", action, run, issue, doc=doc)
    yield task("prune", recovery.prune, run, doc="remove what attempts have left and nobody wants back: doit prune n=7")
