"""Questions about facts: capitals, animals, opposites, colours, the calendar, translations."""

from __future__ import annotations

import facts
from examples import Example, Noun, Rng, particle, pick, with_article


def capital(r: Rng, language: str) -> Example:
    """The capital of a country, or the country of a capital."""
    country, city, country_ko, city_ko = r.choice(facts.CAPITALS)
    reverse = r.random() < 0.2
    if language == "en":
        options = (
            ["{city} is the capital of which country?", "Which country has the capital {city}?"]
            if reverse
            else [
                "What is the capital of {country}?",
                "What is the capital city of {country}?",
                "Name the capital of {country}.",
                "Name the capital city of {country}.",
                "Which city is the capital of {country}?",
                "{country}: what is its capital?",
                "What's the capital of {country}?",
                "Capital of {country}?",
            ]
        )
        index, template = pick(r, options)
        prompt = template.format(country=country, city=city)
        answer = f"{city} is the capital of {country}." if reverse else f"The capital of {country} is {city}."
        expected = country if reverse else city
    else:
        options = (
            ["{city:은/는} 어느 나라의 수도인가요?", "{city:이/가} 수도인 나라는?"]
            if reverse
            else [
                "{country}의 수도는 어디인가요?",
                "{country}의 수도는?",
                "{country} 수도가 어디야?",
                "{country}의 수도를 알려 주세요.",
                "{country}의 수도는 무엇입니까?",
            ]
        )
        index, template = pick(r, options)
        prompt = template.format(country=country_ko, city=Noun(city_ko))
        answer = (
            f"{particle(city_ko, '은/는')} {country_ko}의 수도입니다."
            if reverse
            else f"{country_ko}의 수도는 {city_ko}입니다."
        )
        expected = country_ko if reverse else city_ko
    key = f"capital/{language}/{reverse}/{country}/{index}"
    return Example("capitals", language, key, prompt, answer, "contains", expected)


def animal(r: Rng, language: str) -> Example:
    """The sound, the legs, the group or a feature of an animal."""
    while True:
        name, name_ko, sound, sound_ko, legs, group, group_ko, feature, feature_ko = r.choice(facts.ANIMALS)
        topic = r.choice(["sound", "sound", "legs", "group", "feature"])
        if not (topic == "sound" and sound == "-") and not (topic == "legs" and legs == "-"):
            break
    if language == "en":
        a_name = with_article(name)
        start = a_name[0].upper() + a_name[1:]
        options, answer, expected = {
            "sound": (
                [
                    f"What sound does {a_name} make?",
                    f"What does {a_name} say?",
                    f"Which sound does {a_name} make?",
                    f"What noise does {a_name} make?",
                ],
                f"{start} {sound}.",
                sound,
            ),
            "legs": (
                [
                    f"How many legs does {a_name} have?",
                    f"How many legs has {a_name} got?",
                    f"Tell me the number of legs of {a_name}.",
                ],
                f"{start} has {legs} legs.",
                f"{legs} legs",
            ),
            "group": (
                [
                    f"What kind of animal is {a_name}?",
                    f"To which group of animals does {a_name} belong?",
                ],
                f"{start} is {'a kind of fish' if group == 'fish' else with_article(group)}.",
                group,
            ),
            "feature": (
                [
                    f"What is special about {a_name}?",
                    f"Tell me something about {a_name}.",
                    f"Tell me a fact about {a_name}.",
                ],
                f"{start} {feature}.",
                feature,
            ),
        }[topic]
    else:
        options, answer, expected = {
            "sound": (
                [
                    f"{particle(name_ko, '은/는')} 어떻게 우나요?",
                    f"{particle(name_ko, '은/는')} 무슨 소리를 내요?",
                    f"{name_ko} 울음소리는?",
                ],
                f"{particle(name_ko, '은/는')} {sound_ko} 하고 소리를 내요.",
                sound_ko,
            ),
            "legs": (
                [
                    f"{name_ko}의 다리는 몇 개인가요?",
                    f"{particle(name_ko, '은/는')} 다리가 몇 개예요?",
                ],
                f"{name_ko}의 다리는 {legs}개예요.",
                f"{legs}개",
            ),
            "group": (
                [
                    f"{particle(name_ko, '은/는')} 어떤 동물인가요?",
                    f"{particle(name_ko, '은/는')} 무슨 종류예요?",
                ],
                f"{particle(name_ko, '은/는')} {group_ko}예요."
                if group_ko != "곤충"
                else f"{particle(name_ko, '은/는')} 곤충이에요.",
                group_ko,
            ),
            "feature": (
                [
                    f"{name_ko}의 특징은 무엇인가요?",
                    f"{name_ko}에 대해 알려 주세요.",
                ],
                f"{particle(name_ko, '은/는')} {feature_ko}.",
                feature_ko,
            ),
        }[topic]
    index, prompt = pick(r, options)
    key = f"animal/{language}/{topic}/{name}/{index}"
    return Example("animals", language, key, prompt, answer, "contains", expected)


def opposite(r: Rng, language: str) -> Example:
    """The opposite of a word."""
    column = 0 if language == "en" else 2
    table: dict[str, str] = {}
    for row in facts.OPPOSITES:
        table.setdefault(row[column], row[column + 1])
    for row in facts.OPPOSITES:
        table.setdefault(row[column + 1], row[column])
    word = r.choice(list(table))
    other = table[word]
    if language == "en":
        index, template = pick(
            r,
            [
                "What is the opposite of {w}?",
                "Name the opposite of {w}.",
                "What's the opposite of {w}?",
                "Opposite of {w}?",
                'What is the opposite of "{w}"?',
            ],
        )
        prompt, answer = template.format(w=word), f"The opposite of {word} is {other}."
    else:
        index, template = pick(
            r,
            [
                "{w}의 반대말은 무엇인가요?",
                "{w}의 반대말은?",
                "{w}의 반대는 뭐예요?",
                '"{w}"의 반대말을 알려 주세요.',
            ],
        )
        prompt, answer = template.format(w=word), f"{word}의 반대말은 {other}입니다."
    key = f"opposite/{language}/{word}/{index}"
    return Example("opposites", language, key, prompt, answer, "contains", other)


def colour(r: Rng, language: str) -> Example:
    """The colour of a thing, or of two colours mixed."""
    if r.random() < 0.2:
        first, second, mixed, first_ko, second_ko, mixed_ko = r.choice(facts.COLOUR_MIXTURES)
        if r.random() < 0.5:
            first, second, first_ko, second_ko = second, first, second_ko, first_ko
        if language == "en":
            index, template = pick(
                r,
                [
                    "What colour do {a} and {b} make?",
                    "What do you get if you mix {a} and {b}?",
                    "Mix {a} and {b}: which color is it?",
                ],
            )
            prompt = template.format(a=first, b=second)
            answer = f"{first[0].upper()}{first[1:]} and {second} make {mixed}."
        else:
            index, template = pick(r, ["{a}과 {b}을 섞으면 무슨 색인가요?", "{a}에 {b}을 섞으면?"])
            prompt = template.format(a=first_ko, b=second_ko)
            answer = f"{first_ko}과 {second_ko}을 섞으면 {mixed_ko}이 돼요."
        key = f"mixture/{language}/{first}/{second}/{index}"
        expected = mixed if language == "en" else mixed_ko
        return Example("colours", language, key, prompt, answer, "contains", expected)
    thing, shade, thing_ko, shade_ko = r.choice(facts.COLOURS)
    if language == "en":
        index, template = pick(
            r,
            [
                "What colour is {t}?",
                "What color is {t}?",
                "Which colour is {t}?",
                "Tell me the color of {t}.",
            ],
        )
        prompt, answer = template.format(t=thing), f"{thing[0].upper()}{thing[1:]} is {shade}."
        if thing == "grass":
            answer = "Grass is green."
        expected = shade
    else:
        index, template = pick(r, ["{t:은/는} 무슨 색인가요?", "{t}의 색깔은?", "{t:은/는} 어떤 색이에요?"])
        prompt = template.format(t=Noun(thing_ko))
        answer = f"{particle(thing_ko, '은/는')} {shade_ko}이에요."
        expected = shade_ko
    key = f"colour/{language}/{thing}/{index}"
    return Example("colours", language, key, prompt, answer, "contains", expected)


def calendar(r: Rng, language: str) -> Example:
    """The order of days and months."""
    months = r.random() < 0.5
    if language == "en":
        names = facts.MONTHS if months else [row[0] for row in facts.DAYS]
        unit = "month" if months else "day"
    else:
        names = [f"{n}월" for n in range(1, 13)] if months else [row[1] for row in facts.DAYS]
        unit = "달" if months else "요일"
    i = r.randrange(len(names))
    form = r.random()
    if form < 0.12:
        if language == "en":
            index, prompt = pick(
                r,
                [
                    f"Name the {unit}s of the {'year' if months else 'week'}.",
                    f"List the {unit}s of the {'year' if months else 'week'} in order.",
                    f"What are the {unit}s of the {'year' if months else 'week'}?",
                ],
            )
        else:
            index, prompt = pick(
                r,
                ["일 년의 달을 순서대로 말해 주세요.", "1월부터 12월까지 말해 줘."]
                if months
                else ["요일을 순서대로 말해 주세요.", "일주일의 요일을 알려 줘."],
            )
        listing = ", ".join(names)
        key = f"calendar/{language}/all/{months}/{index}"
        return Example("calendar", language, key, prompt, f"{listing}.", "", "")
    if form < 0.25 and language == "en":
        ordinal = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
                   "ninth", "tenth", "eleventh", "twelfth"][i]  # fmt: skip
        period = "year" if months else "week"
        index, prompt = pick(
            r,
            [
                f"What is the {ordinal} {unit} of the {period}?",
                f"Which {unit} is the {ordinal} of the {period}?",
            ],
        )
        answer, expected = f"The {ordinal} {unit} is {names[i]}.", names[i]
        key = f"calendar/ordinal/{names[i]}/{index}"
        return Example("calendar", language, key, prompt, answer, "contains", expected)
    after = r.random() < 0.55
    other = names[(i + (1 if after else -1)) % len(names)]
    if language == "en":
        side = "after" if after else "before"
        index, prompt = pick(
            r,
            [
                f"What {unit} comes {side} {names[i]}?",
                f"Which {unit} comes {side} {names[i]}?",
                f"What is the {unit} {side} {names[i]}?",
                f"Which {unit} is {'right ' + side} {names[i]}?",
                f"{names[i]}: what {unit} comes {side} it?",
            ],
        )
        answer = f"{other} comes {side} {names[i]}."
    else:
        side = "다음" if after else "전"
        index, prompt = pick(
            r,
            [
                f"{names[i]} {side}은 무슨 {unit}인가요?",
                f"{names[i]} {side} {unit}은?",
                f"{names[i]} {'바로 ' + side}은 무엇인가요?",
            ],
        )
        answer = f"{names[i]} {side}은 {other}입니다."
    key = f"calendar/{language}/{side}/{names[i]}/{index}"
    return Example("calendar", language, key, prompt, answer, "contains", other)


def translation(r: Rng, language: str) -> Example:
    """A word or a short sentence from English to Korean or back.

    The language of the question is the language it is asked in; either may
    ask for either direction.
    """
    if r.random() < 0.3:
        english, korean, name = _sentence(r)
    else:
        english, korean = r.choice(facts.TRANSLATIONS)
        name = english
    to_korean = r.random() < (0.75 if language == "en" else 0.3)
    if language == "en":
        options = (
            [
                'How do you say "{e}" in Korean?',
                "How do you say {e} in Korean?",
                "What is {e} in Korean?",
                "Translate {e} into Korean.",
                'Translate "{e}" to Korean.',
                "What is the Korean word for {e}?",
                "Translate to Korean: {e}",
            ]
            if to_korean
            else [
                "What does {k} mean?",
                'What does "{k}" mean in English?',
                "Translate {k} into English.",
                "What is {k} in English?",
                "Translate to English: {k}",
            ]
        )
        answer = f"In Korean: {korean}" if to_korean else f"In English: {english}"
    else:
        options = (
            [
                '"{e}"는 한국어로 무엇인가요?',
                "{e}를 한국어로 번역해 주세요.",
                "{e} 뜻이 뭐예요?",
                "한국어로 번역: {e}",
            ]
            if to_korean
            else [
                "'{k}'는 영어로 무엇인가요?",
                '"{k}"는 영어로 뭐예요?',
                "{k}를 영어로 번역해 주세요.",
                "{k} 영어로 뭐야?",
                "영어로 번역: {k}",
            ]
        )
        answer = f"한국어로: {korean}" if to_korean else f"영어로: {english}"
    index, template = pick(r, options)
    if "word for" in template and " " in english:
        index, template = 0, options[0]
    prompt = template.format(e=english, k=korean)
    key = f"translate/{language}/{to_korean}/{name}"
    if name in (row[0] for row in facts.TRANSLATIONS) or name in (row[0] for row in facts.SENTENCES):
        key += f"/{index}"  # learnt by heart: only this phrasing of it is held out
    return Example("translation", language, key, prompt, answer, "contains", korean if to_korean else english)


def _sentence(r: Rng) -> tuple[str, str, str]:
    """A fixed sentence, or a pattern filled with a noun and perhaps an adjective."""
    if r.random() < 0.3:
        english, korean = r.choice(facts.SENTENCES)
        return english, korean, english
    pattern, pattern_ko = r.choice(facts.SENTENCE_PATTERNS)
    noun, noun_ko = r.choice(facts.SENTENCE_NOUNS)
    adjective, adjective_ko = r.choice(facts.SENTENCE_ADJECTIVES)
    english = pattern.format(noun=noun, a_noun=with_article(noun), adjective=adjective)
    korean = pattern_ko.format(noun=Noun(noun_ko), adjective=adjective_ko)
    return english, korean, english
