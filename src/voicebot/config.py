"""The schema of the configuration: every setting, its unit, its range and its default.

``config_sources`` fills it from a file, the environment and flags. This module knows nothing of
sources: a test, or a program that embeds voicebot, writes ``Settings()`` and has the defaults.

Strict about types: a number in quotes is refused where a number is meant. Every range and every
description stands here once; error messages and docs/configuration.md are made from them.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, get_args, get_origin

import annotated_types
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from voicebot.languages import LANGUAGES

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

__all__ = [
    "ORDER_ERROR",
    "AsrSettings",
    "AudioSettings",
    "BenchSettings",
    "ChatSettings",
    "GuardSettings",
    "KioskSettings",
    "KnowledgeSettings",
    "LlmSettings",
    "ModelsSettings",
    "MqttSettings",
    "ReplySettings",
    "ServersSettings",
    "SettingSpec",
    "Settings",
    "SupervisionSettings",
    "TelemetrySettings",
    "TtsSettings",
    "TurnsSettings",
    "setting_specs",
    "settings_by_key",
]

ORDER_ERROR = "setting_order"
"""The pydantic error type for two settings of a section that contradict each other."""


def _user_path(value: object) -> object:
    """Turn the text of a path into a Path, with ``~`` as the home folder."""
    if not isinstance(value, str):
        return value
    if not value or "\0" in value:
        raise ValueError("not a path")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # ~somebody, and nobody is called that
        raise ValueError(str(error)) from error


def _default_models_dir() -> Path:
    from voicebot.models.store import default_models_dir  # noqa: PLC0415 (breaks no --help)

    return default_models_dir()


def _state_file(name: str) -> Path:
    import platformdirs  # noqa: PLC0415 (only where a default is asked for)

    return platformdirs.user_state_path("voicebot") / name


@dataclass(frozen=True, slots=True)
class _OneOf:
    """Marks a setting whose values are the names in a table."""

    names: tuple[str, ...]


def _known_language(code: str) -> str:
    if code not in LANGUAGES:
        raise ValueError("unknown language")
    return code


_Language = Annotated[str, AfterValidator(_known_language), _OneOf(tuple(LANGUAGES))]
_Probability = Annotated[float, Field(ge=0.0, le=1.0)]
_WaitMs = Annotated[int, Field(ge=0, le=10_000)]
_UserPath = Annotated[Path, BeforeValidator(_user_path)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def _check_order(self, lower: str, higher: str) -> None:
        if getattr(self, lower) > getattr(self, higher):
            raise PydanticCustomError(
                ORDER_ERROR,
                "{lower} must not exceed {higher}",
                {"lower": lower, "higher": higher},
            )


class AudioSettings(_Section):
    """The microphone and the loudspeaker."""

    input: str = Field(
        default="",
        description="Microphone, by a part of its name or its number; empty is the one that "
        "`voicebot devices use` remembers, else the system's default.",
    )
    output: str = Field(
        default="",
        description="Loudspeaker, by a part of its name or its number; empty is the one that "
        "`voicebot devices use` remembers, else the system's default.",
    )
    block_ms: int = Field(
        default=10, ge=5, le=100, description="Length of the blocks that the devices exchange."
    )
    output_latency_ms: int = Field(
        default=20,
        ge=0,
        le=500,
        description="Delay of the virtual loudspeaker that stands in where no device is used.",
    )
    echo_cancellation: bool = Field(
        default=True,
        description="Take what the loudspeaker plays out of what the microphone hears; delays by "
        "8 ms. Not needed with headphones.",
    )
    noise_suppression: bool = Field(
        default=False,
        description="Take steady noise out of what the microphone hears; delays by 6 ms.",
    )
    gain_control: bool = Field(
        default=False, description="Bring what the microphone hears to a usual level."
    )


class TurnsSettings(_Section):
    """When the user's turn has begun and when it is over."""

    speech_threshold: _Probability = Field(
        default=0.5, description="A frame this likely to be speech begins speech."
    )
    silence_threshold: _Probability = Field(
        default=0.35,
        description="A frame less likely than this ends speech; at most speech_threshold.",
    )
    onset_ms: int = Field(
        default=64, ge=10, le=1000, description="Speech must last this long to begin a turn."
    )
    min_speech_ms: int = Field(
        default=100, ge=0, le=2000, description="A turn with less speech than this is a noise."
    )
    soft_end_ms: int = Field(
        default=64,
        ge=32,
        le=2000,
        description="Silence after which a reply is drafted, unheard; at most longest_wait_ms, "
        "with rule=plain at most sure_wait_ms.",
    )
    rule: Literal["auto", "fused", "plain", "smart-turn", "silence"] = Field(
        default="auto",
        description="What ends a turn: all evidence fused into one probability; three plain waits "
        "(sure, likely, unsure); one look of smart-turn; or silence alone. auto is the best rule "
        "whose models know the language: fused for English, else smart-turn.",
    )
    eagerness: _Probability = Field(
        default=0.5,
        description="How much a cut-in may cost: at 0 as much as 65 s of waiting, at 0.5 6.5 s, at "
        "1 0.65 s. With rule=smart-turn 1 minus its threshold; with rule=silence from the longest "
        "wait to the shortest.",
    )
    longest_wait_ms: int = Field(
        default=1300,
        ge=200,
        le=10_000,
        description="Silence that ends a turn whatever it sounds like; not for plain.",
    )
    sure_wait_ms: _WaitMs = Field(
        default=200,
        description="With rule=plain: silence that ends a turn which sounds surely complete.",
    )
    likely_wait_ms: _WaitMs = Field(
        default=500,
        description="With rule=plain: silence that ends a turn which sounds likely complete; at "
        "least sure_wait_ms.",
    )
    unsure_wait_ms: _WaitMs = Field(
        default=1200,
        description="With rule=plain: silence that ends any other turn; at least likely_wait_ms.",
    )
    sure_probability: _Probability = Field(
        default=0.9,
        description="With rule=plain: from this probability on, a turn is surely complete.",
    )
    likely_probability: _Probability = Field(
        default=0.5,
        description="With rule=plain: from this probability on, a turn is likely complete; "
        "at most sure_probability.",
    )
    incomplete_transcript_probability: _Probability = Field(
        default=0.015,
        description="With rule=plain: if the language model gives the end of the turn no more than "
        "this probability, the words are taken as unfinished.",
    )
    merge_window_ms: int = Field(
        default=1500,
        ge=0,
        le=10_000,
        description="A user who speaks on within this time of the end continues the same turn.",
    )
    barge_in_ms: int = Field(
        default=64,
        ge=20,
        le=2000,
        description="Speech this long while the bot talks makes it hold its breath.",
    )
    barge_in_mode: Literal["interrupt", "finish-sentence", "never"] = Field(
        default="interrupt",
        description="What speech over the bot does: interrupt it at once, let it finish its "
        "sentence, or never stop it (what was said is answered when it has ended).",
    )
    acknowledgement_max_ms: int = Field(
        default=700,
        ge=0,
        le=5000,
        description="Speech over the bot that lasts longer interrupts it whatever is said; after "
        "a shorter 'mm-hm' or a noise the reply goes on where it was.",
    )
    preroll_ms: int = Field(
        default=320,
        ge=0,
        le=2000,
        description="Audio from before the onset that is recognised with the turn.",
    )
    max_turn_s: float = Field(
        default=60.0,
        ge=1.0,
        le=600.0,
        description="A turn that lasts longer ends at its first pause of the shortest wait. Speech "
        "without any pause is never cut off.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        self._check_order("silence_threshold", "speech_threshold")
        if self.rule == "plain":
            self._check_order("soft_end_ms", "sure_wait_ms")
        else:
            self._check_order("soft_end_ms", "longest_wait_ms")
        self._check_order("sure_wait_ms", "likely_wait_ms")
        self._check_order("likely_wait_ms", "unsure_wait_ms")
        self._check_order("likely_probability", "sure_probability")
        return self


class AsrSettings(_Section):
    """Speech recognition."""

    engine: Literal["auto", "pocketsphinx", "faster-whisper", "wyoming"] = Field(
        default="auto", description="What turns speech into text; auto is the profile's choice."
    )
    model: str = Field(
        default="",
        description="The model: a name that `voicebot models list` shows, owner/name of the hub, a "
        "path, or the name that a server knows; empty is the profile's.",
    )
    language: str = Field(
        default="",
        pattern="^(auto|[a-z]{2,3})?$",
        description="With faster-whisper: the language that is spoken, by its ISO 639 code; auto "
        "detects it; empty is that of the conversation.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Where faster-whisper runs; auto takes a GPU if there is one.",
    )
    compute_type: Literal["auto", "int8", "int8_float16", "float16", "bfloat16", "float32"] = Field(
        default="auto",
        description="How faster-whisper computes; auto is int8 on a CPU and float16 on a GPU.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="CPU threads of faster-whisper; 0 takes what was measured on this machine, "
        "else up to four.",
    )
    beam_size: int = Field(
        default=1,
        ge=1,
        le=10,
        description="How many transcripts faster-whisper follows at a time; 1 is the fastest.",
    )
    padding_s: float | None = Field(
        default=2.5,
        ge=0.0,
        le=30.0,
        description="Silence that Whisper's encoder is shown behind the speech at least; none "
        "fills the 30 s it was trained on, which is slow on a CPU.",
    )
    partial_every_ms: int = Field(
        default=500,
        ge=100,
        le=10_000,
        description="With faster-whisper: speech between two partial transcripts, if the machine "
        "can bear it.",
    )
    partial_share: float = Field(
        default=0.5,
        ge=0.01,
        le=1.0,
        description="With faster-whisper: the largest share of the time that is spent on partial "
        "transcripts while the user speaks.",
    )
    window_s: float = Field(
        default=12.0,
        ge=6.0,
        le=28.0,
        description="With faster-whisper: a turn that is longer is cut at a pause, and what was "
        "understood before it stays.",
    )
    prompt: str = Field(
        default="",
        max_length=500,
        description="With faster-whisper: names and words that are likely to be said, as a "
        "sentence that might have come before.",
    )
    context_words: int = Field(
        default=0,
        ge=0,
        le=50,
        description="With faster-whisper: so many of the last words of the user's last turn are "
        "shown to the model before the next.",
    )
    word_times: bool = Field(
        default=False,
        description="With faster-whisper: find out when each word was said, which takes a little "
        "longer.",
    )
    url: str = Field(
        default="tcp://127.0.0.1:10300",
        description="With engine=wyoming: the address of the server.",
    )
    fallback: str = Field(
        default="",
        description="ENGINE or ENGINE:MODEL that goes on when the recogniser fails; empty is none.",
    )


class LlmSettings(_Section):
    """The language model."""

    engine: Literal["auto", "onnx", "torch", "transformers", "openai"] = Field(
        default="auto",
        description="What does the language model's arithmetic: onnx runs the graph that is made "
        "when the model is fetched, torch a plain Llama, transformers its own model classes, and "
        "openai asks a server; auto is the profile's choice, on this machine the first of these "
        "that can run the model.",
    )
    precision: Literal["int8", "bfloat16", "float32"] = Field(
        default="int8",
        description="How torch and transformers hold the language model's weights; transformers "
        "takes int8 for bfloat16. The ONNX graph has its own (four or eight bits), so auto takes "
        "it with int8 only.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        description="Where torch and transformers compute the language model: auto takes CUDA, "
        "then MPS, else the processor, and leaves a small model that has an ONNX graph on the "
        "processor.",
    )
    compile: bool = Field(
        default=False,
        description="On CUDA, compile the language model's step of one token into CUDA graphs: "
        "quicker tokens for a start that takes a minute longer. The context is then at most 4096 "
        "tokens.",
    )
    temperature: float = Field(
        default=0.0,
        ge=0.0,
        le=5.0,
        description="How freely the next token is drawn; 0 always takes the likeliest.",
    )
    top_p: float = Field(
        default=1.0,
        ge=0.01,
        le=1.0,
        description="Draw among the likeliest tokens that together have this probability.",
    )
    top_k: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Draw among this many of the likeliest tokens; 0 is all.",
    )
    min_p: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Draw among tokens at least this share as likely as the likeliest one.",
    )
    repetition_penalty: float = Field(
        default=1.0,
        ge=0.5,
        le=2.0,
        description="Above 1, tokens that the reply already has become less likely.",
    )
    seed: int = Field(
        default=0,
        ge=-1,
        le=2**31 - 1,
        description="With a temperature, the same seed gives the same reply to the same "
        "conversation; -1 takes another one at each start.",
    )
    examples: bool = Field(
        default=True,
        description="Show the model three short exchanges before the conversation, so that a small "
        "one answers briefly.",
    )
    model: str = Field(
        default="",
        description="The model: a name that `voicebot models list` shows, owner/name of the hub, a "
        "path, or the name that a server knows; empty is the profile's.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="CPU threads; 0 takes what `voicebot doctor` measured, else a default.",
    )
    keep_cache: bool = Field(
        default=True,
        description="Keep what was read of a conversation from one turn to the next; false only to "
        "measure what that is worth.",
    )
    max_tokens: int = Field(default=48, ge=1, le=4096, description="Longest reply.")
    max_thought_tokens: int = Field(
        default=256,
        ge=0,
        le=16_384,
        description="How long a model that thinks before it answers may think; then its thought is "
        "ended for it. Thoughts are never spoken and do not count for max_tokens.",
    )
    url: str = Field(
        default="http://127.0.0.1:8000/v1",
        description="With engine=openai: the address of the server's API.",
    )
    api_key_variable: str = Field(
        default="OPENAI_API_KEY",
        description="With engine=openai: the environment variable that holds the server's key, if "
        "it wants one.",
    )
    server_reads_ahead: bool = Field(
        default=False,
        description="With engine=openai: let the server read what was understood while the user "
        "still speaks, by requests for one token; worth it where it keeps a prefix cache.",
    )
    fallback: str = Field(
        default="",
        description="ENGINE or ENGINE:MODEL that goes on when the language model fails; empty is "
        "none.",
    )
    fallback_reads: bool = Field(
        default=True,
        description="With engine=openai and a fallback on this machine: the fallback reads along "
        "and judges how finished the user's words are, which a server cannot tell.",
    )
    history_tokens: int = Field(
        default=1500,
        ge=64,
        le=6000,
        description="How much of the conversation the model is shown; older turns are dropped.",
    )
    system_prompt: str | None = Field(
        default=None,
        max_length=20_000,
        description="What the model is told about its role before the conversation; none is the "
        "language's own, empty text is nothing.",
    )
    system_prompt_file: _UserPath | None = Field(
        default=None, description="A UTF-8 text file that replaces system_prompt."
    )


class TtsSettings(_Section):
    """Speech synthesis."""

    engine: Literal["auto", "espeak", "piper", "wyoming"] = Field(
        default="auto", description="What speaks the reply; auto is the profile's choice."
    )
    model: str = Field(
        default="",
        description="The model: a name that `voicebot models list` shows, owner/name of the hub, a "
        "path, or the name that a server knows; empty is the profile's.",
    )
    voice: str = Field(
        default="", description="eSpeak NG's name of the voice; empty is the language's."
    )
    speaker: str = Field(
        default="",
        description="Who speaks, where a Piper voice has several: a name or a number; empty is the "
        "voice's first.",
    )
    speed: float = Field(
        default=1.0, ge=0.5, le=2.0, description="How fast it speaks: 2 is twice as fast as usual."
    )
    rate_wpm: int = Field(
        default=175, ge=80, le=450, description="What speed 1 is with eSpeak NG, in words a minute."
    )
    variation: float | None = Field(
        default=None,
        ge=0.0,
        le=2.0,
        description="How much the sound of a Piper voice varies; none is the voice's own.",
    )
    rhythm_variation: float | None = Field(
        default=None,
        ge=0.0,
        le=2.0,
        description="How much the rhythm of a Piper voice varies; none is the voice's own.",
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="CPU threads of a Piper voice; 0 takes what was measured, else a default.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="What runs a Piper voice; auto takes a CUDA device if onnxruntime has one.",
    )
    url: str = Field(
        default="tcp://127.0.0.1:10200",
        description="With engine=wyoming: the address of the server.",
    )
    fallback: str = Field(
        default="",
        description="ENGINE or ENGINE:MODEL that goes on when the synthesis fails; empty is none.",
    )
    trim: bool = Field(
        default=True,
        description="Cut the silence off that the engine puts around speech; false only to measure "
        "what that is worth.",
    )


class ReplySettings(_Section):
    """How a reply is cut into clauses and watched."""

    drafts: bool = Field(
        default=True,
        description="Draft replies, unheard, while it is not yet sure that the turn is over.",
    )
    read_ahead: bool = Field(
        default=True,
        description="Let the language model read what was understood while the user still speaks.",
    )
    write_ahead_tokens: int = Field(
        default=0,
        ge=0,
        le=200,
        description="How much of a reply the language model writes to what was understood so far, "
        "while the user still speaks, if the words may be finished; needs read_ahead.",
    )
    early_first_clause: bool = Field(
        default=True,
        description="Begin to speak at the first place where a speaker could pause; false waits "
        "for the whole first sentence.",
    )
    first_clause_min_words: int = Field(
        default=3,
        ge=1,
        le=50,
        description="Fewest words that are spoken first, while the rest is still being written.",
    )
    clause_max_characters: int = Field(
        default=220,
        ge=20,
        le=1000,
        description="A clause without punctuation is cut after this many characters.",
    )
    stage_timeout_s: float = Field(
        default=15.0,
        ge=0.1,
        le=600.0,
        description="A stage that gives no sign of life for this long has failed.",
    )


class KnowledgeSettings(_Section):
    """What the bot knows beyond its language model; off by default. See docs/knowledge.md."""

    folder: _UserPath | None = Field(
        default=None,
        description="A folder of Markdown, text and CSV (question,answer) files to answer from.",
    )
    only: bool = Field(
        default=False,
        description="Say so where the folder has nothing on a question; false lets the language "
        "model answer freely.",
    )
    loose: Literal["ground", "quote"] = Field(
        default="ground",
        description="What becomes of a match that is not sure: ground shows the passage to the "
        "language model, quote speaks it as it stands, if it is short.",
    )
    passages: int = Field(
        default=1,
        ge=1,
        le=5,
        description="How many passages the language model is shown; small models are confused by "
        "more than one.",
    )
    sure_question: float | None = Field(
        default=None,
        ge=0.0,
        le=2.0,
        description="From this likeness (a cosine) on, a question-answer pair's answer is spoken "
        "without the language model; 2 is never, none is what was calibrated.",
    )
    sure_passage: float | None = Field(
        default=None,
        ge=0.0,
        le=2.0,
        description="The same for a short passage that is no pair; 2 is never, none is what was "
        "calibrated.",
    )
    margin: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="A sure match is liker by this than the next one; none is what was calibrated.",
    )
    loose_score: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="Below this likeness a passage is no match at all; none is what was "
        "calibrated.",
    )
    poll_s: float = Field(
        default=2.0, ge=0.1, le=3600.0, description="How often the folder is looked at for changes."
    )
    cache_dir: _UserPath | None = Field(
        default=None,
        description="Where vectors of passages, and of the guard's examples, are kept; none is the "
        "user's cache folder.",
    )


class GuardSettings(_Section):
    """What the bot will not say or do; off by default. See docs/guard.md."""

    enabled: bool = Field(
        default=False, description="Check the user's words and the bot's clauses."
    )
    words_file: _UserPath | None = Field(
        default=None,
        description="A UTF-8 file of words and phrases that are neither answered nor spoken, one a "
        "line.",
    )
    topics_file: _UserPath | None = Field(
        default=None,
        description="A TOML file of topics that are neither answered nor spoken: a table each, "
        "with examples.",
    )
    classifier: bool = Field(
        default=True,
        description="Compare sentences with examples; false leaves the word lists alone.",
    )
    self_harm_text: str = Field(
        default="",
        max_length=1000,
        description="What is said to words of self-harm, such as whom to call here; empty is the "
        "language's.",
    )
    emergency_text: str = Field(
        default="",
        max_length=1000,
        description="What is said to words of an emergency; empty is the language's.",
    )


class ServersSettings(_Section):
    """How servers are waited for, and when an engine that failed is tried again."""

    connect_timeout_s: float = Field(
        default=2.0, ge=0.05, le=60.0, description="How long a connection may take."
    )
    answer_timeout_s: float = Field(
        default=7.0,
        ge=0.1,
        le=600.0,
        description="How long a server may give no sign of life; at most 0.8 of "
        "reply.stage_timeout_s counts, or 0.4 where there is a fallback.",
    )
    retry_after_s: float = Field(
        default=10.0,
        ge=0.0,
        le=3600.0,
        description="After a failure the fallback works for this long before the first engine is "
        "tried again; twice as long after each further failure, up to 32 times.",
    )


class ModelsSettings(_Section):
    """Where models are kept and whether they may be fetched."""

    dir: _UserPath = Field(
        default_factory=_default_models_dir,
        description="The folder of the models' files; VOICEBOT_MODELS sets it too.",
    )
    offline: bool = Field(default=False, description="Never fetch; use what is on the disk.")


class ChatSettings(_Section):
    """The conversation at the terminal."""

    plain: bool = Field(
        default=False,
        description="Print plain lines also where a live view could be shown.",
    )
    push_to_talk: bool = Field(
        default=False,
        description="Listen only while you hold the space bar, or from one press to the next.",
    )
    wake_word: Literal["off", "okay_nabu", "hey_jarvis", "hey_mycroft", "alexa"] = Field(
        default="off",
        description="Listen only after this was said; needs the extra `wake`.",
    )
    wake_listen_s: float = Field(
        default=8.0,
        ge=1.0,
        le=600.0,
        description="After the wake word or the end of a reply, it need not be said again for "
        "this long.",
    )


class BenchSettings(_Section):
    """The benchmark."""

    warmup_turns: int = Field(
        default=2, ge=0, le=100, description="Turns that are played first and not counted."
    )
    turn_gap_s: float = Field(
        default=15.0,
        ge=0.0,
        le=60.0,
        description="Quiet between two turns of a caller's conversation, from clip to clip.",
    )
    hang_up_after_s: float | None = Field(
        default=None,
        ge=0.0,
        le=60.0,
        description="How much of the reply to their last turn callers hear out before they hang "
        "up, which shortens a run; none is all of it.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Decides which callers a limit takes, and the faint room noise.",
    )
    callers_dir: _UserPath | None = Field(
        default=None,
        description="A folder of callers; none is the recorded callers that come with voicebot.",
    )
    out_dir: _UserPath = Field(default=Path("runs"), description="Where runs are written.")


class TelemetrySettings(_Section):
    """What is told of a conversation to those who watch it; off by default."""

    turn_log: _UserPath | None = Field(
        default=None, description="A file to which every turn is appended, a JSON object a line."
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Port of this machine (127.0.0.1) on which metrics are served for Prometheus; "
        "0 serves none.",
    )
    traces_endpoint: str = Field(
        default="",
        description="Where an OpenTelemetry collector takes traces over HTTP, such as "
        "http://127.0.0.1:4318/v1/traces; empty sends none.",
    )
    words: bool = Field(
        default=False,
        description="Let what was said be part of the log and the traces, not figures alone.",
    )


class MqttSettings(_Section):
    """The message bus: what a kiosk tells a broker, and which commands it takes from it."""

    host: str = Field(
        default="",
        max_length=255,
        description="The MQTT broker (version 5), by name or address; empty uses none.",
    )
    port: int = Field(
        default=0, ge=0, le=65_535, description="Its port; 0 is 8883 with tls and 1883 without."
    )
    tls: bool = Field(
        default=False,
        description="Encrypt the connection and check the broker's certificate and name.",
    )
    ca_file: _UserPath | None = Field(
        default=None,
        description="With tls: the certificates (PEM) to trust; none is those of the system.",
    )
    client_certificate_file: _UserPath | None = Field(
        default=None, description="With tls: the certificate (PEM) that this kiosk shows."
    )
    client_key_file: _UserPath | None = Field(
        default=None,
        description="With tls: the private key of client_certificate_file, without a passphrase.",
    )
    user: str = Field(default="", max_length=255, description="The user's name; empty is nobody.")
    password_variable: str = Field(
        default="",
        pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="The environment variable that holds the user's password.",
    )
    prefix: str = Field(
        default="voicebot",
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$",
        max_length=100,
        description="What all topics begin with.",
    )
    kiosk_id: str = Field(
        default="kiosk",
        pattern="^[A-Za-z0-9_-]{1,64}$",
        description="This kiosk's name in the topics, behind the prefix; one for each kiosk.",
    )
    discovery_prefix: str = Field(
        default="homeassistant",
        pattern=r"^([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*)?$",
        max_length=100,
        description="Where Home Assistant looks for devices; empty announces none.",
    )
    transcripts: bool = Field(
        default=False, description="Publish what was said; figures alone otherwise."
    )
    logs: Literal["off", "warning", "info"] = Field(
        default="warning", description="From which level on lines of the log are published."
    )
    health_every_s: float = Field(
        default=30.0, ge=1.0, le=3600.0, description="Time between two messages on health."
    )
    commands_per_minute: int = Field(
        default=60, ge=1, le=6000, description="More commands than this are refused."
    )
    outbox_file: _UserPath = Field(
        default_factory=lambda: _state_file("mqtt-outbox.sqlite"),
        description="Where the figures of turns wait for the broker.",
    )
    outbox_max_turns: int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        description="So many turns wait at most; the oldest go first, and are counted.",
    )


class SupervisionSettings(_Section):
    """What keeps an unattended kiosk going."""

    stuck_after_s: float = Field(
        default=1.5,
        ge=0.2,
        le=600.0,
        description="A stage that gives no sign of life for this long, and for five times its own "
        "slowest answer of late, is replaced; after reply.stage_timeout_s in any case.",
    )
    failures_in_a_row: int = Field(
        default=2, ge=1, le=100, description="So many failures in a row replace a stage's engine."
    )
    restarts_per_hour: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="A stage that would be replaced more often asks for a new process instead.",
    )
    hung_threads_max: int = Field(
        default=3,
        ge=1,
        le=100,
        description="So many threads of stuck engines may be left behind; one more asks for a new "
        "process.",
    )
    spares: bool = Field(
        default=False,
        description="Keep a second engine of each stage loaded, so that replacing one takes no "
        "loading; needs twice the memory.",
    )
    dead_microphone_s: float = Field(
        default=10.0,
        ge=1.0,
        le=3600.0,
        description="A microphone that delivers nothing, or digital silence, for this long is "
        "dead.",
    )
    memory_max_mib: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        description="With more memory in use than this a new process is asked for when nobody is "
        "talking; 0 is no limit.",
    )
    disk_free_min_mib: int = Field(
        default=200,
        ge=0,
        le=10_000_000,
        description="With less free disk than this a warning is given and old logs are removed.",
    )
    loop_stall_ms: int = Field(
        default=200,
        ge=10,
        le=60_000,
        description="An event loop that is late by more than this is told of.",
    )
    log_file: _UserPath | None = Field(
        default=None, description="A log that rotates; none writes no file."
    )
    log_max_mib: float = Field(
        default=5.0, ge=0.01, le=10_000.0, description="A log file that is larger is put aside."
    )
    log_files: int = Field(
        default=5, ge=1, le=1000, description="So many log files that were put aside are kept."
    )


class KioskSettings(_Section):
    """The kiosk's page and its server."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        max_length=255,
        description="The address at which the page is served; others than this machine's own need "
        "token_variable.",
    )
    port: int = Field(default=8765, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    allowed_hosts: str = Field(
        default="",
        description="Further names under which the page may be opened, with commas between, such "
        "as kiosk.local.",
    )
    token_variable: str = Field(
        default="",
        description="The environment variable that holds the token of at least 16 characters; it "
        "opens the technician's view, and the page itself where others can reach it.",
    )
    audio: Literal["browser", "card"] = Field(
        default="browser",
        description="What is microphone and loudspeaker: the page's browser, or the sound card of "
        "this machine.",
    )
    start: Literal["touch", "speech"] = Field(
        default="touch",
        description="What begins a conversation: a touch, or speech, so that the microphone is "
        "always on.",
    )
    touch: Literal["tap", "hold"] = Field(
        default="tap",
        description="A tap switches the microphone on and off, or it is on while the page is held.",
    )
    title: str = Field(
        default="",
        max_length=80,
        description="What the page says to invite; empty is the language's own words.",
    )
    examples: str = Field(
        default="",
        max_length=1000,
        description="Questions that the page suggests, with | between; empty is its own.",
    )
    languages: str = Field(
        default="",
        description="Further languages that a visitor may choose, with commas between, such as "
        "de,fr.",
    )
    theme: Literal["auto", "light", "dark"] = Field(
        default="auto", description="The page's colours; auto follows the browser's setting."
    )
    forget_after_s: float = Field(
        default=45.0,
        ge=5.0,
        le=3600.0,
        description="After so long without a word a conversation is over and forgotten.",
    )
    keep_seat_s: float = Field(
        default=15.0,
        ge=0.0,
        le=600.0,
        description="So long a page that was cut off finds its conversation again.",
    )


class Settings(_Section):
    """Everything that can be set.

    Raises:
        pydantic.ValidationError: on construction, for an unknown key, a wrong type, a value out
            of its range or two values that contradict each other. ``load_settings`` turns it
            into a ``ConfigError``.
    """

    profile: Literal["auto", "embedded", "cpu", "gpu", "remote"] = Field(
        default="auto",
        description="Which engines and models take part; auto takes the best that is available.",
    )
    language: _Language = Field(
        default="en",
        description="The language of the conversation, by its ISO 639 code: prompts, reading "
        "aloud, voice, acknowledgements and the rule that ends turns follow it.",
    )
    audio: AudioSettings = Field(default_factory=AudioSettings)
    turns: TurnsSettings = Field(default_factory=TurnsSettings)
    asr: AsrSettings = Field(default_factory=AsrSettings)
    llm: LlmSettings = Field(default_factory=LlmSettings)
    tts: TtsSettings = Field(default_factory=TtsSettings)
    reply: ReplySettings = Field(default_factory=ReplySettings)
    servers: ServersSettings = Field(default_factory=ServersSettings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    chat: ChatSettings = Field(default_factory=ChatSettings)
    bench: BenchSettings = Field(default_factory=BenchSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    supervision: SupervisionSettings = Field(default_factory=SupervisionSettings)
    kiosk: KioskSettings = Field(default_factory=KioskSettings)


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """What is known about one setting without knowing its value.

    Attributes:
        key: dotted, as in ``turns.soft_end_ms``.
        value_type: bool, int, float, str or Path.
        optional: whether None ("none" in the environment and in flags) is a value.
        choices: all values it can have; empty if they cannot be listed.
        minimum: smallest value of a number.
        maximum: largest value of a number.
        default: None also where the default depends on the machine, see ``default_is_computed``.
        default_is_computed: whether the default depends on the machine.
        description: one sentence.
    """

    key: str
    value_type: type
    optional: bool
    choices: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    default: object
    default_is_computed: bool
    description: str

    @property
    def section(self) -> str:
        """The key's part before the dot; empty for a setting outside any section."""
        return self.key.rpartition(".")[0]

    @property
    def environment_name(self) -> str:
        """The environment variable that sets it, such as ``VOICEBOT_TURNS__SOFT_END_MS``."""
        return "VOICEBOT_" + self.key.replace(".", "__").upper()

    @property
    def expected(self) -> str:
        """What a value must be, in words: ``a whole number from 5 to 100``."""
        if self.choices:
            return " or ".join(self.choices)
        words = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "text",
            Path: "a path",
        }[self.value_type]
        if self.minimum is not None and self.maximum is not None:
            words += f" from {_number(self.minimum)} to {_number(self.maximum)}"
        return f"{words} or none" if self.optional else words


def _number(value: float) -> str:
    return str(int(value) if value == int(value) else value)


def _spec(key: str, field: FieldInfo) -> SettingSpec:
    annotation: object = field.annotation
    optional = get_origin(annotation) in (typing.Union, types.UnionType)
    if optional:
        annotation = next(arg for arg in get_args(annotation) if arg is not types.NoneType)
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    choices: tuple[str, ...] = ()
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        annotation = str
    if not isinstance(annotation, type):
        raise TypeError(f"{key} has a type that no source can give: {annotation}")
    minimum = maximum = None
    for constraint in field.metadata:
        if isinstance(constraint, annotated_types.Ge):
            minimum = typing.cast("float", constraint.ge)
        elif isinstance(constraint, annotated_types.Le):
            maximum = typing.cast("float", constraint.le)
        elif isinstance(constraint, _OneOf):
            choices = constraint.names
    return SettingSpec(
        key=key,
        value_type=annotation,
        optional=optional,
        choices=choices,
        minimum=minimum,
        maximum=maximum,
        default=None if field.default_factory else field.default,
        default_is_computed=field.default_factory is not None,
        description=field.description or "",
    )


def setting_specs() -> Mapping[str, SettingSpec]:
    """Every setting by its dotted key, in the order of the schema."""
    specs: dict[str, SettingSpec] = {}
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            for inner_name, inner_field in section.model_fields.items():
                key = f"{name}.{inner_name}"
                specs[key] = _spec(key, inner_field)
        else:
            specs[name] = _spec(name, field)
    return specs


def settings_by_key(settings: Settings) -> dict[str, object]:
    """Every value by its dotted key, in the order of the schema."""
    values: dict[str, object] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, _Section):
            for inner_name in type(value).model_fields:
                values[f"{name}.{inner_name}"] = getattr(value, inner_name)
        else:
            values[name] = value
    return values
