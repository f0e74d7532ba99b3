"""Questions about numbers: sums, comparisons, sorting and counting."""

from __future__ import annotations

import facts
from examples import Example, Noun, Rng, particle, pick, plural, with_article

_OPERATIONS = {
    "add": (
        "+",
        [
            "What is {a} + {b}?",
            "{a} + {b} = ?",
            "{a} + {b}",
            "{a}+{b}",
            "Calculate {a} + {b}.",
            "What is {a} plus {b}?",
            "Add {a} and {b}.",
            "What is the sum of {a} and {b}?",
            "How much is {a} + {b}?",
            "What's {a}+{b}?",
        ],
        [
            "{a} + {b:은/는} 얼마인가요?",
            "{a} 더하기 {b:은/는}?",
            "{a} 더하기 {b:은/는} 얼마예요?",
            "{a} + {b} = ?",
            "{a}+{b:은/는} 뭐야?",
            "{a}에 {b:을/를} 더하면?",
            "{a} + {b} 계산해 줘.",
            "{a:과/와} {b}의 합은?",
        ],
    ),
    "subtract": (
        "-",
        [
            "What is {a} - {b}?",
            "{a} - {b} = ?",
            "{a} - {b}",
            "{a}-{b}",
            "Calculate {a} - {b}.",
            "What is {a} minus {b}?",
            "Subtract {b} from {a}.",
            "What do you get if you take {b} away from {a}?",
            "How much is {a} - {b}?",
            "What's {a}-{b}?",
        ],
        [
            "{a} - {b:은/는} 얼마인가요?",
            "{a} 빼기 {b:은/는}?",
            "{a} 빼기 {b:은/는} 얼마예요?",
            "{a} - {b} = ?",
            "{a}-{b:은/는} 뭐야?",
            "{a}에서 {b:을/를} 빼면?",
            "{a} - {b} 계산해 줘.",
        ],
    ),
    "multiply": (
        "x",
        [
            "What is {a} x {b}?",
            "What is {a} * {b}?",
            "What is {a} times {b}?",
            "{a} x {b} = ?",
            "{a} * {b}",
            "{a}*{b}",
            "Multiply {a} by {b}.",
            "Calculate {a} * {b}.",
            "How much is {a} times {b}?",
        ],
        [
            "{a} 곱하기 {b:은/는}?",
            "{a} x {b:은/는} 얼마인가요?",
            "{a} 곱하기 {b:은/는} 얼마예요?",
            "{a} * {b} = ?",
            "{a}*{b} 계산해 줘.",
            "{a}에 {b:을/를} 곱하면?",
        ],
    ),
}


def _operands(r: Rng, operation: str) -> tuple[int, int]:
    if operation == "multiply":
        return (
            (r.randint(0, 12), r.randint(0, 12))
            if r.random() < 0.15
            else (
                r.randint(2, 12),
                r.randint(2, 12),
            )
        )
    size = r.random()
    if size < 0.25:
        a, b = r.randint(0, 20), r.randint(0, 20)
    elif size < 0.88:
        a, b = r.randint(0, 99), r.randint(0, 99)
    else:
        a, b = r.randint(100, 999), r.randint(1, 999)
    if operation == "subtract" and a < b:
        a, b = b, a
    return a, b


def arithmetic(r: Rng, language: str) -> Example:
    """A sum, a difference or a small product."""
    operation = r.choices(["add", "subtract", "multiply"], [4, 4, 2])[0]
    sign, english, korean = _OPERATIONS[operation]
    a, b = _operands(r, operation)
    result = {"add": a + b, "subtract": a - b, "multiply": a * b}[operation]
    index, template = pick(r, english if language == "en" else korean)
    key = f"{operation}/{a}/{b}"
    if operation == "multiply":  # a table to be learnt by heart: hold out phrasings of it
        key += f"/{language}/{index}"
    return Example(
        "arithmetic",
        language,
        key,
        template.format(a=Noun(a), b=Noun(b)),
        f"{a} {sign} {b} = {result}.",
        "number",
        str(result),
    )


_THINGS = [
    ("apple", "사과"),
    ("book", "책"),
    ("pencil", "연필"),
    ("egg", "달걀"),
    ("cookie", "과자"),
    ("ball", "공"),
    ("stone", "돌"),
    ("flower", "꽃"),
    ("coin", "동전"),
    ("star", "별"),
    ("candle", "양초"),
    ("balloon", "풍선"),
]

_WORD_PROBLEMS = [
    (
        "+",
        "{name} has {a} {things_a} and gets {b} more. How many {things} does {name} have now?",
        "{name} has {c} {things_c}.",
    ),
    (
        "+",
        "There are {a} {things_a} on the table and {b} {things_b} in the box. How many {things} are there?",
        "There are {c} {things_c}.",
    ),
    (
        "+",
        "{name} finds {a} {things_a} and {other} finds {b}. How many {things} do they have together?",
        "Together they have {c} {things_c}.",
    ),
    (
        "+",
        "{name} buys {a} {things_a} on Monday and {b} on Tuesday. How many {things} is that?",
        "That is {c} {things_c}.",
    ),
    (
        "-",
        "{name} has {a} {things_a} and gives {b} to {other}. How many {things} are left?",
        "{name} has {c} {things_c} left.",
    ),
    (
        "-",
        "{name} had {a} {things_a} and lost {b}. How many {things} does {name} have now?",
        "{name} has {c} {things_c}.",
    ),
    (
        "-",
        "There were {a} {things_a} in the box. {name} took {b}. How many {things} are left?",
        "There are {c} {things_c} left.",
    ),
    (
        "x",
        "There are {a} boxes with {b} {things_b} each. How many {things} are there?",
        "There are {c} {things_c}.",
    ),
]
_WORD_PROBLEMS_KO = [
    (
        "+",
        "{name}에게 {thing} {a}개가 있고 {b}개를 더 받았어요. 모두 몇 개인가요?",
        "{thing:은/는} 모두 {c}개예요.",
    ),
    (
        "+",
        "책상 위에 {thing} {a}개, 상자 안에 {b}개가 있어요. 모두 몇 개예요?",
        "모두 {c}개예요.",
    ),
    (
        "+",
        "{name:은/는} {thing} {a}개, {other:은/는} {b}개를 찾았어요. 둘이 합쳐 몇 개예요?",
        "둘이 합쳐 {c}개예요.",
    ),
    (
        "-",
        "{name}에게 {thing} {a}개가 있었는데 {other}에게 {b}개를 주었어요. 몇 개가 남았나요?",
        "{c}개가 남았어요.",
    ),
    ("-", "상자에 {thing} {a}개가 있었는데 {b}개를 꺼냈어요. 몇 개가 남았어요?", "{c}개가 남았어요."),
    (
        "-",
        "{name:은/는} {thing} {a}개 가운데 {b}개를 잃어버렸어요. 이제 몇 개가 있나요?",
        "이제 {c}개가 있어요.",
    ),
    ("x", "상자 {a}개에 {thing:이/가} {b}개씩 있어요. 모두 몇 개예요?", "모두 {c}개예요."),
]


def word_problem(r: Rng, language: str) -> Example:
    """A sum told as a tiny story."""
    problems = _WORD_PROBLEMS if language == "en" else _WORD_PROBLEMS_KO
    index = r.randrange(len(problems))
    sign, question, answer = problems[index]
    a, b = r.randint(2, 20), r.randint(1, 12)
    if sign == "x":
        a, b = r.randint(2, 9), r.randint(2, 9)
    if a < b:
        a, b = b, a
    if a == b and sign == "-":
        a += 1
    c = {"+": a + b, "-": a - b, "x": a * b}[sign]
    thing, thing_ko = r.choice(_THINGS)
    name, other = r.sample(facts.NAMES if language == "en" else facts.KOREAN_NAMES, 2)
    values = {
        "name": name,
        "other": other,
        "a": a,
        "b": b,
        "c": c,
        "things": plural(thing),
        "things_a": plural(thing, a),
        "things_b": plural(thing, b),
        "things_c": plural(thing, c),
    }
    if language == "ko":
        values |= {
            "thing": Noun(thing_ko),
            "name": Noun(name),
            "other": Noun(other),
        }
    return Example(
        "word problem",
        language,
        f"problem/{sign}/{a}/{b}",
        question.format(**values),
        f"{a} {sign} {b} = {c}. " + answer.format(**values),
        "number",
        str(c),
    )


def comparison(r: Rng, language: str) -> Example:
    """Which of two numbers or animals is bigger or smaller."""
    bigger = r.random() < 0.6
    if r.random() < 0.3:
        korean_names = {row[0]: row[1] for row in facts.ANIMALS}
        animals = facts.ANIMALS_BY_SIZE
        first, second = r.sample(range(len(animals)), 2)
        winner = max(first, second) if bigger else min(first, second)
        loser = first + second - winner
        if language == "en":
            a, b, w, o = (with_article(animals[i]) for i in (first, second, winner, loser))
            word = "bigger" if bigger else "smaller"
            _, template = pick(r, ["Which is {word}, {a} or {b}?", "What is {word}: {a} or {b}?"])
            return Example(
                "comparison",
                language,
                f"size/{word}/{a}/{b}",
                template.format(word=word, a=a, b=b),
                f"{w[0].upper()}{w[1:]} is {word} than {o}.",
                "contains",
                f"{w} is {word}",
            )
        a, b, w, o = (korean_names[animals[i]] for i in (first, second, winner, loser))
        word = "커요" if bigger else "작아요"
        return Example(
            "comparison",
            language,
            f"size-ko/{word}/{a}/{b}",
            f"{particle(a, '과/와')} {b} 중에 어느 쪽이 더 {word}?",
            f"{particle(w, '이/가')} {o}보다 더 {word}.",
            "contains",
            particle(w, "이/가"),
        )
    top = r.choice([20, 99, 99, 999])
    x, y = r.sample(range(top + 1), 2)
    w, o = (max(x, y), min(x, y)) if bigger else (min(x, y), max(x, y))
    if language == "en":
        word = r.choice(["bigger", "larger", "greater"]) if bigger else "smaller"
        _, template = pick(
            r,
            [
                "Which is {word}, {x} or {y}?",
                "Which number is {word}: {x} or {y}?",
                "What is {word}, {x} or {y}?",
                "{x} or {y}, which is {word}?",
            ],
        )
        answer = f"{w} is {word} than {o}."
        expected = f"{w} is {word}"
    else:
        word = "큰가요" if bigger else "작은가요"
        _, template = pick(
            r,
            [
                "{x:과/와} {y} 중에서 어느 수가 더 {word}?",
                "{x:과/와} {y} 중 뭐가 더 {word}?",
                "어느 쪽이 더 {word}, {x} 또는 {y}?",
            ],
        )
        answer = f"{particle(str(w), '이/가')} {o}보다 더 {'커요' if bigger else '작아요'}."
        expected = particle(str(w), "이/가")
    return Example(
        "comparison",
        language,
        f"compare/{'max' if bigger else 'min'}/{x}/{y}",
        template.format(word=word, x=Noun(x), y=Noun(y)),
        answer,
        "contains",
        expected,
    )


def sort_numbers(r: Rng, language: str) -> Example:
    """Three to six numbers in order."""
    top = r.choice([20, 99, 99])
    numbers = r.sample(range(top + 1), r.choice([3, 3, 4, 4, 5, 6]))
    down = r.random() < 0.3
    if language == "en":
        options = (
            [
                "Sort these numbers from largest to smallest: {}.",
                "Put these numbers in descending order: {}.",
                "Order from high to low: {}.",
            ]
            if down
            else [
                "Sort these numbers: {}.",
                "Sort these numbers from smallest to largest: {}.",
                "Put these numbers in order: {}.",
                "Sort {} in ascending order.",
                "Order from low to high: {}.",
                "Sort: {}",
            ]
        )
    else:
        options = (
            ["다음 수를 큰 것부터 정렬해 주세요: {}", "{}을 큰 순서대로 써 주세요."]
            if down
            else [
                "다음 수를 정렬해 주세요: {}",
                "다음 수를 작은 것부터 정렬해 주세요: {}",
                "{}을 작은 순서대로 써 주세요.",
                "이 숫자들을 정렬해 줘: {}",
            ]
        )
    _, template = pick(r, options)
    given = ", ".join(map(str, numbers))
    ordered = ", ".join(map(str, sorted(numbers, reverse=down)))
    return Example(
        "sorting",
        language,
        f"sort/{down}/{given}",
        template.format(given),
        ordered,
        "exact",
        ordered,
    )


def sort_words(r: Rng, language: str) -> Example:
    """Three or four words in the order of the alphabet."""
    chosen = r.sample(facts.SPELLING_WORDS, r.choice([3, 3, 4]))
    options = (
        [
            "Sort these words: {}.",
            "Sort these words alphabetically: {}.",
            "Put these words in alphabetical order: {}.",
            "Sort {} from A to Z.",
        ]
        if language == "en"
        else [
            "다음 단어를 알파벳 순서로 정렬해 주세요: {}",
            "이 단어들을 정렬해 줘: {}",
        ]
    )
    _, template = pick(r, options)
    given, ordered = ", ".join(chosen), ", ".join(sorted(chosen))
    return Example(
        "sorting",
        language,
        f"sort-words/{given}",
        template.format(given),
        ordered,
        "exact",
        ordered,
    )


def counting(r: Rng, language: str) -> Example:
    """Count up, down or in steps, and the numbers next to a number."""
    form = r.random()
    english = language == "en"
    if form < 0.3:
        number = r.choice([r.randint(1, 30), r.randint(1, 99), r.randint(100, 999)])
        after = r.random() < 0.6
        result = number + 1 if after else number - 1
        if english:
            _, template = pick(
                r,
                ["What number comes after {n}?", "Which number is after {n}?", "What comes after {n}?"]
                if after
                else ["What number comes before {n}?", "Which number is before {n}?"],
            )
            answer = f"After {number} comes {result}." if after else f"Before {number} comes {result}."
        else:
            _, template = pick(
                r,
                ["{n} 다음 수는 무엇인가요?", "{n} 다음은?"]
                if after
                else ["{n} 앞의 수는 무엇인가요?", "{n} 바로 앞의 수는?"],
            )
            answer = f"{number} 다음 수는 {result}." if after else f"{number} 앞의 수는 {result}."
        key = f"next/{after}/{number}"
        return Example("counting", language, key, template.format(n=number), answer, "number", str(result))
    if form < 0.45:
        step = r.choice([2, 2, 3, 5, 5, 10])
        start = r.choice([0, step, r.randint(1, 12)])
        end = start + step * r.randint(3, 9)
        sequence = list(range(start, end + 1, step))
        _, template = pick(
            r,
            [
                "Count from {a} to {b} in steps of {s}.",
                "Count by {s} from {a} to {b}.",
            ]
            if english
            else ["{a}부터 {b}까지 {s}씩 세어 주세요.", "{a}에서 {b}까지 {s}씩 건너뛰며 세어 줘."],
        )
        prompt = template.format(a=start, b=end, s=step)
        key = f"steps/{start}/{end}/{step}"
    elif form < 0.65:
        start = r.choice([10, 10, 5, r.randint(3, 60)])
        length = r.randint(3, 11)
        end = max(0, start - length)
        sequence = list(range(start, end - 1, -1))
        _, template = pick(
            r,
            [
                "Count down from {a} to {b}.",
                "Count backwards from {a} to {b}.",
                "Count from {a} down to {b}.",
            ]
            if english
            else ["{a}부터 {b}까지 거꾸로 세어 주세요.", "{a}에서 {b}까지 거꾸로 세어 줘."],
        )
        prompt = template.format(a=start, b=end)
        key = f"down/{start}/{end}"
    else:
        start = r.choice([1, 1, r.randint(0, 20), r.randint(0, 90)])
        end = start + r.randint(3, 14)
        sequence = list(range(start, end + 1))
        _, template = pick(
            r,
            [
                "Count from {a} to {b}.",
                "Count to {b}, starting at {a}.",
                "Write the numbers from {a} to {b}.",
                "Count to {b}.",
            ]
            if english
            else ["{a}부터 {b}까지 세어 주세요.", "{a}에서 {b}까지 써 주세요.", "{b}까지 세어 줘."],
        )
        if "{a}" not in template:
            start = 1
            sequence = list(range(1, min(end, 30) + 1))
            end = sequence[-1]
        prompt = template.format(a=start, b=end)
        key = f"count/{start}/{end}"
    listing = ", ".join(map(str, sequence))
    return Example("counting", language, key, prompt, listing, "exact", listing)
