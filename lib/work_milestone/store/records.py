"""The receipts of a run as types: one frozen class a kind, each the proof that one step is done.

Rules:
- On disk a receipt is a JSON object of version 1: `version`, `step`, `status`, `ended`, `writer` and the fields of its
  class, all of them. What a field lacks, or has as null, is its default; a key that no class knows says nothing.
- `ended` is in seconds since 1970, `writer` names the process that wrote it. Durations are in seconds, costs in US
  dollars; a commit is named by its id.
- `home` says how often there is one: once a run, an item (issue 0 is the landing), an attempt of an item, a wave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from work_milestone.plan import FollowUp
from work_milestone.store.outcomes import WITH_WORK, Kind, MergeStatus, Session
from work_milestone.store.values import Value

Home = Literal["run", "item", "attempt", "wave"]
LANDING = 0  # as an issue: the landing has sessions too, which mend what keeps it back


class Record(Value):
    """What every receipt says."""

    home: ClassVar[Home] = "run"
    step: ClassVar[str]
    file: ClassVar[str]

    status: str
    ended: float = 0.0
    writer: str = ""

    def __init_subclass__(cls, step: str, home: Home | None = None, file: str = "") -> None:
        """Say where the receipts of a kind lie; its file is named for its step, unless told otherwise."""
        super().__init_subclass__()
        cls.step, cls.file, cls.home = step, file or f"{step}.json", home or cls.home


class Commit(Value):
    """A commit of a session's: id and subject."""

    id: str
    subject: str = ""


class Branch(Record, step="branch"):
    """The integration branch was made, from `base` on `main`."""

    branch: str
    base: str
    main: str


class Baseline(Record, step="baseline"):
    """The gates on what there was before any merge: passed, failed or accepted; exit codes of those that fail."""

    head: str
    gates: tuple[str, ...]
    red: Mapping[str, int]


class Worktree(Record, home="item", step="worktree"):
    """A worktree was taken for an attempt; `conversation`, `mark`, `agent` when it goes on with an earlier one's."""

    branch: str
    path: str
    base: str
    attempt: int
    kind: Kind
    conversation: str = ""
    mark: str = ""
    agent: str = ""


class Lock(Record, home="item", step="lock"):
    """The lock file was put into a worktree; `mark` is the session's."""

    mark: str
    path: str = ""


class Started(Record, home="attempt", step="session"):
    """An attempt was started; `of` and `merged` say whose head is mended, and what was to be merged."""

    path: str
    branch: str
    base: str
    attempt: int
    kind: Kind
    started: float
    mark: str = ""
    agent: str = ""
    argv: tuple[str, ...] = ()
    model: str = ""
    timeout: float = 0.0
    conversation: str = ""
    resumed: bool = False
    of: str = ""
    merged: str = ""


class Refused(Value):
    """That an agent was out of quota, and until when, as it was told at a session's end."""

    agent: str = ""
    model: str = ""
    until: float | None = None
    started: float = 0.0
    elapsed: float = 0.0
    detail: str = ""


class Work(Record, home="item", step="spawn", file="result.json"):
    """How an item's latest session ended, and what it made: `head` None when nothing that counts.

    `cost` is that of its conversation, `spent` that of all sessions of the item; `until` when a quota is renewed;
    `rooted` whether `head` contains `base`; `refused` who was out of quota before another stood in.
    """

    attempt: int
    detail: str = ""
    conversation: str = ""
    notes: str = ""
    blocker: str = ""
    until: float | None = None
    started: float = 0.0
    elapsed: float | None = None
    log: str = ""
    cost: float | None = None
    spent: float = 0.0
    branch: str = ""
    base: str = ""
    head: str | None = None
    rooted: bool = False
    files: tuple[str, ...] = ()
    commits: tuple[Commit, ...] = ()
    path: str = ""
    mark: str = ""
    agent: str = ""
    model: str = ""
    refused: Refused | None = None

    @property
    def outcome(self) -> Session | None:
        """How it ended, None for what is no session's end: a new one was asked for, or it was rejected."""
        return _SESSIONS.get(self.status)

    @property
    def is_whole(self) -> bool:
        """Tell whether the item's work is complete."""
        return self.outcome is Session.COMPLETE

    @property
    def has_work(self) -> bool:
        """Tell whether it ended with work that is to be merged."""
        return self.outcome in WITH_WORK

    @property
    def as_refused(self) -> Refused:
        """What is kept of a session that was out of quota."""
        return Refused(agent=self.agent, model=self.model, until=self.until, started=self.started,
                       elapsed=self.elapsed or 0.0, detail=self.detail)  # fmt: skip


class Mended(Value):
    """A commit that mends, what it was to merge, onto what, and which kind of session made it; empty for none."""

    head: str | None = None
    merged: str = ""
    onto: str = ""
    kind: Kind | None = None


class Mend(Work, step="mend"):
    """How the latest session that mended ended: `head`, `merged`, `onto` and `kind` are of what mends `of` by now.

    `before` is what there was before it, and before the fixes that it goes on with.
    """

    of: str = ""
    merged: str = ""
    onto: str = ""
    kind: Kind | None = None
    before: Mended = Mended()

    @classmethod
    def describe(cls, work: Work, of: str, made: Mended, before: Mended) -> Mend:
        """Make the record of how a session ended into that of one which mended."""
        return cls(**{**vars(work), **vars(made), "of": of, "before": before})

    @property
    def made(self) -> Mended:
        """What mends `of` by now."""
        return Mended(head=self.head, merged=self.merged, onto=self.onto, kind=self.kind)


class Merge(Record, home="item", step="merge"):
    """How the merge of an item ended, onto which head of the integration branch.

    Of a conflict `cls` is the class and `files` those that conflict, `mended` whether a resolution was refused; of a
    gate's refusal there are `command`, exit `code`, `log`, its last lines (`tail`) and the `candidate`.
    """

    reason: str = ""
    attempt: int | None = None
    onto: str = ""
    cls: str = ""
    files: tuple[str, ...] = ()
    mended: bool = False
    log: str = ""
    code: int | None = None
    command: str = ""
    tail: tuple[str, ...] = ()
    candidate: str = ""
    commit: str = ""
    head: str = ""
    followup: FollowUp | None = None

    @property
    def outcome(self) -> MergeStatus | None:
        """How it ended, None for what nobody knows."""
        return _MERGES.get(self.status)


class Wave(Record, home="wave", step="wave"):
    """A wave is settled: how many items ended how."""

    counts: str = ""


class Relay(Record, home="wave", step="relay"):
    """What later waves are told was written, from what has this digest."""

    inputs: str


class Gates(Record, step="gates"):
    """The gates on what main is to become: `commit` on top of `onto`, with all of `head`."""

    commit: str
    onto: str
    head: str
    reason: str = ""
    log: str = ""
    code: int | None = None
    tail: tuple[str, ...] = ()


class Advance(Record, step="advance"):
    """Main is being moved in a checkout, from where to where."""

    place: str
    main: str
    old: str
    new: str


class Land(Record, step="land"):
    """The milestone has landed, or waits with a reason; `pushed_branch` when its branch lies at the remote."""

    commit: str = ""
    main: str = ""
    head: str = ""
    pushed_branch: bool = False
    reason: str = ""


class Milestone(Record, step="milestone"):
    """The milestone is closed."""


class Overlay(Record, step="overlay"):
    """The follow-up items that the run has added to its plan."""

    items: tuple[FollowUp, ...]


_SESSIONS = {status.value: status for status in Session}
_MERGES = {status.value: status for status in MergeStatus}
