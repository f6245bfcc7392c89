"""Tables of abbreviations, units and signs, for reading English aloud."""

from __future__ import annotations

from types import MappingProxyType

__all__ = [
    "CURRENCIES",
    "MONTHS",
    "SIGNS",
    "SPOKEN_ABBREVIATIONS",
    "UNITS",
]

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
