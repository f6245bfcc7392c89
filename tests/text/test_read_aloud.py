"""Numbers, dates, units, signs and abbreviations in German, Spanish and French."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.text.speakable import heard_prefix, speakable, speakable_with_spans

# ruff: noqa: RUF001 - dashes and quotation marks as people write them
GERMAN = [
    ("1 Stunde, 1 Tag, 21 Tage", "eine Stunde, ein Tag, einundzwanzig Tage"),
    ("3,5 und 1.234", "drei Komma fünf und eintausendzweihundertvierunddreißig"),
    ("1.000.000,8", "eine Million Komma acht"),
    ("3.14 oder Version 3.1.2", "drei Komma eins vier oder Version drei Punkt eins Punkt zwei"),
    ("im Jahr 1990, 2024", "im Jahr neunzehnhundertneunzig, zweitausendvierundzwanzig"),
    ("1939–1945", "neunzehnhundertneununddreißig bis neunzehnhundertfünfundvierzig"),
    ("am 3. Oktober", "am dritten Oktober"),
    ("Der 3. Versuch, die 2. und 3. Frage", "Der dritte Versuch, die zweite und dritte Frage"),
    ("in der 3. Klasse", "in der dritten Klasse"),
    ("Ich bin 42. Das ist alt.", "Ich bin zweiundvierzig. Das ist alt."),
    ("am 03.10.1990", "am dritten Oktober neunzehnhundertneunzig"),
    ("2024-05-17", "siebzehnter Mai zweitausendvierundzwanzig"),
    ("um 14:30 Uhr oder 7.05 Uhr", "um vierzehn Uhr dreißig oder sieben Uhr fünf"),
    ("um 1 Uhr, 10:00", "um ein Uhr, zehn Uhr"),
    ("3,50 €, 1 €, 0,99 €, 5 $", "drei Euro fünfzig, ein Euro, neunundneunzig Cent, fünf Dollar"),
    ("3,5 Mio. €", "drei Komma fünf Millionen Euro"),
    ("50 % bei -3 °C", "fünfzig Prozent bei minus drei Grad Celsius"),
    ("10-20 km/h, 1 h", "zehn bis zwanzig Kilometer pro Stunde, eine Stunde"),
    ("5 m²", "fünf Quadratmeter"),
    ("z. B. Äpfel, d.h. Obst usw.", "zum Beispiel Äpfel, das heißt Obst und so weiter."),
    ("Dr. Meyer & Prof. Klein, Nr. 7", "Doktor Meyer und Professor Klein, Nummer sieben"),
    ("44 v. Chr.", "vierundvierzig vor Christus."),
    ("Ludwig XIV. war König", "Ludwig der Vierzehnte war König"),
    ("Kapitel IV", "Kapitel vier"),
    ("1/2 oder 3/4 oder 5/17", "ein halb oder drei Viertel oder fünf durch siebzehn"),
    ("die 90er", "die neunziger"),
    ("030/123456", "null drei null eins zwei drei vier fünf sechs"),
    ("me@web.de", "me at web Punkt de"),
    ("§ 5, H2O, COVID-19", "Paragraf fünf, H zwei O, COVID-neunzehn"),
    ("„Hallo“, sagte er", '"Hallo", sagte er'),
    ("**Fett** 😀", "Fett"),
    ("007", "null null sieben"),
    ("1.199,- €", "eintausendeinhundertneunundneunzig Euro"),
    ("2,50 €/kg", "zwei Euro fünfzig pro Kilogramm"),
    ("3:1, 1/2 l, 24/7", "drei zu eins, ein halb Liter, rund um die Uhr"),
    ("3x täglich", "dreimal täglich"),
    ("die 1980er, Elisabeth II. war", "die neunzehnhundertachtziger, Elisabeth die Zweite war"),
]  # fmt: skip
SPANISH = [
    ("21 años, 21 horas, 200 personas", "veintiún años, veintiuna horas, doscientas personas"),
    ("1 libro y 1 casa, el 1 y el 21", "un libro y una casa, el uno y el veintiuno"),
    ("1.234,5", "mil doscientos treinta y cuatro coma cinco"),
    ("3.14 o 3,05", "tres coma catorce o tres coma cero cinco"),
    ("en 1990 había", "en mil novecientos noventa había"),
    ("el 1/5/1990", "el primero de mayo de mil novecientos noventa"),
    ("2024-05-17", "diecisiete de mayo de dos mil veinticuatro"),
    ("a las 14:30 h. Adiós", "a las catorce y treinta. Adiós"),
    ("a las 10:00, a la 1:15 p. m.", "a las diez en punto, a la una y quince de la tarde."),
    ("3,50 €, 1 €, 0,99 €", "tres euros con cincuenta, un euro, noventa y nueve céntimos"),
    ("$3.5 millones", "tres coma cinco millones de dólares"),
    ("el 50 % a -3 °C", "el cincuenta por ciento a menos tres grados Celsius"),
    ("100 km/h, 1 h, 5 m²", "cien kilómetros por hora, una hora, cinco metros cuadrados"),
    ("p. ej. en EE. UU., etc.", "por ejemplo en Estados Unidos, etcétera."),
    ("el Sr. López y la Dra. Ruiz", "el señor López y la doctora Ruiz"),
    ("el siglo XXI, Felipe VI, Alfonso XIII", "el siglo veintiuno, Felipe sexto, Alfonso trece"),
    ("la II Guerra Mundial", "la segunda Guerra Mundial"),
    ("el 1.º, la 2.ª, el 3er", "el primero, la segunda, el tercer"),
    ("1/2, 3/4", "un medio, tres cuartos"),
    ("de 10-20 años", "de diez a veinte años"),
    ("612 345 678", "seis uno dos tres cuatro cinco seis siete ocho"),
    ("a@b.es", "a arroba b punto es"),
    ("¿Qué? ¡Sí!", "¿Qué? ¡Sí!"),
    ("H2O & B2", "H dos O y B dos"),
    ("Isabel II, 3:1, 2 €/kg", "Isabel segunda, tres a uno, dos euros por kilogramo"),
    ("91 123 45 67", "nueve uno uno dos tres cuatro cinco seis siete"),
]  # fmt: skip
FRENCH = [
    ("21 personnes, 1 heure, 1 an", "vingt et une personnes, une heure, un an"),
    ("1 234 567", "un million deux cent trente-quatre mille cinq cent soixante-sept"),
    ("1\u202f234,50 €", "mille deux cent trente-quatre euros cinquante"),
    ("3,14 et 3,05", "trois virgule quatorze et trois virgule zéro cinq"),
    ("80 ans, 91 ans", "quatre-vingts ans, quatre-vingt-onze ans"),
    ("le 01/05/1990", "le premier mai mille neuf cent quatre-vingt-dix"),
    ("à 14h30, 14 h", "à quatorze heures trente, quatorze heures"),
    ("21 h, 1:05", "vingt et une heures, une heure cinq"),
    ("1 €, 0,99 €", "un euro, quatre-vingt-dix-neuf centimes"),
    ("3 millions €, $3 millions", "trois millions d'euros, trois millions de dollars"),
    ("50 % à -3 °C", "cinquante pour cent à moins trois degrés Celsius"),
    ("5 m d'eau, 100 km/h", "cinq mètres d'eau, cent kilomètres à l'heure"),
    ("M. Dupont, Mme Martin, etc.", "monsieur Dupont, madame Martin, et cetera."),
    ("p. ex. n° 5", "par exemple numéro cinq"),
    ("52 av. J.-C.", "cinquante-deux avant Jésus-Christ."),
    ("Louis XIV au XVIIe siècle", "Louis quatorze au dix-septième siècle"),
    ("le 1er, la 1re, le 2e, la 21ème", "le premier, la première, le deuxième, la vingt et unième"),
    ("1/2, 3/4", "un demi, trois quarts"),
    ("01 23 45 67 89", "zéro un vingt-trois quarante-cinq soixante-sept quatre-vingt-neuf"),
    ("« Bonjour ! » dit-il.", "Bonjour! dit-il."),
    ("Ça va\u00a0? Oui !", "Ça va? Oui!"),
    ("Le chat, la Vie", "Le chat, la Vie"),
    ("24h/24, 3:1", "vingt-quatre heures sur vingt-quatre, trois à un"),
    ("2 €/kg", "deux euros par kilogramme"),
    ("a@b.fr", "a arobase b point fr"),
]  # fmt: skip
CASES = [
    (language, text, expected)
    for language, cases in (("de", GERMAN), ("es", SPANISH), ("fr", FRENCH))
    for text, expected in cases
]
LANGUAGE = st.sampled_from(["de", "es", "fr", "de-AT", "es_MX"])
PIECES = st.sampled_from(
    [
        *("1", "3", "21", "007", "1990", "1.234", "3,5", "1 234", "14:30", "14h30", "3.", "1.º"),
        *("2e", "03.10.1990", "3/4", "1/2/1990", "€", "$", "%", "°C", "km/h", "m²", "-", "–", " "),
        *(
            "  ",
            "\u202f",
            ".",
            ",",
            ":",
            "XIV",
            "XIV.",
            "Louis ",
            "siglo ",
            "z. B.",
            "M. A",
            "EE. UU.",
        ),
        *(
            "Uhr",
            " h",
            "Mio.",
            " años",
            " heures",
            "Oktober",
            "²",
            "①",
            "٣",
            "½",
            "#",
            "~",
            "*",
            "«",
        ),
        *(
            "»",
            "„",
            "¿",
            "é",
            "ß",
            "a",
            "B",
            "+49",
            "@",
            "/",
            "^",
            "x.de",
            "😀",
            "\n",
            "www.a.de/9",
        ),
    ]
)
WRITTEN = st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=40))


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_reads_as_people_do(language: str, text: str, expected: str) -> None:
    assert speakable(text, language) == expected


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_what_is_speakable_stays(language: str, text: str, expected: str) -> None:
    del text
    assert speakable(expected, language) == expected


@given(WRITTEN, LANGUAGE)
def test_never_raises_and_leaves_neither_digit_nor_sign(text: str, language: str) -> None:
    spoken = speakable(text, language)
    assert not any(character.isdigit() for character in spoken)
    assert all(unicodedata.category(character)[0] not in "SC" for character in spoken)
    assert spoken == " ".join(spoken.split())
    assert not re.search(r"[*_`#|~<>\[\]{}\\«»„]", spoken)


@given(WRITTEN, LANGUAGE)
def test_spans_are_in_order_and_within(text: str, language: str) -> None:
    spoken = speakable_with_spans(text, language)
    for span in spoken.spans:
        assert 0 <= span.spoken_start < span.spoken_end <= len(spoken.text)
        assert 0 <= span.start < span.end <= len(text)
    for first, second in pairwise(spoken.spans):
        assert first.spoken_end <= second.spoken_start
        assert first.start <= second.start
        assert first.end <= second.end


@given(WRITTEN, LANGUAGE)
def test_heard_prefix_grows_to_the_whole(text: str, language: str) -> None:
    spoken = speakable_with_spans(text, language)
    prefixes = [heard_prefix(spoken, end) for end in range(len(spoken.text) + 1)]
    assert prefixes[-1] == text
    for first, second in pairwise(prefixes):
        assert second.startswith(first)


@pytest.mark.parametrize(
    ("language", "text", "heard_to", "heard"),
    [
        ("de", "Am 3. Oktober 1990 war es soweit.", "dritten", "Am 3."),
        ("de", "Es kostet 3,50 € im Laden.", "fünfzig", "Es kostet 3,50 €"),
        ("es", "Son las 14:30 h en Madrid.", "treinta", "Son las 14:30 h"),
        ("fr", "« Bonjour » dit M. Dupont ici.", "monsieur", "« Bonjour » dit M."),
    ],
)
def test_what_was_heard_is_in_the_models_words(
    language: str, text: str, heard_to: str, heard: str
) -> None:
    spoken = speakable_with_spans(text, language)
    assert heard_prefix(spoken, spoken.text.index(heard_to) + len(heard_to)) == heard
