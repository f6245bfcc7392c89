"""Tables of words, abbreviations, units and signs, for cutting and for reading aloud."""

from __future__ import annotations

from types import MappingProxyType

__all__ = [
    "ABBREVIATIONS",
    "CLAUSE_OPENERS",
    "COPULAS",
    "CURRENCIES",
    "MONTHS",
    "SIGNS",
    "SPOKEN_ABBREVIATIONS",
    "UNITS",
]

ABBREVIATIONS = frozenset(
    [
        "dr.",
        "mr.",
        "mrs.",
        "ms.",
        "prof.",
        "sr.",
        "jr.",
        "st.",
        "mt.",
        "ft.",
        "gen.",
        "col.",
        "capt.",
        "lt.",
        "sgt.",
        "rev.",
        "hon.",
        "gov.",
        "sen.",
        "rep.",
        "pres.",
        "e.g.",
        "i.e.",
        "cf.",
        "vs.",
        "v.",
        "no.",
        "nos.",
        "vol.",
        "pp.",
        "p.",
        "fig.",
        "figs.",
        "eq.",
        "ca.",
        "approx.",
        "est.",
        "al.",
        "ed.",
        "dept.",
        "inc.",
        "ltd.",
        "co.",
        "corp.",
        "jan.",
        "feb.",
        "mar.",
        "apr.",
        "jun.",
        "jul.",
        "aug.",
        "sep.",
        "sept.",
        "oct.",
        "nov.",
        "dec.",
        "mon.",
        "tue.",
        "wed.",
        "thu.",
        "fri.",
        "min.",
        "max.",
        "tel.",
        "ext.",
        "ave.",
        "blvd.",
        "rd.",
        "z.b.",
        "d.h.",
        "bzw.",
        "ggf.",
        "nr.",
        "str.",
        "hr.",
        "fr.",
    ]
)
"""Words whose full stop does not end a sentence, in lower case."""

CLAUSE_OPENERS = frozenset(
    [
        "and",
        "but",
        "or",
        "so",
        "because",
        "since",
        "although",
        "though",
        "while",
        "when",
        "where",
        "which",
        "who",
        "that",
        "if",
        "unless",
        "until",
        "in",
        "on",
        "at",
        "with",
        "for",
        "from",
        "by",
        "into",
        "after",
        "before",
        "during",
        "about",
        "between",
        "through",
        "as",
        "than",
    ]
)
"""Conjunctions and prepositions before which a voice may pause."""

COPULAS = frozenset(["is", "are", "was", "were"])
"""Verbs before which a voice may pause when what they are said of was long."""

SPOKEN_ABBREVIATIONS = MappingProxyType(
    {
        "Dr.": "Doctor",
        "Mr.": "Mister",
        "Mrs.": "Missus",
        "Ms.": "Miz",
        "Prof.": "Professor",
        "St.": "Saint",
        "Mt.": "Mount",
        "Jr.": "Junior",
        "Sr.": "Senior",
        "e.g.": "for example",
        "i.e.": "that is",
        "etc.": "et cetera",
        "vs.": "versus",
        "approx.": "approximately",
        "cf.": "compare",
        "No.": "number",
        "a.m.": "a m",
        "p.m.": "p m",
    }
)
"""How abbreviations are read in English; the full stop belongs to them."""

CURRENCIES = MappingProxyType(
    {
        "$": (("dollar", "dollars"), ("cent", "cents")),
        "€": (("euro", "euros"), ("cent", "cents")),
        "£": (("pound", "pounds"), ("penny", "pence")),
        "¥": (("yen", "yen"), ("sen", "sen")),
        "₹": (("rupee", "rupees"), ("paisa", "paise")),
    }
)
"""A currency's whole and its hundredth, each for one and for many."""

UNITS = MappingProxyType(
    {
        "km/h": ("kilometer per hour", "kilometers per hour"),
        "m/s": ("meter per second", "meters per second"),
        "mph": ("mile per hour", "miles per hour"),
        "km²": ("square kilometer", "square kilometers"),
        "m²": ("square meter", "square meters"),
        "m³": ("cubic meter", "cubic meters"),
        "km": ("kilometer", "kilometers"),
        "cm": ("centimeter", "centimeters"),
        "mm": ("millimeter", "millimeters"),
        "m": ("meter", "meters"),
        "ft": ("foot", "feet"),
        "kg": ("kilogram", "kilograms"),
        "mg": ("milligram", "milligrams"),
        "g": ("gram", "grams"),
        "lbs": ("pound", "pounds"),
        "lb": ("pound", "pounds"),
        "oz": ("ounce", "ounces"),
        "ml": ("milliliter", "milliliters"),
        "mL": ("milliliter", "milliliters"),
        "l": ("liter", "liters"),
        "L": ("liter", "liters"),
        "°C": ("degree Celsius", "degrees Celsius"),
        "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "°": ("degree", "degrees"),
        "TB": ("terabyte", "terabytes"),
        "GB": ("gigabyte", "gigabytes"),
        "MB": ("megabyte", "megabytes"),
        "KB": ("kilobyte", "kilobytes"),
        "kB": ("kilobyte", "kilobytes"),
        "ms": ("millisecond", "milliseconds"),
        "s": ("second", "seconds"),
        "min": ("minute", "minutes"),
        "h": ("hour", "hours"),
        "GHz": ("gigahertz", "gigahertz"),
        "MHz": ("megahertz", "megahertz"),
        "kHz": ("kilohertz", "kilohertz"),
        "Hz": ("hertz", "hertz"),
        "kWh": ("kilowatt hour", "kilowatt hours"),
        "kW": ("kilowatt", "kilowatts"),
        "W": ("watt", "watts"),
        "V": ("volt", "volts"),
    }
)
"""Units behind a number, for one and for many."""

SIGNS = MappingProxyType(
    {
        "&": "and",
        "+": "plus",
        "=": "equals",
        "%": "percent",
        "@": "at",
        "<": "less than",
        ">": "greater than",
        "≤": "at most",
        "≥": "at least",
        "≠": "is not",
        "≈": "about",
        "×": "times",  # noqa: RUF001 - the sign itself
        "÷": "divided by",
        "√": "the square root of",
        "→": "to",
        "±": "plus or minus",
        "°": "degrees",
        "$": "dollars",
        "€": "euros",
        "£": "pounds",
        "²": "squared",
        "³": "cubed",
        "½": "a half",
        "¼": "a quarter",
        "¾": "three quarters",
    }
)
"""Signs that stand alone or between operands."""

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
