"""German."""

from __future__ import annotations

import re
from types import MappingProxyType

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

__all__ = ["GERMAN"]

_MONTHS = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
    "Oktober", "November", "Dezember",
)  # fmt: skip
_FEMININE = (
    r"Mark|Uhrzeit|Nacht|Stadt|Hand|Wand|Frau|Person|Zahl|Art|Million|Milliarde|Antwort|Tür|Bank"
    r"|[A-ZÄÖÜ]\w+(?:ung|heit|keit|schaft|ion|tät|ik|ur|in|e)"
)
_NOT_FEMININE = r"Name|Ende|Auge|Käse|Junge|Kunde|Buchstabe|Gedanke|Interesse|Termin|Kilo\w*"
# Behind these, an ordinal ends in -n.
_WEAK = words(
    """
    am im vom zum zur beim ans ins dem den des einem einen einer eines jedem jeden jeder kein
    keinem keinen meinem meinen meiner seinem seinen seiner ihrem ihren ihrer unserem unseren
    diesem diesen dieser bis ab seit
    """
)
_BEFORE_DATIVE = words(
    "in an auf mit nach von zu bei aus seit vor unter über neben zwischen hinter"
)
_ARTICLES = words("der die das")


def _ordinal(value: int, before: str, noun: str = "") -> str:
    """An ordinal as it is declined behind ``before`` and in front of ``noun``."""
    stem = numerals.ordinal(value, "de")
    said = before.lower().replace(",", " ").split()
    last, second = (["", "", *said])[-1], (["", "", *said])[-2]
    if last in _WEAK or (last == "der" and second in _BEFORE_DATIVE):
        return f"{stem}n"
    if last in _ARTICLES or (noun and _is_feminine(noun)):
        return stem
    return f"{stem}r"


def _is_feminine(noun: str) -> bool:
    return not re.fullmatch(_NOT_FEMININE, noun) and re.fullmatch(_FEMININE, noun) is not None


def _date(day: int, month: int, year: str, before: str) -> str:
    return " ".join(filter(None, (_ordinal(day, before), _MONTHS[month - 1], year)))


def _clock(hour: int, minute: int, half: str) -> str:
    del half
    hours = "ein" if hour == 1 else numerals.cardinal(hour, "de")
    return f"{hours} Uhr {numerals.cardinal(minute, 'de')}" if minute else f"{hours} Uhr"


_ORDERED = (
    r"Jahrhundert\w*|Jahrtausend|Platz|Klasse|Stock|Etage|Weltkrieg|Geburtstag|Tag|Woche|Monat"
    r"|Kapitel|Teil|Runde|Mal|Bundesland|Bezirk|Auflage|Präsident\w*|Bundeskanzler\w*|Stunde"
)
_SENTENCE_OPENERS = words(
    """
    das der die den dem des ein eine einen ich du er sie es wir ihr man mein dein sein unser und
    aber oder denn doch also dann danach davor dort da hier heute gestern morgen jetzt nun so wenn
    weil als ob wie wer was wo wann warum welche viele alle beide dies diese dieser dieses damit
    dabei dafür dazu darum in im an am auf aus bei mit nach seit von vom vor zu zum zur für ja
    nein nicht sonst später außerdem trotzdem jedoch allerdings leider bitte
    """
)
_MOST_ORDINAL_DIGITS = 2


def _ordinal_before_noun(found: re.Match[str]) -> str | None:
    """A number with a full stop is an ordinal, unless a sentence ends with it."""
    number, noun = found["n"], found["noun"]
    said_before = found.string[: found.start()]
    last = said_before.lower().split()[-1:]
    is_ordered = noun in _MONTHS or re.fullmatch(_ORDERED, noun) is not None
    is_led = bool(last) and (last[0] in _WEAK or last[0] in _ARTICLES)
    goes_on = noun[0].islower() or noun.lower() not in _SENTENCE_OPENERS
    is_short = len(number) <= _MOST_ORDINAL_DIGITS
    if is_ordered or is_led or (goes_on and is_short and last):
        return _ordinal(int(number), said_before, noun)
    return None


def _decade(found: re.Match[str]) -> str:
    return f"{numerals.year(int(found['n']), 'de')}er"


def _so_often(found: re.Match[str]) -> str:
    value = int(found["n"])
    return "einmal" if value == 1 else f"{numerals.cardinal(value, 'de')}mal"


def _reigning(value: int) -> str:
    return f"der {numerals.ordinal(value, 'de').capitalize()}"


def _reigning_woman(value: int) -> str:
    return f"die {numerals.ordinal(value, 'de').capitalize()}"


GERMAN = Language(
    code="de",
    name="German",
    system_prompt="Du bist ein Sprachassistent. Antworte auf Deutsch, in einem kurzen Satz.",
    examples=(
        ("Wie viele Tage hat eine Woche?", "Eine Woche hat sieben Tage."),
        ("Was fressen Kühe?", "Kühe fressen Gras."),
        ("Mach das Radio aus.", "Okay, ich mache das Radio aus."),
    ),
    # Without "du" or "Sie": either may be wrong.
    apology="Entschuldigung, da ist etwas schiefgegangen. Bitte noch einmal.",
    no_answer="Darauf habe ich leider keine Antwort.",
    acknowledgements=words(
        """
        ah aha ach ha hm hmm mhm mm mmhm äh ähm öh oh oha ok okay ja jaja jo jap jup genau richtig
        stimmt klar gut super toll prima schön fein cool echt aha alles doch natürlich sicher
        verstehe verstanden logisch interessant eben weiter
        """
    )
    | {
        *("ach so", "na klar", "sehr gut", "alles klar", "ganz genau", "ich verstehe", "ist gut"),
        *("ah ja", "aber klar", "weiter so", "in ordnung", "das stimmt", "so so", "na gut"),
    },
    espeak_voice="de",
    questions=QuestionWords(
        first_words=words(
            """
            wer wen wem wessen was welche welcher welches welchen welchem wann wo wohin woher warum
            wieso weshalb wie wieviel wieviele womit wofür wozu worüber woran worauf woraus wovon
            ist sind bin bist war waren wäre hast hat habe haben habt hatte hätte hättest kann
            kannst können könnt könnte könntest darf darfst dürfen muss musst müssen soll sollen
            sollte sollten will willst wollen wird wirst werden würde würdest gibt gibt's gab weißt
            wissen magst mag möchtest kennst kennen stimmt
            """
        ),
        leading=words("und aber also oder okay ok gut ja nun hallo hi hey bitte sag mal äh ähm"),
        prepositions=words(
            "an auf aus bei bis für gegen in mit nach seit um unter über von vor zu zwischen durch"
        ),
    ),
    clauses=ClauseWords(
        abbreviations=words(
            """
            dr. prof. hr. fr. st. nr. str. tel. bzw. ca. ggf. evtl. inkl. exkl. max. min. vgl. usf.
            geb. gest. bspw. sog. z.b. d.h. u.a. z.t. o.ä. v.a. i.d.r. ä. chr. abs. art. bd. hrsg.
            mio. mrd. tsd. std. sek. jan. feb. mär. apr. jun. jul. aug. sep. sept. okt. nov. dez.
            mo. di. mi. do. sa. so. ing. dipl. med. phil. jh. vs. kap. abb. zzgl. allg. engl. dt.
            """
        ),
        # Without what may be the separated half of a verb ("mache das Radio aus").
        openers=words(
            """
            und oder aber denn sondern weil dass ob wenn als während obwohl damit nachdem bevor bis
            seit sodass falls wo wie in im am mit für von vom beim zum zur ins durch gegen ohne
            zwischen wegen trotz außer
            """
        ),
        copulas=words("ist sind war waren"),
        ordinal_stop=True,
    ),
    reading=Reading(
        point="Komma",
        dot="Punkt",
        spaces="\u00a0\u202f\u2009",
        dot_groups=True,
        years_in_hundreds=True,
        noun=r"[A-ZÄÖÜ]\w+",
        feminine_noun=rf"(?!(?:{_NOT_FEMININE})$)(?:{_FEMININE})",
        masculine_forms=(("^eins$", "ein"),),
        feminine_forms=(("^eins$", "eine"),),
        date=_date,
        date_patterns=(
            r"(?P<d>[0-9]{1,2})\.\s?(?P<mon>[0-9]{1,2})\.(?:\s?(?P<y>[0-9]{4})(?!\w)|(?![\w.,]))",
        ),
        clock=_clock,
        clock_patterns=(
            r"(?P<h>[0-9]{1,2})[:.](?P<min>[0-9]{2})\sUhr(?P<half>)(?!\w)",
            r"(?P<h>[0-9]{1,2}):(?P<min>[0-9]{2})(?P<half>)(?!\w)",
            r"(?P<h>[0-9]{1,2})\sUhr(?P<min>)(?P<half>)(?!\w)",
        ),
        phone_patterns=(
            r"\+[0-9]{1,3}(?:[ /.-][0-9]{2,})+",
            r"0[0-9]{1,4}(?:\s?[/-]\s?|\s)[0-9]{3,}(?:[ -][0-9]+)*",
        ),
        units=MappingProxyType(
            {
                "km/h": ("Kilometer pro Stunde", "Kilometer pro Stunde"),
                "m/s": ("Meter pro Sekunde", "Meter pro Sekunde"),
                "km²": ("Quadratkilometer", "Quadratkilometer"),
                "m²": ("Quadratmeter", "Quadratmeter"),
                "qm": ("Quadratmeter", "Quadratmeter"),
                "m³": ("Kubikmeter", "Kubikmeter"),
                "km": ("Kilometer", "Kilometer"),
                "dm": ("Dezimeter", "Dezimeter"),
                "cm": ("Zentimeter", "Zentimeter"),
                "mm": ("Millimeter", "Millimeter"),
                "m": ("Meter", "Meter"),
                "kg": ("Kilogramm", "Kilogramm"),
                "mg": ("Milligramm", "Milligramm"),
                "g": ("Gramm", "Gramm"),
                "t": ("Tonne", "Tonnen"),
                "ml": ("Milliliter", "Milliliter"),
                "cl": ("Zentiliter", "Zentiliter"),
                "l": ("Liter", "Liter"),
                "L": ("Liter", "Liter"),
                "°C": ("Grad Celsius", "Grad Celsius"),
                "°F": ("Grad Fahrenheit", "Grad Fahrenheit"),
                "°": ("Grad", "Grad"),
                "%": ("Prozent", "Prozent"),
                "‰": ("Promille", "Promille"),
                "TB": ("Terabyte", "Terabyte"),
                "GB": ("Gigabyte", "Gigabyte"),
                "MB": ("Megabyte", "Megabyte"),
                "kB": ("Kilobyte", "Kilobyte"),
                "KB": ("Kilobyte", "Kilobyte"),
                "ms": ("Millisekunde", "Millisekunden"),
                "s": ("Sekunde", "Sekunden"),
                "Sek.": ("Sekunde", "Sekunden"),
                "min": ("Minute", "Minuten"),
                "Min.": ("Minute", "Minuten"),
                "h": ("Stunde", "Stunden"),
                "Std.": ("Stunde", "Stunden"),
                "GHz": ("Gigahertz", "Gigahertz"),
                "MHz": ("Megahertz", "Megahertz"),
                "kHz": ("Kilohertz", "Kilohertz"),
                "Hz": ("Hertz", "Hertz"),
                "hPa": ("Hektopascal", "Hektopascal"),
                "TL": ("Teelöffel", "Teelöffel"),
                "EL": ("Esslöffel", "Esslöffel"),
                "kWh": ("Kilowattstunde", "Kilowattstunden"),
                "kW": ("Kilowatt", "Kilowatt"),
                "W": ("Watt", "Watt"),
                "V": ("Volt", "Volt"),
                "kcal": ("Kilokalorie", "Kilokalorien"),
            }
        ),
        currencies=MappingProxyType(
            {
                "€": Currency("Euro", "Euro", "Cent", "Cent"),
                "$": Currency("Dollar", "Dollar", "Cent", "Cent"),
                "£": Currency("Pfund", "Pfund", "Penny", "Pence"),
                "¥": Currency("Yen", "Yen", "Sen", "Sen"),
                "₹": Currency("Rupie", "Rupien", "Paisa", "Paise"),
            }
        ),
        scales=r"Millionen|Milliarden|Billionen|Million|Milliarde|Billion|Mio\.|Mrd\.|Tsd\.",
        scaled=str,
        signs=MappingProxyType(
            {
                "&": "und",
                "+": "plus",
                "=": "gleich",
                "%": "Prozent",
                "‰": "Promille",
                "@": "at",
                "<": "kleiner als",
                ">": "größer als",
                "≤": "höchstens",
                "≥": "mindestens",
                "≠": "ungleich",
                "≈": "ungefähr",
                "×": "mal",  # noqa: RUF001 - the sign itself
                "÷": "geteilt durch",
                "√": "Wurzel aus",
                "→": "nach",
                "±": "plus minus",
                "°": "Grad",
                "$": "Dollar",
                "€": "Euro",
                "£": "Pfund",
                "§": "Paragraf",
                "²": "Quadrat",
                "³": "hoch drei",
                "½": "ein halb",
                "¼": "ein Viertel",
                "¾": "drei Viertel",
            }
        ),
        abbreviations=MappingProxyType(
            {
                "z. B.": "zum Beispiel",
                "d. h.": "das heißt",
                "u. a.": "unter anderem",
                "z. T.": "zum Teil",
                "v. a.": "vor allem",
                "i. d. R.": "in der Regel",
                "o. Ä.": "oder Ähnliches",
                "u. Ä.": "und Ähnliches",
                "v. Chr.": "vor Christus",
                "n. Chr.": "nach Christus",
                "usw.": "und so weiter",
                "usf.": "und so fort",
                "etc.": "et cetera",
                "bzw.": "beziehungsweise",
                "bspw.": "beispielsweise",
                "ca.": "circa",
                "ggf.": "gegebenenfalls",
                "evtl.": "eventuell",
                "inkl.": "inklusive",
                "exkl.": "exklusive",
                "zzgl.": "zuzüglich",
                "vgl.": "vergleiche",
                "sog.": "sogenannt",
                "geb.": "geboren",
                "max.": "maximal",
                "Mio.": "Millionen",
                "Mrd.": "Milliarden",
                "Tsd.": "Tausend",
                "Nr.": "Nummer",
                "Str.": "Straße",
                "Tel.": "Telefon",
                "Jh.": "Jahrhundert",
                "Dr.": "Doktor",
                "Prof.": "Professor",
                "Std.": "Stunden",
                "vs.": "gegen",
                "24/7": "rund um die Uhr",
                "Hr.": "Herr",
            }
        ),
        titles=MappingProxyType({"Fr.": "Frau", "St.": "Sankt"}),
        ordinal_patterns=(
            (r"(?P<n>[0-9]{1,4})\.(?=\s?(?P<noun>[^\W\d_]{2,}))", _ordinal_before_noun),
            (r"(?P<n>[0-9]{1,4})er(?!\w)", _decade),
            (r"(?P<n>[0-9]{1,3})\s?x(?=\s[^\W\d])", _so_often),
        ),
        fractions=MappingProxyType(
            {
                2: ("ein halb", "Halbe"),
                3: ("ein Drittel", "Drittel"),
                4: ("ein Viertel", "Viertel"),
                5: ("ein Fünftel", "Fünftel"),
                6: ("ein Sechstel", "Sechstel"),
                7: ("ein Siebtel", "Siebtel"),
                8: ("ein Achtel", "Achtel"),
                9: ("ein Neuntel", "Neuntel"),
                10: ("ein Zehntel", "Zehntel"),
                100: ("ein Hundertstel", "Hundertstel"),
            }
        ),
        over="durch",
        to="bis",
        per="pro",
        score="zu",
        minus="minus",
        times="mal",
        power="hoch",
        number="Nummer",
        about="etwa",
        romans=(
            Roman(
                "Ludwig|Karl|Heinrich|Friedrich|Wilhelm|Otto|Georg|Philipp|Leopold|Franz|Maximilian"
                "|Papst|Pius|Benedikt|Paul|Leo|Napoleon",
                r"\.",
                _reigning,
            ),
            Roman("Elisabeth|Katharina|Maria|Margarete", r"\.", _reigning_woman),
            Roman(
                "Kapitel|Teil|Band|Akt|Artikel|Klasse|Typ|Phase|Stufe",
                "",
                lambda value: numerals.cardinal(value, "de"),
            ),
        ),
        address_signs=MappingProxyType(
            {".": "Punkt", "@": "at", "/": "Schrägstrich", "-": "minus", "_": "Unterstrich"}
        ),
    ),
)
