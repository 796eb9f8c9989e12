"""Print the oldest versions that pyproject.toml allows, as constraints for pip."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in project["dependencies"] + project["optional-dependencies"]["dev"]:
    if ">=" in requirement:
        name, oldest, _ = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,<[\w.]+)?", requirement).groups()
        sys.stdout.write(f"{name}=={oldest}\n")
