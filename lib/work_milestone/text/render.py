"""Jinja templates: the repository's own under `.milestone/templates/` first, then those of this tool.

Rules: an unknown name is an error and never an empty string. What comes from a backlog, a title or an agent is
data: it is handed to templates as values and never rendered as a template itself.
"""

from __future__ import annotations

import importlib
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from work_milestone.system import RenderError

if TYPE_CHECKING:
    from jinja2 import Environment

BUILT_IN = Path(__file__).parents[1] / "templates"


def render(root: Path, name: str, **values: Any) -> str:
    """Render a template. Raise RenderError with the template's path and line when it cannot be."""
    # Jinja takes 50 ms to import, which `doit list` has no use for.
    from jinja2 import TemplateError

    try:
        return str(_environment(root).get_template(name).render(**values))
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        where = next((folder / name for folder in _folders(root) if (folder / name).exists()), BUILT_IN / name)
        line = getattr(error, "lineno", None)
        raise RenderError(
            f"{where}{f':{line}' if line else ''}: {error}; mend the template, or remove it to use the built-in one"
        ) from error


def load() -> None:
    """Load Jinja in the background, while others wait for git: the first prompt would wait 50 ms for it."""
    threading.Thread(target=importlib.import_module, args=("jinja2",), name="jinja2", daemon=True).start()


def _folders(root: Path) -> list[Path]:
    return [root / ".milestone" / "templates", BUILT_IN]


@cache
def _environment(root: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=FileSystemLoader(_folders(root)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=select_autoescape(["html", "html.j2", "svg.j2"]),
    )
