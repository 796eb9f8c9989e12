"""The merge queue: finished branches onto the integration branch, one at a time, in the order of their return.

Rules:
- A candidate is gated in a worktree of its own as it is; only then does the branch move, by compare and swap. So the
  branch never stands on an ungated tree, and nothing ever needs reverting.
- What bears an item's trailers is merged already (`Standing.mergeable`), so that a run killed at any moment merges
  nothing twice.
- What keeps a branch from being merged is the item's outcome; nothing of it stays, and the others go on. By class:

  | the merge is | and then |
  |---|---|
  | clean | it is gated and merged |
  | trivial | it is resolved by rule, gated and merged; where a gate fails it is medium |
  | medium | a session resolves it, and it queues again |
  | heavy | a follow-up item takes it over |
  | refused by a gate | a session fixes it, and it queues again |
  | dropping lines of a side | a rule's resolution is medium, a session's is tried again, git's own merge stops |

  `remedies` has those sessions, and the queue is free while they work.
"""

from __future__ import annotations

from collections.abc import Sequence

from work_milestone import git
from work_milestone.conflicts import Class, Verdict
from work_milestone.gates import Failure, baseline
from work_milestone.merging import candidates, mending, outcomes
from work_milestone.merging.candidates import Candidate, Loss, Squash
from work_milestone.merging.turns import Turns
from work_milestone.plan import FollowUp, Item, Reason
from work_milestone.run import Run, followups, step
from work_milestone.store import Kind, records
from work_milestone.system import GitError
from work_milestone.text import one_line

TRIES = 5
_turns = Turns()


def is_done(run: Run, item: Item) -> bool:
    """Tell whether there is nothing to merge any more, in this run."""
    standing = run.standing(item.issue)
    return standing.settled or standing.followed or standing.was_refused


@step(is_done=is_done, leaves=records.Merge)
def merge(run: Run, item: Item) -> None:
    """Bring an item's finished work onto the integration branch, or write down what stands in the way."""
    if not run.is_being_mended(item.issue):
        merge_in_turn(run, item)


def merge_in_turn(run: Run, item: Item) -> None:
    """Queue up, and merge when all that came before has had its turn; what waits for others is written down as that."""
    with _turns.take():
        standing = run.standing(item.issue)
        if standing.mergeable and standing.work:
            _record(run, item.issue, _merge(run, item, standing.work))
        elif not (standing.settled or standing.followed) and (unmet := run.find_unmet(item)):
            _record(run, item.issue, outcomes.wait([(issue, run.standing(issue).word) for issue in unmet]))


def _merge(run: Run, item: Item, work: records.Work) -> records.Merge:
    """Try to merge, again where somebody else moves the branch: what was built is not what would be merged."""
    for _ in range(TRIES):
        try:
            return _try(run, item, work)
        except git.RefMovedError:
            run.reread()
        except GitError as error:
            # What git cannot merge at all (histories without a common root) is this item's outcome alone.
            return outcomes.give_up(one_line(str(error))[:500])
    return outcomes.give_up(f"{run.history.branch} was moved by others {TRIES} times while this was merged")


def _try(run: Run, item: Item, work: records.Work) -> records.Merge:
    """Build the candidate, gate it, move the branch; say how far that went."""
    onto = run.history.head()
    source, rejected = mending.find_sound_source(run, item.issue, str(work.head))
    if rejected and rejected.kind is Kind.RESOLVE:
        return outcomes.reject_resolution(rejected.fault, onto, run.standing(item.issue).merge)
    if rejected:
        run.tell("fix", "rejected", rejected.fault.reason, issue=item.issue)
    verdict = candidates.classify(run.pool, run.place, onto, source)
    if verdict.cls is Class.MEDIUM:
        return outcomes.refuse(verdict, onto)
    if verdict.cls is Class.HEAVY:
        followup, words = _follow_up(run, item, Reason.CONFLICT, work, onto, verdict.files)
        return outcomes.refuse(verdict, onto, followup, words)
    built = _build(run, item, work, verdict, source, onto)
    if isinstance(built, Loss):
        return outcomes.refuse_loss(verdict, built, onto)
    if failure := _gate(run, item.issue, built):
        return outcomes.refuse_by_gate(built, failure, onto)
    followup, words = (None, "") if work.is_whole else _follow_up(run, item, Reason.REST, work, onto)
    run.history.move(built.commit, onto)
    _note_merged(run, item, work)
    mend = run.standing(item.issue).mend if source != work.head else None
    return outcomes.succeed(work, built, mend, onto, followup, words)


def _build(run: Run, item: Item, work: records.Work, verdict: Verdict, source: str, onto: str) -> Candidate | Loss:
    """Commit a merge, with what the run itself changes: follow-ups, and the item's state, in a tracked backlog."""
    files = candidates.find_files(run.repo, work, onto, source)
    message = candidates.write_message(run.milestone.number, item, work, run.standing(item.issue).settles)
    finished = followups.finish(
        run, verdict.tree, files, lambda whole: run.tasks.set_done(item, whole, work.ended) if work.is_whole else {}
    )
    return candidates.commit(run.repo, Squash(work, source, onto, files, message), verdict, finished)


def _follow_up(
    run: Run, item: Item, reason: Reason, work: records.Work, onto: str, files: Sequence[str] = ()
) -> tuple[FollowUp | None, str]:
    """Have a follow-up take over; say which, or why there is none."""
    followup = followups.add(run, item, reason, work, onto, files)
    if followup is None:
        return None, f"no follow-up: that would be generation {run.milestone.settings.generations + 1}"
    return followup, f"follow-up #{followup.issue}"


def _candidate_ref(run: Run, issue: int) -> str:
    """Name the ref of a candidate: it stays as long as a session may have to fix it."""
    return f"refs/milestone/{run.milestone.number}/candidate/{issue}"


def _gate(run: Run, issue: int, built: Candidate) -> Failure | None:
    """Run the gates on a candidate."""
    wanted = run.milestone.require_plan().gates.pre_merge
    if not wanted:
        return None
    run.repo.move(_candidate_ref(run, issue), built.commit)
    return baseline.judge(run, built.commit, built.tree, wanted, str(issue)).failure


def _note_merged(run: Run, item: Item, work: records.Work) -> None:
    """Take note of what the branch has just got: in the backlog too; nobody is to fix that candidate any more."""
    if run.milestone.require_plan().gates.pre_merge:
        run.repo.delete([_candidate_ref(run, item.issue)])
    settled = run.standing(item.issue).settles if work.is_whole else ()
    run.history.note_part((item.issue, *settled), str(work.head), whole=work.is_whole)
    if work.is_whole:
        run.tasks.write_done(item, work.ended)


def _record(run: Run, issue: int, merge: records.Merge) -> None:
    """Write down what became of a merge."""
    work = run.standing(issue).work
    if merge.candidate:
        run.history.note_commit(merge.candidate)
    run.begin(issue)
    run.receipts.write(merge.replace(attempt=work.attempt if work else 0), issue)
    run.tell("merge", merge.status, " ".join(filter(None, (merge.commit[:10], merge.reason))), issue=issue)
