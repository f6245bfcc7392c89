"""French."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.languages.language import (
    ClauseWords,
    Currency,
    Language,
    QuestionWords,
    Reading,
    Roman,
    words,
)
from voicebot.text import numerals

if TYPE_CHECKING:
    import re

__all__ = ["FRENCH"]

_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre",
    "octobre", "novembre", "décembre",
)  # fmt: skip
_NO_NOUN = (
    r"et|ou|de|du|des|à|au|aux|en|par|pour|avec|sans|que|qui|est|sont|était|plus|moins|cent|cents"
    r"|mille|si|se|ne|pas|la|le|les|un|une|jusqu|entre|sur|dans|mais|car|donc|quand|très"
)
# Genders do not show in the endings: the nouns that are counted most, and what is sure.
_FEMININE = (
    r"(?:fois|heure|minute|seconde|milliseconde|journée|semaine|année|nuit|tonne|livre|once|calorie"
    r"|kilocalorie|roupie|personne|femme|fille|page|question|ville|voiture|maison|chose|couleur"
    r"|langue|étoile|planète|île|région|pièce|étape|idée|chanson|histoire|victoire|saison|lettre"
    r"|école|équipe|espèce|carte|vitesse|bouteille|tasse|cuillère|\w+(?:tion|sion|té|ette|ance"
    r"|ence))s?"
)
_PLURAL_ENDING = "s"


def _date(day: int, month: int, year: str, before: str) -> str:
    del before
    said = "premier" if day == 1 else numerals.cardinal(day, "fr")
    return " ".join(filter(None, (said, _MONTHS[month - 1], year)))


def _clock(hour: int, minute: int, half: str) -> str:
    del half
    said = numerals.cardinal(hour, "fr")
    hours = f"{said}e" if said.endswith("un") else said
    spoken = f"{hours} heure" if hour in {0, 1} else f"{hours} heures"
    return f"{spoken} {numerals.cardinal(minute, 'fr')}" if minute else spoken


def _ordinal(found: re.Match[str]) -> str:
    ending = found["ending"]
    if ending in {"re", "ère"}:
        return "première"
    if ending in {"nd", "nde"}:
        return f"seco{ending}"
    said = numerals.ordinal(int(found["n"]), "fr")
    return said + _PLURAL_ENDING if ending.endswith("s") else said


def _reigning(value: int) -> str:
    return "premier" if value == 1 else numerals.cardinal(value, "fr")


FRENCH = Language(
    code="fr",
    name="French",
    system_prompt="Tu es un assistant vocal. Réponds en français, en une seule phrase courte.",
    examples=(
        ("Combien de jours y a-t-il dans une semaine ?", "Il y a sept jours dans une semaine."),
        ("Que mangent les vaches ?", "Les vaches mangent de l'herbe."),
        ("Éteins la radio.", "D'accord, j'éteins la radio."),
    ),
    # Without "tu" or "vous": either may be wrong.
    apology="Désolé, un problème est survenu. Merci de répéter.",
    no_answer="Désolé, je n'ai pas de réponse à cela.",
    acknowledgements=words(
        """
        ah ha hein hm hmm mhm mm mmhm oh euh heu ouais oui si ok okay bien bon parfait super génial
        exact exactement voilà certes évidemment carrément compris cool vrai absolument
        effectivement d'accord intéressant continue continuez volontiers
        """
    )
    | {
        *("ah bon", "ah oui", "c'est ça", "c'est vrai", "bien sûr", "très bien", "je vois"),
        *("tout à fait", "en effet", "je comprends", "j'ai compris", "ça marche", "pas mal"),
        *("ça va", "c'est bon", "bien entendu", "vas y", "allez y"),
    },
    espeak_voice="fr",
    questions=QuestionWords(
        first_words=words(
            """
            qui que quoi quel quelle quels quelles quand où pourquoi comment combien lequel laquelle
            lesquels lesquelles est-ce qu'est-ce
            """
        ),
        leading=words("et mais alors donc bon ok okay dis bonjour salut euh oui"),
        prepositions=words("à de d' en pour avec par depuis jusqu'à dans sur chez vers"),
        last_words=words("quoi où combien comment pourquoi quand"),
        elided=("qu",),
        endings=("-tu", "-vous", "-il", "-elle", "-on", "-ils", "-elles", "-je", "-nous", "-ce"),
        marks=("", " ?"),
    ),
    clauses=ClauseWords(
        abbreviations=words(
            """
            m. mm. dr. pr. st. ste. mlle. mme. p.ex. ex. env. av. apr. bd. tél. vol. chap. fig. art.
            p. pp. c.-à-d. j.-c. n. cf. vs. min. max. boul. janv. févr. avr. juil. sept. oct. nov.
            déc.
            """
        ),
        openers=words(
            """
            et ou mais car donc or parce puisque quand lorsque comme pendant dans avec pour par sur
            sous sans chez entre vers depuis avant après qui où dont afin tandis
            """
        ),
        copulas=words("est sont était étaient"),
    ),
    reading=Reading(
        point="virgule",
        dot="point",
        spaces=" \u00a0\u202f\u2009",
        decimals_as_number=True,
        noun=rf"(?!(?:{_NO_NOUN})\b)[a-zà-ÿœ]+",
        feminine_noun=_FEMININE,
        masculine_forms=(),
        feminine_forms=((r"\bun$", "une"),),
        date=_date,
        date_patterns=(
            r"(?P<d>[0-9]{1,2})/(?P<mon>[0-9]{1,2})/(?P<y>[0-9]{4})(?!\w)",
            r"(?P<d>[0-9]{1,2})\.(?P<mon>[0-9]{1,2})\.(?P<y>[0-9]{4})(?!\w)",
        ),
        clock=_clock,
        clock_patterns=(
            r"(?P<h>[0-9]{1,2})\s?[hH]\s?(?P<min>[0-9]{2})(?P<half>)(?!\w)",
            r"(?P<h>[0-9]{1,2}):(?P<min>[0-9]{2})(?P<half>)(?!\w)",
            r"(?P<h>[0-9]{1,2})\s?h(?P<min>)(?P<half>)(?![\w/'’])",  # noqa: RUF001 - an apostrophe
        ),
        phone_patterns=(
            r"\+[0-9]{1,3}(?:[ .-][0-9]{1,})+",
            r"0[0-9](?:[ .-][0-9]{2}){4}",
        ),
        phone_by_groups=True,
        units=MappingProxyType(
            {
                "km/h": ("kilomètre à l'heure", "kilomètres à l'heure"),
                "m/s": ("mètre par seconde", "mètres par seconde"),
                "km²": ("kilomètre carré", "kilomètres carrés"),
                "m²": ("mètre carré", "mètres carrés"),
                "m³": ("mètre cube", "mètres cubes"),
                "km": ("kilomètre", "kilomètres"),
                "cm": ("centimètre", "centimètres"),
                "mm": ("millimètre", "millimètres"),
                "m": ("mètre", "mètres"),
                "kg": ("kilogramme", "kilogrammes"),
                "mg": ("milligramme", "milligrammes"),
                "g": ("gramme", "grammes"),
                "t": ("tonne", "tonnes"),
                "ml": ("millilitre", "millilitres"),
                "cl": ("centilitre", "centilitres"),
                "l": ("litre", "litres"),
                "L": ("litre", "litres"),
                "°C": ("degré Celsius", "degrés Celsius"),
                "°F": ("degré Fahrenheit", "degrés Fahrenheit"),
                "°": ("degré", "degrés"),
                "%": ("pour cent", "pour cent"),
                "‰": ("pour mille", "pour mille"),
                "To": ("téraoctet", "téraoctets"),
                "Go": ("gigaoctet", "gigaoctets"),
                "Mo": ("mégaoctet", "mégaoctets"),
                "ko": ("kilooctet", "kilooctets"),
                "GB": ("gigaoctet", "gigaoctets"),
                "MB": ("mégaoctet", "mégaoctets"),
                "ms": ("milliseconde", "millisecondes"),
                "s": ("seconde", "secondes"),
                "min": ("minute", "minutes"),
                "h": ("heure", "heures"),
                "GHz": ("gigahertz", "gigahertz"),
                "MHz": ("mégahertz", "mégahertz"),
                "kHz": ("kilohertz", "kilohertz"),
                "Hz": ("hertz", "hertz"),
                "kWh": ("kilowattheure", "kilowattheures"),
                "kW": ("kilowatt", "kilowatts"),
                "W": ("watt", "watts"),
                "V": ("volt", "volts"),
                "kcal": ("kilocalorie", "kilocalories"),
            }
        ),
        currencies=MappingProxyType(
            {
                "€": Currency("euro", "euros", "centime", "centimes"),
                "$": Currency("dollar", "dollars", "cent", "cents"),
                "£": Currency("livre", "livres", "penny", "pence"),
                "¥": Currency("yen", "yens", "sen", "sen"),
                "₹": Currency("roupie", "roupies", "paisa", "paisas"),
            }
        ),
        scales="millions|million|milliards|milliard",
        scaled=lambda many: f"d'{many}" if many[0] in "aeiou" else f"de {many}",
        signs=MappingProxyType(
            {
                "&": "et",
                "+": "plus",
                "=": "égale",
                "%": "pour cent",
                "‰": "pour mille",
                "@": "arobase",
                "<": "inférieur à",
                ">": "supérieur à",
                "≤": "au plus",
                "≥": "au moins",
                "≠": "différent de",
                "≈": "environ",
                "×": "fois",  # noqa: RUF001 - the sign itself
                "÷": "divisé par",
                "√": "racine de",
                "→": "vers",
                "±": "plus ou moins",
                "°": "degrés",
                "$": "dollars",
                "€": "euros",
                "£": "livres",
                "§": "paragraphe",
                "²": "au carré",
                "³": "au cube",
                "½": "un demi",
                "¼": "un quart",
                "¾": "trois quarts",
            }
        ),
        abbreviations=MappingProxyType(
            {
                "p. ex.": "par exemple",
                "c.-à-d.": "c'est-à-dire",
                "etc.": "et cetera",
                "av. J.-C.": "avant Jésus-Christ",
                "apr. J.-C.": "après Jésus-Christ",
                "env.": "environ",
                "Mme": "madame",
                "Mmes": "mesdames",
                "Mlle": "mademoiselle",
                "Mlles": "mesdemoiselles",
                "n°": "numéro",
                "N°": "numéro",
                "n°s": "numéros",
                "tél.": "téléphone",
                "bd": "boulevard",
                "chap.": "chapitre",
                "vol.": "volume",
                "fig.": "figure",
                "vs": "contre",
                "vs.": "contre",
                "24h/24": "vingt-quatre heures sur vingt-quatre",
                "7j/7": "sept jours sur sept",
                "24/7": "sans interruption",
                "max.": "maximum",
                "cf.": "voir",
            }
        ),
        titles=MappingProxyType(
            {
                "M.": "monsieur",
                "MM.": "messieurs",
                "Dr.": "docteur",
                "Dr": "docteur",
                "Pr": "professeur",
                "Pr.": "professeur",
                "St": "saint",
                "Ste": "sainte",
            }
        ),
        ordinal_patterns=(
            (r"(?P<n>1)(?P<ending>er|re|ère|ers)(?!\w)", _ordinal),
            (r"(?P<n>2)(?P<ending>nde?)(?!\w)", _ordinal),
            (r"(?P<n>[0-9]{1,4})(?P<ending>(?:ième|ème|e|è)s?)(?!\w)", _ordinal),
        ),
        fractions=MappingProxyType(
            {
                2: ("un demi", "demis"),
                3: ("un tiers", "tiers"),
                4: ("un quart", "quarts"),
                5: ("un cinquième", "cinquièmes"),
                6: ("un sixième", "sixièmes"),
                7: ("un septième", "septièmes"),
                8: ("un huitième", "huitièmes"),
                9: ("un neuvième", "neuvièmes"),
                10: ("un dixième", "dixièmes"),
            }
        ),
        over="sur",
        to="à",
        per="par",
        score="à",
        minus="moins",
        times="fois",
        power="puissance",
        number="numéro",
        about="environ",
        romans=(
            Roman("", r"(?:e|ème|er|ère|re)(?!\w)", lambda value: numerals.ordinal(value, "fr")),
            Roman(
                "Louis|Henri|Charles|François|Philippe|Napoléon|Jean|Paul|Pie|Benoît|Léon|Élisabeth"
                "|Georges|Édouard|Clément|Grégoire",
                "",
                _reigning,
            ),
            Roman(
                "chapitre|Chapitre|tome|Tome|partie|acte|livre|article|phase|type",
                "",
                lambda value: numerals.cardinal(value, "fr"),
            ),
        ),
        address_signs=MappingProxyType(
            {".": "point", "@": "arobase", "/": "slash", "-": "tiret", "_": "tiret bas"}
        ),
    ),
)
