"""Who a run is: the number of its milestone, its plan, its settings, its folder.

Rule: opening it never fails and changes nothing: what is wrong with plan or settings is kept in `faults`, for
preflight to tell with everything else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from work_milestone.plan import Plan, load_plan
from work_milestone.settings import Settings, load_settings, parse_number
from work_milestone.store import RunFolder
from work_milestone.system import MilestoneError, PlanError
from work_milestone.text import masking


@dataclass(frozen=True)
class Milestone:
    """One milestone of one repository, as the command line and the files of the repository have it."""

    root: Path
    number: int | None
    settings: Settings
    plan: Plan | None
    folder: RunFolder
    faults: tuple[str, ...] = ()
    settings_faults: bool = False

    def require_plan(self) -> Plan:
        """Return the plan. Raise MilestoneError when there is none that can be used."""
        if self.plan is None:
            raise MilestoneError(
                f"milestone {self.number} has no usable plan; doit preflight n={self.number or 'N'} says why"
            )
        return self.plan

    def without_plan(self, fault: str) -> Milestone:
        """Go on without a plan, as what must be known beside it cannot be read."""
        return dataclasses.replace(self, plan=None, faults=(*self.faults, fault))


def open_milestone(root: Path, variables: Mapping[str, str]) -> Milestone:
    """Read what the command line asks for, with every fault of it."""
    faults: list[str] = []
    number, settings, plan = None, Settings(), None
    try:
        number = parse_number(variables.get("n"))
    except PlanError as error:
        faults += error.faults
    settings_faults = False
    try:
        settings = load_settings(root, variables)
        masking.learn(settings.set_env)
    except PlanError as error:
        faults += error.faults
        settings_faults = True
    try:
        plan = load_plan(root, number) if number is not None else None
    except PlanError as error:
        faults += error.faults
    return Milestone(root, number, settings, plan, RunFolder(root, number or 0), tuple(faults), settings_faults)
