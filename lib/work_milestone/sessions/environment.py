"""Where a session starts: in its own worktree, with an environment that means that tree.

Rules:
- The environment is a list of what is allowed, what its agent reads, and what the settings add: a key or a password
  that happens to stand in the user's shell is no agent's business. What nobody has named is left out, and so is what
  would lead an agent out of its worktree (PYTHONPATH, GIT_DIR).
- Nothing starts anywhere else, or where `prove` shows that another tree would be tested.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from work_milestone import git
from work_milestone.agents import Agent
from work_milestone.git import checkouts
from work_milestone.run import Run
from work_milestone.settings import SessionSettings, Settings
from work_milestone.store import records
from work_milestone.system import MilestoneError, command, files
from work_milestone.text import last_line, shown

PROOF = 120.0  # seconds that `prove` may take

COMMON = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*", "XDG_*", "CI"),
    *("NO_COLOR", "LOCALE_ARCHIVE", "NIX_PATH", "NIX_PROFILES", "HOMEBREW_PREFIX", "LD_LIBRARY_PATH"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "NVM_DIR", "NVM_BIN", "VOLTA_HOME", "PNPM_HOME", "BUN_INSTALL"),
    *("VIRTUAL_ENV", "PYENV_*", "CONDA_*", "PIP_CACHE_DIR", "UV_CACHE_DIR", "PYTHONDONTWRITEBYTECODE"),
    *("POETRY_HOME", "POETRY_CACHE_DIR", "POETRY_VIRTUALENVS_*", "UV_PYTHON*", "UV_PROJECT_ENVIRONMENT", "PIPX_*"),
    *("ASDF_*", "MISE_DATA_DIR", "MISE_CONFIG_DIR", "MISE_SHIMS_DIR", "RBENV_ROOT", "FNM_*", "N_PREFIX", "SDKMAN_DIR"),
    *("npm_config_cache", "NPM_CONFIG_CACHE", "YARN_CACHE_FOLDER", "COREPACK_HOME", "DENO_DIR", "GRADLE_USER_HOME"),
    *("PLAYWRIGHT_BROWSERS_PATH", "PUPPETEER_*", "CHROME_BIN", "TMP", "TEMP", "GNUPGHOME", "__CF_USER_TEXT_ENCODING"),
    *("DEVELOPER_DIR", "SDKROOT", "CC", "CXX", "PKG_CONFIG_PATH", "LIBRARY_PATH", "CPATH", "CMAKE_PREFIX_PATH"),
    *("CARGO_HOME", "RUSTUP_*", "GOPATH", "GOROOT", "GOCACHE", "GOMODCACHE", "JAVA_HOME", "ANDROID_HOME", "GEM_HOME"),
    *("GIT_AUTHOR_*", "GIT_COMMITTER_*", "GIT_CONFIG_*", "GIT_SSL_*", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR"),
)


def choose(names: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have one of these names; `*` ends a name that stands for all that begin so."""
    listed = list(names)
    exact = {name for name in listed if not name.endswith("*")}
    beginnings = tuple(name[:-1] for name in listed if name.endswith("*"))
    return {name: value for name, value in env.items() if name in exact or name.startswith(beginnings)}


def make(run: Settings, settings: SessionSettings, agent: Agent, config: Mapping[str, str]) -> dict[str, str]:
    """Return a session's environment; `config` is git's, for whatever calls it there."""
    own = run.agents.get(settings.agent)
    names = (*COMMON, *agent.passes, *run.pass_env, *(own.pass_env if own else ()))
    chosen = {**agent.environment, **choose(names, os.environ), **run.set_env}
    return git.environment(config=config, base=chosen)


def require_place(run: Run, taken: records.Worktree) -> None:
    """Raise MilestoneError unless a session would start where it should: nothing starts anywhere else."""
    place = Path(taken.path)
    # A session that goes on may have been cut short in a rebase: where it ends is looked at then.
    begun = None if taken.conversation else (taken.branch, taken.base)
    wrong = checkouts.find_misplacement(run.repo, place, begun)
    if wrong:
        run.pool.drop(place)
        raise MilestoneError(f"{wrong}; it is taken away, and made anew by the same line")


def find_writable(run: Run, place: Path) -> tuple[str, ...]:
    """Find the folders outside of a worktree that git writes to when it commits there."""
    own = checkouts.git_dir(place)
    shared = (run.repo.common / name for name in ("objects", "refs", "logs"))
    return tuple(str(path) for path in ((own, *shared) if own else shared))


def require_proof(run: Run, issue: int, place: Path, env: Mapping[str, str]) -> None:
    """Raise MilestoneError unless what `prove` prints lies inside the worktree: elsewhere another tree is tested."""
    if run.milestone.settings.prove is None:
        return
    log, errors = (run.milestone.folder.item(issue) / f"prove.{name}" for name in ("log", "err"))
    argv = ["/bin/sh", "-c", run.milestone.settings.prove]
    done = command.run(argv, cwd=place, env=env, log=log, errors=errors, timeout=PROOF)
    told = [line for line in files.read_end(log).splitlines() if line.strip()]
    line = shown(run.milestone.settings.prove)
    if done.code or not told:
        words = done.reason or last_line(files.read_end(errors)) or "it printed nothing"
        raise MilestoneError(f"prove: {line} (exit {done.code}, in {place}): {words}; no session starts there")
    for path in told:
        if not files.is_there(place / path):
            raise MilestoneError(
                f"prove: {line} says {shown(path, 200)}, which names nothing that is there; have it print paths alone, "
                f'like python -c "import pkg; print(pkg.__file__)"; no session starts there'
            )
        if not (place / path).resolve().is_relative_to(place.resolve()):
            raise MilestoneError(
                f"prove: {line} says {shown(path, 200)}, which is outside of {place}: a session would work on one tree "
                f"and test another; mend what is linked into worktrees (links), or set_env"
            )
