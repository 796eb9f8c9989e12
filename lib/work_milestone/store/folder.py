"""The run folder, `.milestone/{N}/` of one repository: where everything of one milestone's run lies."""

from __future__ import annotations

import os
from pathlib import Path

from work_milestone.store.records import LANDING, Home


class RunFolder:
    """The paths of a run folder, and what lies there by its name."""

    def __init__(self, root: Path, number: int) -> None:
        self.root = root
        self.path = (root / ".milestone").resolve() / str(number)  # git tells real paths
        self._places: dict[str, Path] = {}

    def place(self, name: str) -> Path:
        """Path of what has a name in it."""
        # Paths are asked for many times an item, and a path object takes longer to make than a receipt to look up.
        if name not in self._places:
            self._places[name] = Path(f"{self.path}/{name}")
        return self._places[name]

    @staticmethod
    def home(kind: Home, *place: int) -> str:
        """Name the folder of what there is once a run, an item, an attempt or a wave, with a slash behind it."""
        if kind == "run":
            return ""
        if kind == "wave":
            return f"waves/{place[0]}/"
        item = f"items/{place[0]}/" if place[0] != LANDING else "landing/"
        return item if kind == "item" else f"{item}attempts/{place[1]}/"

    def item(self, issue: int) -> Path:
        """Folder of an item's receipts, or of the landing's."""
        return self.place(self.home("item", issue))

    def wave(self, number: int) -> Path:
        """Folder of a wave's receipts."""
        return self.place(self.home("wave", number))

    def attempt(self, issue: int, number: int) -> Path:
        """Folder of one attempt of an item's session."""
        return self.place(self.home("attempt", issue, number))

    def attempts(self, issue: int) -> int:
        """Count the attempts that were begun."""
        try:
            names = os.listdir(self.item(issue) / "attempts")  # noqa: PTH208 - called once an item
        except FileNotFoundError:
            return 0
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def issues(self) -> set[int]:
        """Find the items that have left anything in the folder."""
        try:
            return {int(name) for name in os.listdir(self.path / "items") if name.isdecimal()}  # noqa: PTH208
        except FileNotFoundError:
            return set()

    def name(self, path: Path) -> str:
        """Name a file for a message: from the repository's root, whole where it lies elsewhere."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)
