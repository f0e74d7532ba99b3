"""Requests to write something: a list, a Python function, a story."""

from __future__ import annotations

import re

import facts
import stories
from examples import Example, Rng, pick


def listing(r: Rng, language: str) -> Example:
    """A Markdown list of things of one category."""
    category, category_ko, items, items_ko = r.choice(facts.CATEGORIES)
    count = r.randint(2, 5)
    pool = facts.words(items if language == "en" else items_ko)
    chosen = r.sample(pool, count)
    number_words = {2: ("two", "두"), 3: ("three", "세"), 4: ("four", "네"), 5: ("five", "다섯")}
    word, word_ko = number_words[count]
    if language == "en":
        index, template = pick(
            r,
            [
                "Name {n} {c}.",
                "List {n} {c}.",
                "Give me {n} {c}.",
                "Can you name {n} {c}?",
                "Tell me {n} {c}.",
                "Give me a list of {n} {c}.",
            ],
        )
        prompt = template.format(n=r.choice([word, word, str(count)]), c=category)
    else:
        index, template = pick(
            r,
            [
                "{c} {n} 가지를 말해 주세요.",
                "{c} {n} 개만 알려 줘.",
                "{c} {n} 가지 목록을 써 주세요.",
            ],
        )
        prompt = template.format(n=r.choice([word_ko, word_ko, str(count)]), c=category_ko)
    key = f"list/{language}/{category}/{count}/{index}"
    answer = "\n".join(f"- {item}" for item in chosen)
    return Example("lists", language, key, prompt, answer, "bullets", str(count))


def _function_source(signature: str, body: str) -> str:
    lines = [f"def {signature}:"]
    depth = 0
    for part in body.split(";"):
        text = part.lstrip(">")
        depth = len(part) - len(text)
        if text:
            lines.append("    " * (depth + 1) + text)
    return "\n".join(lines)


def python_function(r: Rng, language: str) -> Example:
    """A tiny Python function in a fenced block."""
    signature, purpose, purpose_ko, body = r.choice(facts.PYTHON_FUNCTIONS)
    name = signature.split("(")[0]
    base_form = re.sub(r"^(\w+?)(es|s)\b", _base_verb, purpose)
    if language == "en":
        index, template = pick(
            r,
            [
                "Write a Python function that {p}.",
                "Write a function that {p}.",
                "Give me Python code that {p}.",
                "Python function that {p}, please.",
                "Can you write a Python function that {p}?",
                "How do I write a Python function that {p}?",
                "Write Python code to {b}.",
                "Write a function called {name} in Python.",
            ],
        )
        prompt = template.format(p=purpose, b=base_form, name=name)
    else:
        index, template = pick(
            r,
            [
                "{p} 파이썬 함수를 써 주세요.",
                "{p} 함수를 파이썬으로 작성해 줘.",
                "{p} 파이썬 코드를 보여 주세요.",
                "파이썬으로 {p} 함수를 만들어 줘.",
            ],
        )
        prompt = template.format(p=purpose_ko)
    code = f"```python\n{_function_source(signature, body)}\n```"
    key = f"python/{language}/{name}/{index}"
    return Example("python", language, key, prompt, code, "exact", code)


def _base_verb(match: re.Match[str]) -> str:
    word = match.group(0)
    if word.endswith(("ches", "shes")):
        return word[:-2]
    return word[:-1]


def story(r: Rng, language: str) -> Example:
    """A short story; not scored."""
    prompt, text = stories.story(r, language)
    return Example("stories", language, f"story/{prompt}", prompt, text)
