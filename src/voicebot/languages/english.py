"""English. How it is read aloud stands in ``text/english.py``."""

from __future__ import annotations

from voicebot.languages.language import ClauseWords, Language, QuestionWords, words

__all__ = ["ENGLISH"]

ENGLISH = Language(
    code="en",
    name="English",
    system_prompt="You are a voice assistant. Answer in one short sentence.",
    # A small model follows examples better than instructions: without them it opens with apologies
    # and writes half as much again. On forty spoken questions of everyday kinds,
    # SmolLM2-135M-Instruct answers in 13 tokens in the mean with these, and has a first clause
    # after 7.
    examples=(
        ("How many days are in a week?", "There are seven days in a week."),
        ("What do cows eat?", "Cows eat grass."),
        ("Turn off the radio.", "Okay, turning off the radio."),
    ),
    apology="Sorry, something went wrong. Please say that again.",
    no_answer="Sorry, I have no answer to that.",
    acknowledgements=frozenset(
        {
            *words("ah aha ha hm hmm huh mhm mm mmhm oh uh um uhuh"),
            *words("alright cool exactly fine good great nice okay ok right"),
            *words("sure true yeah yep yes yup"),
            *("all right", "go on", "got it", "i see", "of course", "that's right", "very good"),
        }
    ),
    espeak_voice="en-us",
    questions=QuestionWords(
        first_words=words("""
            who whom whose what which when where why how is are am was were do does did can could
            will would shall should may might have has had isn't aren't wasn't weren't don't doesn't
            didn't can't couldn't won't wouldn't shouldn't haven't hasn't what's who's where's
            when's how's
            """),
        leading=words("and but so or okay ok well then now hello hi hey please"),
    ),
    clauses=ClauseWords(
        abbreviations=words("""
            dr. mr. mrs. ms. prof. sr. jr. st. mt. ft. gen. col. capt. lt. sgt. rev. hon. gov. sen.
            rep. pres. e.g. i.e. cf. vs. v. no. nos. vol. pp. p. fig. figs. eq. ca. approx. est. al.
            ed. dept. inc. ltd. co. corp. jan. feb. mar. apr. jun. jul. aug. sep. sept. oct. nov.
            dec. mon. tue. wed. thu. fri. min. max. tel. ext. ave. blvd. rd. z.b. d.h. bzw. ggf. nr.
            str. hr. fr.
            """),
        openers=words("""
            and but or so because since although though while when where which who that if unless
            until in on at with for from by into after before during about between through as than
            """),
        copulas=words("is are was were"),
    ),
    reading=None,
)
