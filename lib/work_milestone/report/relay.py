"""The relay: what a wave made, told to the prompts of the waves after it.

Rules: written from receipts alone; from five waves on it tells of the latest three, for a prompt that tells of
everything is read for nothing. Once a milestone is closed its waves stay as they are: the last follow-up may have
settled what stands there.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from work_milestone.landing import closing
from work_milestone.plan import Item, Wave
from work_milestone.run import Run, step
from work_milestone.store import Session, records, shapes
from work_milestone.system import files
from work_milestone.text import one_line, render

LONG, LATEST = 5, 3
MOST_FILES, MOST_NOTES = 30, 2000


def is_settled(run: Run, wave: Wave) -> bool:
    """Tell whether every item of the wave is settled, and the wave was closed as it now stands."""
    record = run.receipts.load(records.Wave, wave.wave)
    settled = all(run.is_settled(item.issue) for item in wave.items)
    return (settled and record is not None and record.counts == _counts(run, wave)) or closing.is_closed(run)


@step(is_done=is_settled, leaves=records.Wave)
def settle(run: Run, wave: Wave) -> None:
    """Close a wave: say how its items ended."""
    earlier, counts = run.receipts.load(records.Wave, wave.wave), _counts(run, wave)
    run.receipts.write(records.Wave(status="settled", counts=counts), wave.wave)
    if earlier is None or earlier.counts != counts:
        run.tell("wave", "settled", f"wave {wave.wave}: {counts}")


def _counts(run: Run, wave: Wave) -> str:
    words = [run.standing(item.issue).word for item in wave.items]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def is_fresh(run: Run, wave: Wave) -> bool:
    """Tell whether the document still says what the receipts say."""
    record = run.receipts.load(records.Relay, wave.wave)
    return (record is not None and record.inputs == _digest(run, wave)) or closing.is_closed(run)


@step(is_done=is_fresh, leaves=records.Relay)
def write(run: Run, wave: Wave) -> None:
    """Write the document that the next wave's prompts carry."""
    shown = [{"number": told.wave, "told": [_tell(run, item) for item in told.items]} for told in _shown(run, wave)]
    document = run.milestone.folder.wave(wave.wave) / "relay.md"
    files.write_atomic(document, render.render(run.milestone.root, "relay.md.j2", waves=shown))
    run.receipts.write(records.Relay(status="written", inputs=_digest(run, wave)), wave.wave)
    run.tell("relay", "written", run.milestone.folder.name(document))


def _shown(run: Run, wave: Wave) -> tuple[Wave, ...]:
    done = run.dispatch.waves[: wave.wave]
    return done[-LATEST:] if len(done) >= LONG else done


def _tell(run: Run, item: Item) -> dict[str, Any]:
    """Say what an item has come to, for the template."""
    standing = run.standing(item.issue)
    work = standing.work or records.Work(status="", attempt=0)
    partial = work.outcome is Session.PARTIAL and not standing.merged
    return {
        "issue": item.issue,
        "title": one_line(item.title),
        "status": "partial" if partial else standing.word,
        "reason": "" if standing.merged else one_line(standing.reason),
        "files": work.files[:MOST_FILES],
        "more_files": max(0, len(work.files) - MOST_FILES),
        "commits": [shapes.write(one) for one in work.commits if standing.mergeable or standing.parts],
        "notes": work.notes if len(work.notes) <= MOST_NOTES else work.notes[:MOST_NOTES] + " …",
    }


def _digest(run: Run, wave: Wave) -> str:
    standings = [run.standing(item.issue) for told in _shown(run, wave) for item in told.items]
    rows = [(one.issue, one.word, one.work.head if one.work else None) for one in standings]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
