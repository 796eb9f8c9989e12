"""Gemini CLI, headless: one JSON object on stdout, the prompt on stdin.

Rules, as measured: it hears TERM only where it does not start itself anew (`GEMINI_CLI_NO_RELAUNCH`); its errors
stand on stderr. It tells tokens and no cost.
"""

from __future__ import annotations

from types import MappingProxyType

from work_milestone.agent import Agent, Call


class Gemini(Agent):
    """Gemini CLI's command line."""

    resumes = names_conversations = True
    passes = ("GEMINI_*", "GOOGLE_*")
    environment = MappingProxyType({"GEMINI_CLI_NO_RELAUNCH": "true"})  # else it hears no signals

    def argv(self, call: Call) -> list[str]:
        """Return the command line; tools are approved beforehand, for nobody is there to ask."""
        argv = ["gemini", *(["--model", call.settings.model] if call.settings.model else [])]
        argv += ["--output-format", "json", "--skip-trust", "--approval-mode", "yolo"]
        if call.conversation:
            argv += ["--resume" if call.resume else "--session-id", call.conversation]
        return [*argv, *call.settings.args]
