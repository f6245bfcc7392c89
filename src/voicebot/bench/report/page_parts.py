"""What every page is made with: files of this package, hashes for its policy, embedded data."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import jinja2
from markupsafe import Markup

from voicebot.bench.report import wording

__all__ = ["content_hash", "embeddable", "new_environment", "read_part"]


def new_environment() -> jinja2.Environment:
    """Templates that escape what they are given, and know how figures are written."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(
        ms=wording.as_ms,
        number=wording.as_number,
        percent=wording.as_percent,
        interval=wording.as_interval,
        signed=wording.as_signed,
    )
    return environment


def read_part(name: str) -> str:
    """The text of a file beside this module."""
    return files("voicebot.bench.report").joinpath(name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """What a content security policy names an inline style or script by."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def embeddable(data: object) -> Markup:
    """JSON that cannot end the script element it stands in, whatever its strings hold."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - nothing that HTML knows is left in it
