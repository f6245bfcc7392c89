"""A stage with a second engine, where the settings name one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.fallback import FallbackPlan
    from voicebot.fallbacks import FallbackReports

__all__ = ["fallback_plan"]


def fallback_plan(
    stage: str,
    first: StageChoice,
    fallback: StageChoice,
    settings: Settings,
    reports: FallbackReports,
) -> FallbackPlan:
    """How a stage falls back and to whom it says so.

    Raises:
        ConfigError: the fallback is what has failed.
    """
    if first == fallback or (first.engine == fallback.engine and first.is_server):
        raise ConfigError(
            f"the fallback of the {stage} stage is the engine that it is to stand in for",
            "name another one, or leave it out",
        )
    from voicebot.engines.fallback import FallbackPlan  # noqa: PLC0415

    name = f"{fallback.engine}:{fallback.model}" if fallback.model else fallback.engine
    return FallbackPlan(
        stage,
        name,
        report=reports.report,
        retry_after_s=settings.servers.retry_after_s,
        second_reads=settings.llm.fallback_reads and first.is_server and not fallback.is_server,
    )
