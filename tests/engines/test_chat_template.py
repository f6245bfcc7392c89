from __future__ import annotations

import pytest

from voicebot.engines.chat_template import ChatTemplate
from voicebot.engines.protocols import Message
from voicebot.errors import EngineError, ModelDamagedError

TALK = [Message("system", "be brief"), Message("user", "a"), Message("user", "b")]
STRICT = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}"
    "{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}"
)


def render(source: str, messages: list[Message] = TALK, *, asks: bool = True) -> str:
    return ChatTemplate(source, {"bos_token": "<s>"}).render(messages, asks_for_reply=asks)


def test_it_sees_what_transformers_gives_it() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{{ m['role'] }}:{{ m.content | trim }};"
        "{% if loop.last %}{{ loop.length }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}>{% endif %}{{ strftime_now('%%') }}"
        "{% generation %}!{% endgeneration %}{{ {'a': 'ü<'} | tojson }}"
    )
    assert render(source) == '<s>system:be brief;user:a;user:b;3>%!{"a": "ü<"}'
    assert ">" not in render("{% if add_generation_prompt %}>{% endif %}", asks=False)


def test_thinking_is_turned_off_and_an_open_thought_is_ended() -> None:
    assert render("{% if enable_thinking is false %}quiet{% endif %}") == "quiet"
    assert render("Assistant: <think>\n").endswith("</think>\n\n")


def test_a_strict_template_is_given_what_it_takes() -> None:
    template = ChatTemplate(STRICT, {})
    assert template.render(TALK) == "[user]be brief\n\na\n\nb"
    later = [*TALK, Message("assistant", "c"), Message("user", "d")]
    assert template.render(later) == "[user]be brief\n\na\n\nb[assistant]c[user]d"


def test_a_template_that_takes_the_conversation_gets_it_as_it_is() -> None:
    assert render("{% for m in messages %}{{ m.role }} {% endfor %}") == "system user user "


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('never') }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(10 ** 12) %}{% endfor %}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a' * 9999999 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ messages[7].content.nothing.more }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ none + 1 }}",
        "{% set x = messages.append(1) %}",
    ],
)
def test_what_a_template_does_wrong_is_one_clear_line(source: str) -> None:
    with pytest.raises(EngineError, match="chat template") as caught:
        render(source, [Message("user", "a")])
    assert "\n" not in str(caught.value)


def test_no_template_at_all_is_a_damaged_model() -> None:
    with pytest.raises(ModelDamagedError, match="broken"):
        render("{% for %}")
