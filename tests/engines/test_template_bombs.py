from __future__ import annotations

import pytest

from voicebot.engines.chat_template import ChatTemplate
from voicebot.engines.protocols import Message
from voicebot.errors import EngineError

DOUBLED = (
    "{% set n = namespace(s='aa') %}{% for i in range(60) %}{% set n.s = n.s OP n.s %}{% endfor %}"
)
HELLO = [Message("user", "hello")]


@pytest.mark.parametrize(
    "source",
    [
        "{{ ('a' * 3000000000)|length }}",
        "{{ (3000000000 * 'a')|length }}",
        "{{ ([0] * 3000000000)|length }}",
        "{{ 'a'.center(3000000000)|length }}",
        "{{ ('a'|center(3000000000))|length }}",
        "{{ 'a'.ljust(width=3000000000)|length }}",
        "{{ ('%3000000000d' % 1)|length }}",
        "{{ ('%*d' % (3000000000, 1))|length }}",
        "{{ ('%3000000000d'|format(1))|length }}",
        "{{ '{:3000000000}'.format(1)|length }}",
        "{{ ('a' * 3000000).replace('a', 'b' * 3000000)|length }}",
        "{{ (['a' * 3000000] * 3000)|join|length }}",
        DOUBLED.replace("OP", "~"),
        DOUBLED.replace("OP", "+"),
    ],
)
def test_a_template_that_makes_text_without_end_is_refused(source: str) -> None:
    with pytest.raises(EngineError, match="without end"):
        ChatTemplate(source, {}).render(HELLO)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ '=' * 8 }}", "========"),
        ("{{ 'a'.center(5) }}|", "  a  |"),
        ("{{ '%s-%03d' % ('a', 7) }}", "a-007"),
        ("{{ '%s!'|format('a') }}", "a!"),
        ("{{ '{}-{}'.format(1, 2) }}", "1-2"),
        ("{{ ['a', 'b']|join(', ') }}", "a, b"),
        ("{{ messages|map(attribute='content')|join }}", "hello"),
        ("{{ messages|join(';', attribute='content') }}", "hello"),
        ("{{ 'a b'|replace('a', 'c') }}", "c b"),
        ("{{ 'a\nb'|indent(2) }}", "a\n  b"),
        ("{{ 'a' ~ 1 ~ 'b' }}", "a1b"),
        ("{{ 1 + 2 }} {{ 7 % 4 }} {{ 2 * 3 }}", "3 3 6"),
    ],
)
def test_honest_operations_stay(source: str, text: str) -> None:
    assert ChatTemplate(source, {}).render(HELLO, asks_for_reply=False) == text
