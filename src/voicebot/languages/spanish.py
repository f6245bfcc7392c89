"""Spanish."""

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

__all__ = ["SPANISH"]

_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre",
    "octubre", "noviembre", "diciembre",
)  # fmt: skip
_NO_NOUN = (
    r"y|e|o|u|ni|de|del|a|al|en|por|con|sin|que|es|son|era|para|como|más|menos|mil|si|se|no|la|el"
    r"|las|los|un|una|hasta|entre|sobre|según|desde|pero|porque|cuando|ya|muy|le|lo|me|te"
)
_FEMININE = (
    r"(?!(?:días?|mapas?|problemas?|programas?|sistemas?|idiomas?|temas?|planetas?|gramas?"
    r"|kilogramas?|climas?|poemas?|puntos?)$)"
    r"(?:\w+as?|\w+ci[oó]n(?:es)?|\w+si[oó]n(?:es)?|\w+dad(?:es)?|\w+tud(?:es)?|veces|vez|noches?"
    r"|calles?|tardes?|clases?|mujer(?:es)?|luz|luces|manos?|partes?|flor(?:es)?)"
)
_FEMININE_CLOCK = ((r"veintiuno$", "veintiuna"), (r"\buno$", "una"))
_LAST_HOUR_OF_A_HALF_DAY = 12
_MOST_ORDINAL = 10


def _date(day: int, month: int, year: str, before: str) -> str:
    del before
    said = "primero" if day == 1 else numerals.cardinal(day, "es")
    return " de ".join(filter(None, (said, _MONTHS[month - 1], year)))


def _clock(hour: int, minute: int, half: str) -> str:
    hours = numerals.cardinal(hour, "es")
    for pattern, form in _FEMININE_CLOCK:
        hours = re.sub(pattern, form, hours)
    if minute:
        hours = f"{hours} y {numerals.cardinal(minute, 'es')}"
    elif not half:
        exact = 0 < hour <= _LAST_HOUR_OF_A_HALF_DAY
        hours = f"{hours} en punto" if exact else f"{hours} horas"
    return {"a": f"{hours} de la mañana", "p": f"{hours} de la tarde"}.get(half, hours)


def _ordinal(found: re.Match[str]) -> str:
    ending = found["ending"].lower()
    if ending.endswith(("a", "ª")):
        return _feminine_ordinal(int(found["n"]))
    said = numerals.ordinal(int(found["n"]), "es")
    if ending == "er":
        return re.sub(r"(primer|tercer)o$", r"\1", said)
    return said


def _feminine_ordinal(value: int) -> str:
    return " ".join(re.sub(r"o$", "a", word) for word in numerals.ordinal(value, "es").split())


def _reigning(value: int) -> str:
    if value <= _MOST_ORDINAL:
        return numerals.ordinal(value, "es")
    return numerals.cardinal(value, "es")


SPANISH = Language(
    code="es",
    name="Spanish",
    system_prompt="Eres un asistente de voz. Responde en español, con una sola frase corta.",
    examples=(
        ("¿Cuántos días tiene una semana?", "Una semana tiene siete días."),
        ("¿Qué comen las vacas?", "Las vacas comen hierba."),
        ("Apaga la radio.", "De acuerdo, apago la radio."),
    ),
    apology="Lo siento, algo ha salido mal. Otra vez, por favor.",
    no_answer="Lo siento, no tengo respuesta para eso.",
    acknowledgements=words(
        """
        ah ajá aja eh em ha hm hmm mhm mm mmhm oh uh uhum sí si ok okay okey vale claro bien bueno
        perfecto genial exacto exactamente correcto entiendo entendido ya cierto verdad vaya
        fenomenal estupendo interesante seguro dale listo órale sale sigue siga
        """
    )
    | {
        *("de acuerdo", "muy bien", "está bien", "por supuesto", "ah sí", "así es", "eso es"),
        *("ya veo", "ya entiendo", "lo entiendo", "desde luego", "es verdad", "claro que sí"),
    },
    espeak_voice="es",
    questions=QuestionWords(
        first_words=words(
            """
            qué quién quiénes cuál cuáles cuándo cuánto cuánta cuántos cuántas dónde adónde cómo
            puedes puede podrías podría sabes sabe tienes tiene hay quieres conoces
            """
        ),
        leading=words("y pero entonces oye hola vale bueno ok okay pues ah por favor"),
        prepositions=words("a con de desde en hasta para por sobre según"),
        marks=("¿", "?"),
    ),
    clauses=ClauseWords(
        abbreviations=words(
            """
            sr. sra. srta. sres. dr. dra. d. dña. prof. profa. lic. ing. arq. ud. uds. vd. vds. ej.
            pág. págs. núm. aprox. tel. av. avda. c. cap. art. fig. vol. máx. mín. ee. uu.
            ee.uu. a.c. d.c. p.ej. gral. sta. sto. s. kg. ene. feb. mar. abr. jun. jul. ago. sep.
            sept. oct. nov. dic.
            """
        ),
        openers=words(
            """
            y e o u pero sino porque aunque cuando mientras donde quien como hasta desde en con para
            sin sobre entre durante según hacia contra pues
            """
        ),
        copulas=words("es son era eran fue está están"),
    ),
    reading=Reading(
        point="coma",
        dot="punto",
        spaces=" \u00a0\u202f\u2009",
        dot_groups=True,
        decimals_as_number=True,
        noun=rf"(?!(?:{_NO_NOUN})\b)[a-záéíóúñü]+",
        feminine_noun=_FEMININE,
        masculine_forms=((r"veintiuno$", "veintiún"), (r"\buno$", "un")),
        feminine_forms=(
            *_FEMININE_CLOCK,
            (r"cientos\b", "cientas"),
            (r"quinientos\b", "quinientas"),
        ),
        date=_date,
        date_patterns=(
            r"(?P<d>[0-9]{1,2})/(?P<mon>[0-9]{1,2})/(?P<y>[0-9]{4})(?!\w)",
            r"(?P<d>[0-9]{1,2})-(?P<mon>[0-9]{1,2})-(?P<y>[0-9]{4})(?!\w)",
        ),
        clock=_clock,
        clock_patterns=(
            r"(?P<h>[0-9]{1,2}):(?P<min>[0-9]{2})(?:\s(?P<half>[ap])\.?\s?m\b\.?|\sh\b)?(?!\w)",
            r"(?P<h>[0-9]{1,2})(?P<min>)\s(?P<half>[ap])\.?\s?m\b\.?(?!\w)",
        ),
        phone_patterns=(
            r"\+[0-9]{1,3}(?:[ .-][0-9]{2,})+",
            r"[6789][0-9]{2} [0-9]{3} [0-9]{3}",
            r"[6789][0-9]{2} [0-9]{2} [0-9]{2} [0-9]{2}",
            r"9[0-9] [0-9]{3} [0-9]{2} [0-9]{2}",
        ),
        units=MappingProxyType(
            {
                "km/h": ("kilómetro por hora", "kilómetros por hora"),
                "m/s": ("metro por segundo", "metros por segundo"),
                "km²": ("kilómetro cuadrado", "kilómetros cuadrados"),
                "m²": ("metro cuadrado", "metros cuadrados"),
                "m³": ("metro cúbico", "metros cúbicos"),
                "km": ("kilómetro", "kilómetros"),
                "cm": ("centímetro", "centímetros"),
                "mm": ("milímetro", "milímetros"),
                "m": ("metro", "metros"),
                "kg": ("kilogramo", "kilogramos"),
                "mg": ("miligramo", "miligramos"),
                "g": ("gramo", "gramos"),
                "t": ("tonelada", "toneladas"),
                "ml": ("mililitro", "mililitros"),
                "cl": ("centilitro", "centilitros"),
                "l": ("litro", "litros"),
                "L": ("litro", "litros"),
                "°C": ("grado Celsius", "grados Celsius"),
                "ºC": ("grado Celsius", "grados Celsius"),
                "°F": ("grado Fahrenheit", "grados Fahrenheit"),
                "°": ("grado", "grados"),
                "%": ("por ciento", "por ciento"),
                "‰": ("por mil", "por mil"),
                "TB": ("terabyte", "terabytes"),
                "GB": ("gigabyte", "gigabytes"),
                "MB": ("megabyte", "megabytes"),
                "kB": ("kilobyte", "kilobytes"),
                "KB": ("kilobyte", "kilobytes"),
                "ms": ("milisegundo", "milisegundos"),
                "s": ("segundo", "segundos"),
                "min": ("minuto", "minutos"),
                "h": ("hora", "horas"),
                "GHz": ("gigahercio", "gigahercios"),
                "MHz": ("megahercio", "megahercios"),
                "kHz": ("kilohercio", "kilohercios"),
                "Hz": ("hercio", "hercios"),
                "kWh": ("kilovatio hora", "kilovatios hora"),
                "kW": ("kilovatio", "kilovatios"),
                "W": ("vatio", "vatios"),
                "V": ("voltio", "voltios"),
                "kcal": ("kilocaloría", "kilocalorías"),
            }
        ),
        currencies=MappingProxyType(
            {
                "€": Currency("euro", "euros", "céntimo", "céntimos"),
                "$": Currency("dólar", "dólares", "centavo", "centavos"),
                "£": Currency("libra", "libras", "penique", "peniques"),
                "¥": Currency("yen", "yenes", "sen", "sen"),
                "₹": Currency("rupia", "rupias", "paisa", "paisas"),
            }
        ),
        money_joint=" con ",
        scales="millones|millón|billones|billón|mil millones|mil",
        scaled=lambda many: f"de {many}",
        signs=MappingProxyType(
            {
                "&": "y",
                "+": "más",
                "=": "igual a",
                "%": "por ciento",
                "‰": "por mil",
                "@": "arroba",
                "<": "menor que",
                ">": "mayor que",
                "≤": "como máximo",
                "≥": "como mínimo",
                "≠": "distinto de",
                "≈": "aproximadamente",
                "×": "por",  # noqa: RUF001 - the sign itself
                "÷": "dividido entre",
                "√": "raíz de",
                "→": "a",
                "±": "más menos",
                "°": "grados",
                "$": "dólares",
                "€": "euros",
                "£": "libras",
                "§": "párrafo",
                "²": "al cuadrado",
                "³": "al cubo",
                "½": "un medio",
                "¼": "un cuarto",
                "¾": "tres cuartos",
            }
        ),
        abbreviations=MappingProxyType(
            {
                "p. ej.": "por ejemplo",
                "EE. UU.": "Estados Unidos",
                "a. C.": "antes de Cristo",
                "d. C.": "después de Cristo",
                "etc.": "etcétera",
                "Sr.": "señor",
                "Sra.": "señora",
                "Srta.": "señorita",
                "Sres.": "señores",
                "Dr.": "doctor",
                "Dra.": "doctora",
                "Dña.": "doña",
                "Prof.": "profesor",
                "Profa.": "profesora",
                "Lic.": "licenciado",
                "Ing.": "ingeniero",
                "Ud.": "usted",
                "Uds.": "ustedes",
                "pág.": "página",
                "págs.": "páginas",
                "núm.": "número",
                "n.º": "número",
                "nº": "número",
                "N.º": "número",
                "Nº": "número",
                "aprox.": "aproximadamente",
                "tel.": "teléfono",
                "Tel.": "teléfono",
                "Avda.": "avenida",
                "avda.": "avenida",
                "Av.": "avenida",
                "máx.": "máximo",
                "mín.": "mínimo",
                "cap.": "capítulo",
                "art.": "artículo",
                "vol.": "volumen",
                "fig.": "figura",
                "vs.": "contra",
                "24/7": "las veinticuatro horas",
            }
        ),
        titles=MappingProxyType({"D.": "don", "Sta.": "santa", "Sto.": "santo", "c/": "calle"}),
        ordinal_patterns=(
            (r"(?P<n>[0-9]{1,4})\.?(?P<ending>[ºª])(?!C)", _ordinal),
            (r"(?P<n>[0-9]{1,4})(?P<ending>er|[rdtmvn][oa])(?!\w)", _ordinal),
        ),
        fractions=MappingProxyType(
            {
                2: ("un medio", "medios"),
                3: ("un tercio", "tercios"),
                4: ("un cuarto", "cuartos"),
                5: ("un quinto", "quintos"),
                6: ("un sexto", "sextos"),
                7: ("un séptimo", "séptimos"),
                8: ("un octavo", "octavos"),
                9: ("un noveno", "novenos"),
                10: ("un décimo", "décimos"),
            }
        ),
        over="sobre",
        to="a",
        per="por",
        score="a",
        minus="menos",
        times="por",
        power="elevado a",
        number="número",
        about="unos",
        romans=(
            Roman("", r"(?=\sGuerra Mundial)", _feminine_ordinal),
            Roman("Isabel|Juana|Catalina|Cristina", "", _feminine_ordinal),
            Roman("siglo|siglos|Siglo", "", lambda value: numerals.cardinal(value, "es")),
            Roman(
                "Felipe|Alfonso|Carlos|Fernando|Luis|Enrique|Juan|Pablo|Pío|Benedicto|Jaime"
                "|Sancho|Pedro|León|Napoleón|Jorge|Eduardo",
                "",
                _reigning,
            ),
            Roman(
                "capítulo|Capítulo|tomo|Tomo|parte|acto|artículo|fase|tipo",
                "",
                lambda value: numerals.cardinal(value, "es"),
            ),
        ),
        address_signs=MappingProxyType(
            {".": "punto", "@": "arroba", "/": "barra", "-": "guion", "_": "guion bajo"}
        ),
    ),
)
