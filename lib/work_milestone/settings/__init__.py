"""settings."""

from work_milestone.settings.model import (
    FILE_NAME,
    RUN_VARIABLES,
    SETTINGS_KEYS,
    SessionSettings,
    Settings,
    default_max_sessions,
    load_settings,
    parse_number,
    session_settings,
)

__all__ = [
    "FILE_NAME",
    "RUN_VARIABLES",
    "SETTINGS_KEYS",
    "SessionSettings",
    "Settings",
    "default_max_sessions",
    "load_settings",
    "parse_number",
    "session_settings",
]
