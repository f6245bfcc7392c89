"""Piper's voices: one ONNX file and one JSON file each, in one repository.

Names, paths and sizes were read in the list that rhasspy's own wyoming-piper carries
(``wyoming_piper/voices.json``, commit 1ba47976ab4b0a8f9299f5cf0e247a76192ee347). The repository is
under MIT, as its page says; a voice may inherit more from the recordings that it learned from, and
its ``MODEL_CARD`` names them.
"""

from __future__ import annotations

import re

from voicebot.models.registry.model import HubSource, Model

__all__ = ["VOICES", "piper_voice"]

_REPOSITORY = "rhasspy/piper-voices"
_READ_FROM = "wyoming_piper/voices.json of rhasspy/wyoming-piper"
_LICENCE = "MIT, and see its MODEL_CARD"
_TYPICAL_BYTES = {"x_low": 28_130_000, "low": 63_100_000, "medium": 63_200_000, "high": 114_000_000}
"""What most voices of a quality take, for those whose own size was not read."""

_PIPER_NAME = re.compile(r"([a-z]{2,3})_([A-Z]{2})-([A-Za-z0-9_]+)-(x_low|low|medium|high)")


def piper_voice(piper_name: str, size_bytes: int | None = None) -> Model | None:
    """The voice that Piper calls ``piper_name``, such as ``en_US-lessac-medium``.

    Args:
        piper_name: language and region, speaker, quality.
        size_bytes: of both its files, if known.

    Returns:
        None if that is no name of a voice; whether the repository has it shows on the download.
    """
    found = _PIPER_NAME.fullmatch(piper_name)
    if found is None:
        return None
    language, region, speaker, quality = found.groups()
    path = f"{language}/{language}_{region}/{speaker}/{quality}/{piper_name}.onnx"
    return Model(
        name=f"piper-{piper_name.lower().replace('_', '-', 1)}",
        role="tts",
        languages=(f"{language}-{region}",),
        size_bytes=size_bytes,
        licence=_LICENCE,
        engine="piper",
        source=HubSource(_REPOSITORY, (path, f"{path}.json")),
        entry=path,
        shown_bytes=_TYPICAL_BYTES[quality],
        read_from=_READ_FROM if size_bytes else "",
    )


def _voices(*rows: tuple[str, int | None]) -> tuple[Model, ...]:
    found = (piper_voice(name, size_bytes) for name, size_bytes in rows)
    return tuple(voice for voice in found if voice is not None)


VOICES: tuple[Model, ...] = _voices(
    ("en_US-lessac-medium", None),
    ("en_US-lessac-low", None),
    ("en_US-lessac-high", None),
    ("en_US-amy-low", 63_104_526 + 4164),
    ("en_US-amy-medium", 63_201_294 + 4882),
    ("en_US-hfc_female-medium", 63_201_294 + 5033),
    ("en_US-hfc_male-medium", 63_201_294 + 5033),
    ("en_US-joe-medium", 63_201_294 + 4794),
    ("en_US-ryan-low", 63_104_526 + 4165),
    ("en_US-ryan-medium", 63_201_294 + 4883),
    ("en_US-ryan-high", 120_786_792 + 4166),
    ("en_US-libritts_r-medium", 78_580_914 + 20_123),
    ("en_GB-alan-low", 63_104_526 + 4170),
    ("en_GB-alan-medium", 63_201_294 + 4888),
    ("en_GB-alba-medium", 63_201_294 + 4888),
    ("en_GB-jenny_dioco-medium", 63_201_294 + 4895),
    ("en_GB-northern_english_male-medium", 63_201_294 + 4847),
    ("de_DE-thorsten-medium", 63_201_294 + 4819),
    ("de_DE-thorsten-low", 63_104_526 + 4159),
    ("de_DE-thorsten-high", 113_895_201 + 4875),
    ("de_DE-kerstin-low", 63_104_526 + 4158),
    ("de_DE-ramona-low", 63_104_526 + 4157),
    ("es_ES-davefx-medium", 63_201_294 + 4817),
    ("es_ES-sharvard-medium", 76_733_615 + 4903),
    ("es_ES-carlfm-x_low", 28_130_791 + 4159),
    ("es_MX-ald-medium", 63_201_294 + 4889),
    ("fr_FR-siwis-medium", 63_201_294 + 4875),
    ("fr_FR-siwis-low", 28_130_791 + 4157),
    ("fr_FR-tom-medium", 63_511_038 + 4959),
    ("fr_FR-upmc-medium", 76_733_615 + 4996),
    ("it_IT-riccardo-x_low", 28_130_791 + 4161),
    ("ca_ES-upc_ona-medium", 63_201_294 + 4875),
    ("cs_CZ-jirka-medium", 63_201_294 + 5025),
    ("da_DK-talesyntese-medium", 63_201_294 + 4878),
    ("fi_FI-harri-medium", 63_201_294 + 4873),
    ("hu_HU-anna-medium", 63_201_294 + 5018),
    ("is_IS-bui-medium", 76_495_465 + 4162),
)
"""The first of a language is the one that profiles take."""
