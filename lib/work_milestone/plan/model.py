"""What a dispatch plan is made of: items in waves, conflict groups, gates.

Rule: text that people write (titles) is data: it is kept as it is, and only `branches.slugify` makes a name of it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.types import StrictBool, StrictInt

from work_milestone.plan import fields

MAX_NUMBER = 999_999_999

Priority = Literal["P0", "P1", "P2", "P3"]
Status = Literal["pending", "in-progress", "complete", "failed", "skipped"]
Number = Annotated[int, Field(strict=True, ge=1, le=MAX_NUMBER)]
Text = Annotated[str, Field(pattern=r"\S")]
Seconds = Annotated[float, BeforeValidator(fields.parse_duration)]
Money = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Item(_Model):
    """One item of work. What is None here is decided by the settings; `timeout` is in seconds."""

    title: Text
    issue: Number
    priority: Priority = "P2"
    conflict_group: StrictInt | None = None
    depends_on: tuple[Number, ...] = ()
    status: Status = "pending"
    groomed: StrictBool = True
    agent: Text | None = None
    command: Text | None = None
    model: Text | None = None
    effort: Text | None = None
    timeout: Seconds | None = None
    budget_usd: Money | None = None
    wave: int = 0


class Wave(_Model):
    """Items that start together, or one after another when `parallel` is false."""

    wave: Number
    parallel: StrictBool = True
    items: tuple[Item, ...]


class ConflictGroup(_Model):
    """Items, named by their titles, that touch overlapping files."""

    group_id: StrictInt
    reason: str = ""
    items: tuple[str, ...] = ()


class Gates(_Model):
    """Commands that must pass: before each merge, and once before landing."""

    pre_merge: tuple[Text, ...] = ()
    post_merge: tuple[Text, ...] = ()


class Heading(_Model):
    """What a plan's file says of the milestone as a whole."""

    number: Number
    title: Text
    integration_branch: Text | None = None


class Document(_Model):
    """A plan's file."""

    milestone: Heading
    conflict_groups: tuple[ConflictGroup, ...] = ()
    waves: tuple[Wave, ...]
    quality_gates: Gates = Gates()


class Plan(_Model):
    """A milestone's waves, valid as a whole. `notes` are lines about what was ignored in the file."""

    number: int
    title: str
    integration_branch: str
    conflict_groups: tuple[ConflictGroup, ...]
    waves: tuple[Wave, ...]
    gates: Gates
    path: Path
    notes: tuple[str, ...] = ()

    @cached_property
    def items(self) -> dict[int, Item]:
        """Every item by its issue, in the order of the plan."""
        return {item.issue: item for wave in self.waves for item in wave.items}

    @property
    def ungroomed(self) -> list[Item]:
        """Items to be dispatched that nobody has groomed."""
        return [i for i in self.items.values() if not i.groomed and i.status not in ("complete", "skipped")]
