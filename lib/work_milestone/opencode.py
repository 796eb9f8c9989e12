"""opencode, headless: `opencode run --format json`, one JSON object a line, the prompt on stdin."""

from __future__ import annotations

from work_milestone.agent import Agent, Call


class Opencode(Agent):
    """opencode's command line."""

    resumes = tells_cost = streams = True
    passes = ("OPENCODE_*", "ANTHROPIC_*", "OPENAI_*", "GEMINI_*", "GOOGLE_*")

    def argv(self, call: Call) -> list[str]:
        """Return the command line."""
        argv = ["opencode", "run", "--format", "json"]
        argv += ["--model", call.settings.model] if call.settings.model else []
        argv += ["--session", call.conversation] if call.resume else []
        return [*argv, *call.settings.args]
