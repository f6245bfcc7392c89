"""The rules of a conversation, out of the settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError
from voicebot.history import History
from voicebot.languages import find_language
from voicebot.reply import ReplyRules
from voicebot.session import SessionRules
from voicebot.text.written import as_written
from voicebot.turns.endpointer import EndpointerRules
from voicebot.turns.interruption import BargeInMode, InterruptionRules
from voicebot.turns.language_rule import TurnRule, turn_rule
from voicebot.turns.waits import FusedWait, PlainWait, SilenceWait, SmartTurnWait

if TYPE_CHECKING:
    from voicebot.config import Settings, TurnsSettings
    from voicebot.turns.language_rule import TurnRule
from voicebot.turns.waits import WaitRule

__all__ = [
    "new_history",
    "rule_in_force",
    "session_rules",
    "system_prompt",
]


def session_rules(settings: Settings) -> SessionRules:
    """The settings of a conversation."""
    return SessionRules(
        endpointer=_endpointer_rules(settings),
        interruption=InterruptionRules(
            settings.turns.acknowledgement_max_ms,
            mode=BargeInMode(settings.turns.barge_in_mode),
            language=settings.language,
        ),
        read_ahead=settings.reply.read_ahead,
        write_ahead_tokens=settings.reply.write_ahead_tokens,
        reply=ReplyRules(
            drafts=settings.reply.drafts,
            early_first_clause=settings.reply.early_first_clause,
            first_clause_min_words=settings.reply.first_clause_min_words,
            clause_max_characters=settings.reply.clause_max_characters,
            max_tokens=settings.llm.max_tokens,
            language=settings.language,
        ),
        preroll_ms=settings.turns.preroll_ms,
    )


def _endpointer_rules(settings: Settings) -> EndpointerRules:
    turns = settings.turns
    return EndpointerRules(
        speech_threshold=turns.speech_threshold,
        silence_threshold=turns.silence_threshold,
        onset_ms=turns.onset_ms,
        barge_in_ms=turns.barge_in_ms,
        min_speech_ms=turns.min_speech_ms,
        soft_end_ms=turns.soft_end_ms,
        merge_window_ms=turns.merge_window_ms,
        max_turn_s=turns.max_turn_s,
        waiting=_wait_rule(turns, rule_in_force(settings)),
    )


def rule_in_force(settings: Settings) -> TurnRule:
    """The rule that ends turns: the one that is set, or the language's."""
    rule = settings.turns.rule
    return turn_rule(settings.language) if rule == "auto" else rule


def _wait_rule(turns: TurnsSettings, rule: TurnRule) -> WaitRule:
    match rule:
        case "fused":
            return FusedWait(turns.eagerness, longest_ms=turns.longest_wait_ms)
        case "smart-turn":
            return SmartTurnWait(turns.eagerness, longest_ms=turns.longest_wait_ms)
        case "silence":
            return SilenceWait(turns.eagerness, longest_ms=turns.longest_wait_ms)
    return PlainWait(
        sure_ms=turns.sure_wait_ms,
        likely_ms=turns.likely_wait_ms,
        unsure_ms=turns.unsure_wait_ms,
        sure_probability=turns.sure_probability,
        likely_probability=turns.likely_probability,
        unfinished_probability=turns.incomplete_transcript_probability,
    )


def new_history(settings: Settings) -> History:
    """A conversation in which nothing has been said.

    Raises:
        ConfigError: the system prompt's file cannot be read.
    """
    return History(
        system_prompt(settings),
        max_tokens=settings.llm.history_tokens,
        examples=find_language(settings.language).examples if settings.llm.examples else (),
        write=partial(as_written, language=settings.language),
    )


def system_prompt(settings: Settings) -> str:
    """The system prompt in force: the named file's, else the one that is set, else the language's.

    Raises:
        ConfigError: the file cannot be read, or holds no text.
    """
    path = settings.llm.system_prompt_file
    if path is None:
        own = settings.llm.system_prompt
        return find_language(settings.language).system_prompt if own is None else own
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"the system prompt {path} cannot be read: {why}",
            "set llm.system_prompt_file to a UTF-8 text file, or leave it out",
        ) from error
    if not text:
        raise ConfigError(
            f"the system prompt {path} is empty", "write one, or leave llm.system_prompt_file out"
        )
    return text
