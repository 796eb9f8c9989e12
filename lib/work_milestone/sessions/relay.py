"""The relay: what a wave made, told to the prompts of the waves after it.

Rules: written from receipts alone; from five waves on it tells of the latest three, for a prompt that tells of
everything is read for nothing.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from work_milestone.plan import Item, Wave
from work_milestone.run.run import Run
from work_milestone.store.receipts import write_atomic
from work_milestone.text import render
from work_milestone.text.lines import one_line

LONG, LATEST = 5, 3
MOST_FILES, MOST_NOTES = 30, 2000


def is_settled(run: Run, wave: Wave) -> bool:
    """Tell whether every item of the wave is settled, and the wave was closed as it now stands."""
    receipt = run.folder.load(run.folder.wave(wave.wave) / "wave.json")
    settled = all(run.settled(item.issue) for item in wave.items)
    return settled and receipt is not None and receipt.get("counts") == _counts(run, wave)


def settle(run: Run, wave: Wave) -> None:
    """Close a wave: say how its items ended."""
    counts = _counts(run, wave)
    path = run.folder.wave(wave.wave) / "wave.json"
    known = (run.folder.load(path) or {}).get("counts") == counts
    run.folder.write(path, "wave", "settled", counts=counts)
    if not known:
        run.tell("wave", "settled", f"wave {wave.wave}: {counts}")


def _counts(run: Run, wave: Wave) -> str:
    words = [run.facts(item.issue).word for item in wave.items]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def is_fresh(run: Run, wave: Wave) -> bool:
    """Tell whether the document still says what the receipts say."""
    receipt = run.folder.load(run.folder.wave(wave.wave) / "relay.json")
    return receipt is not None and receipt.get("inputs") == _digest(run, wave)


def write(run: Run, wave: Wave) -> None:
    """Write the document that the next wave's prompts carry."""
    shown = [{"number": told.wave, "told": [_told(run, item) for item in told.items]} for told in _shown(run, wave)]
    folder = run.folder.wave(wave.wave)
    write_atomic(folder / "relay.md", render.render(run.root, "relay.md.j2", waves=shown))
    run.folder.write(folder / "relay.json", "relay", "written", inputs=_digest(run, wave))
    run.tell("relay", "written", run.folder.name(folder / "relay.md"))


def for_prompt(run: Run, item: Item) -> str:
    """Return the document of the latest wave before an item's own, empty when there is none."""
    for number in range(item.wave - 1, 0, -1):
        try:
            return (run.folder.wave(number) / "relay.md").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return ""


def _shown(run: Run, wave: Wave) -> tuple[Wave, ...]:
    done = run.waves[: wave.wave]
    return done[-LATEST:] if len(done) >= LONG else done


def _told(run: Run, item: Item) -> dict[str, Any]:
    facts, result = run.facts(item.issue), run.result(item.issue) or {}
    files = [str(name) for name in result.get("files", [])]
    partial = result.get("status") == "partial"
    notes = str(result.get("notes") or "")
    return {
        "issue": item.issue,
        "title": one_line(item.title),
        "status": "partial" if partial and not facts.merged else facts.word,
        "reason": "" if facts.merged else one_line(facts.reason),
        "files": files[:MOST_FILES],
        "more_files": max(0, len(files) - MOST_FILES),
        "commits": result.get("commits", []) if facts.mergeable or facts.parts else [],
        "notes": notes if len(notes) <= MOST_NOTES else notes[:MOST_NOTES] + " …",
    }


def _digest(run: Run, wave: Wave) -> str:
    items = [item for told in _shown(run, wave) for item in told.items]
    rows = [(item.issue, run.facts(item.issue).word, (run.result(item.issue) or {}).get("head")) for item in items]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
