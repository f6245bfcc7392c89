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

_OWN_NAME = re.compile(r"piper-([a-z]{2,3})-([a-z]{2})-(\w+-\w+)")
_PIPER_NAME = re.compile(r"([a-z]{2,3})_([A-Z]{2})-(\w+)-(x_low|low|medium|high)")


def piper_voice(piper_name: str, shown_bytes: int | None = None) -> Model | None:
    """The voice that Piper calls ``piper_name``, such as ``en_US-lessac-medium``.

    Args:
        piper_name: language and region, speaker, quality; or the name that this gives the voice,
            by which the lock file knows it.
        shown_bytes: the size of its files as the list had it, if that was read.

    Returns:
        None if that is no name of a voice; whether the repository has it shows on the download.
    """
    if own := _OWN_NAME.fullmatch(piper_name):
        language, region, rest = own.groups()
        piper_name = f"{language}_{region.upper()}-{rest}"
    found = _PIPER_NAME.fullmatch(piper_name)
    if found is None:
        return None
    language, region, speaker, quality = found.groups()
    path = f"{language}/{language}_{region}/{speaker}/{quality}/{piper_name}.onnx"
    return Model(
        name=f"piper-{piper_name.lower().replace('_', '-', 1)}",
        role="tts",
        languages=(f"{language}-{region}",),
        size_bytes=None,  # its configuration was changed since
        licence=_LICENCE,
        engine="piper",
        source=HubSource(_REPOSITORY, (path, f"{path}.json")),
        entry=path,
        shown_bytes=shown_bytes or _TYPICAL_BYTES[quality],
        read_from=_READ_FROM if shown_bytes else "",
    )


def _voices(*rows: tuple[str, int]) -> tuple[Model, ...]:
    found = (piper_voice(name, shown_bytes) for name, shown_bytes in rows)
    return tuple(voice for voice in found if voice is not None)


VOICES: tuple[Model, ...] = _voices(
    ("en_US-lessac-medium", 63_201_294 + 4885),
    ("en_US-lessac-low", 63_201_294 + 4882),
    ("en_US-lessac-high", 113_895_201 + 4883),
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
    ("nl_NL-mls-medium", 76_584_246 + 5856),
    ("nl_BE-nathalie-medium", 63_201_294 + 4879),
    ("no_NO-talesyntese-medium", 63_201_294 + 4880),
    ("pl_PL-gosia-medium", 63_201_294 + 4814),
    ("pl_PL-darkman-medium", 63_201_294 + 4816),
    ("pt_BR-faber-medium", 63_201_294 + 4855),
    ("pt_PT-tugão-medium", 63_201_294 + 5026),
    ("ro_RO-mihai-medium", 63_201_294 + 4877),
    ("ru_RU-irina-medium", 63_201_294 + 4765),
    ("ru_RU-denis-medium", 63_201_294 + 4823),
    ("sk_SK-lili-medium", 63_201_294 + 4963),
    ("sl_SI-artur-medium", 63_200_492 + 4970),
    ("sv_SE-nst-medium", 63_104_526 + 4157),
    ("tr_TR-dfki-medium", 63_201_294 + 4960),
    ("uk_UA-ukrainian_tts-medium", 76_735_663 + 2002),
)
"""The first of a language is the one that profiles take."""
