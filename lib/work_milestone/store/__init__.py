"""The records of a run on disk.

Takes a typed record and its place; gives it back in this process and in every later one. Rules: a record is the proof
that a step is done; one class a kind, one place where they are read and written; a damaged record counts as absent, a
damaged field as its default, and what a newer version wrote is refused. No decision rests on the journal.
"""

from work_milestone.store import records, shapes
from work_milestone.store.folder import RunFolder
from work_milestone.store.journal import Event, Journal
from work_milestone.store.outcomes import REFUSED, RESUMED, RETRIED, WITH_WORK, Kind, MergeStatus, Session
from work_milestone.store.receipts import Receipts
from work_milestone.store.records import LANDING, Record

__all__ = [
    "LANDING", "REFUSED", "RESUMED", "RETRIED", "WITH_WORK", "Event", "Journal", "Kind", "MergeStatus", "Receipts",
    "Record", "RunFolder", "Session", "records", "shapes",
]  # fmt: skip
