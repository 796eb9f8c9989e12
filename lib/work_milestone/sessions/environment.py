"""The environment of a session: a list of what is allowed, what its agent reads, and what the settings add.

Rule: a key or a password that happens to stand in the user's shell is no agent's business. What nobody has named is
left out, and so is what would lead an agent out of its worktree (PYTHONPATH, GIT_DIR).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from work_milestone import git
from work_milestone.agents.api import Agent
from work_milestone.settings import SessionSettings, Settings

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
