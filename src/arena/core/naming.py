"""A model that names itself: where an answer tells a reader who wrote it, and the same text without that.

What counts, decided for each word of `core.families` by what stands within LEFT characters before and RIGHT after it:

- In a self-introduction every known family and maker counts, whoever plays: "I'm Qwen", "as an AI trained by Google",
  "저는 큐웬입니다", "구글에서 훈련된 언어 모델입니다". So does an unknown maker after "as a language model made by".
- Elsewhere only those of the models in play do, unless the prompt speaks of them or of language models: a distinctive
  word (Qwen, EXAONE) anywhere, an ordinary one (llama, solar, command, Google, and a name that somebody gave to a file)
  only where a name stands: "Llama:", "As Falcon, ...", "Phi-4", "Solar here", "Google's AI".
- Where the prompt asks who is answering, a capitalised one counts anywhere: "Who made you?" - "Google."

So a llama that spits, a falcon that dives and a solar panel stay what they are. Every mask has the same width, however
long the word was: four dots and eight would tell Qwen from DeepSeek. Version and size go with the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from arena.core.families import in_play, known
from arena.core.introductions import STRANGER, asks_who, introduces, speaks_of_models, stands_as_name, stranger
from arena.core.models import Contestant

MASK = "•••••"
LEFT = 200
"""Characters before a word that can make it a name."""
RIGHT = 120
"""Characters from the beginning of a word that can: the most that a stream is held back."""
_STRIDE = 8192
"""Characters that are searched at once: no other thread runs meanwhile, and an answer may be a megabyte."""

_FLAGS = re.ASCII | re.IGNORECASE
_WORD_BEGINS = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z0-9])|(?<![가-힣])(?=[가-힣])|(?=[一-鿿])")
_TAIL = (
    r"(?P<version{0}>[-_ ]?v?\d+(?:\.\d+)*x?\d*[bmko]?(?![A-Za-z0-9])"
    r"|[-_](?:instruct|chat|coder|base|it|mini|small|medium|large|plus|turbo|oss|vl|r\d?|v\d)(?![A-Za-z]))*"
)
_COMPANY = (
    r"(?:\s(?:(?:AI|Cloud|DeepMind|Research|Labs?|Corporation|Inc|Team|X|(?-i:R)\+?)(?![A-Za-z0-9])"
    r"|클라우드|딥마인드|리서치|연구원|연구소)){0,2}"
)
_LATIN_ENDS = r"(?<![가-힣])(?![A-Za-z0-9])"
_PARTICLE = (
    r"(?:은|는|이|가|을|를|의|에|에서|에게|와|과|로|으로|도|만|사|팀|인|이란|란|로서|으로서|님|측|야|다|로부터)?(?![가-힣])"
    r"|이?라[는고]|입니다|이에요|이?예요|이며|이고|인데|이었|였|이[다야]"
)
_HANGUL_ENDS = rf"(?<=[가-힣])(?={_PARTICLE})"


@dataclass(frozen=True)
class NamingWords:
    """What names somebody in the answers of one round. Made where the contestants are known, and kept there."""

    anywhere: frozenset[str] = field(repr=False)
    """Lower-case words that count wherever they stand."""
    placed: frozenset[str] = field(repr=False)
    """Those that count where a name stands."""
    own: frozenset[str] = field(repr=False)
    """Every word of the models in play."""
    asked: bool = False
    """Whether the prompt asks who is answering."""

    @classmethod
    def of(cls, contestants: Iterable[Contestant], families: Iterable[str] = (), prompt: str = "") -> NamingWords:
        """The words of a round: `families` as the endpoints tell them, `prompt` the text that was put to all."""
        distinctive, ordinary = in_play([*(contestant.ref.name for contestant in contestants), *families])
        words = cls(frozenset(distinctive), frozenset(ordinary), frozenset(distinctive | ordinary), asks_who(prompt))
        silent = words.spoken_of(prompt)
        return cls(words.anywhere - silent, words.placed - silent, words.own, words.asked)

    @cached_property
    def patterns(self) -> _Patterns:
        """Those that find the words."""
        return _patterns(self.own)

    def spoken_of(self, prompt: str) -> set[str]:
        """The words that are no news in an answer: the prompt brings them up, or language models altogether."""
        found = {_word(match) for match in self._in(prompt)}
        families = [family for family in known() if family.words & found]
        if speaks_of_models(prompt) or any(family.words & found - family.ordinary for family in families):
            return set(self.own)
        return found.union(*(family.words for family in families))

    def _in(self, text: str) -> Iterator[re.Match[str]]:
        patterns = self.patterns
        for place in patterns.trigger.finditer(text):
            if match := patterns.name.match(text, place.start()):
                yield match


@dataclass(frozen=True, slots=True)
class _Patterns:
    name: re.Pattern[str]
    """A name with its version, and whoever is named right beside it; its group `word` is the first word."""
    trigger: re.Pattern[str]
    """Where one may begin."""
    beginnings: frozenset[str]
    """What the end of a stream must not be, lest half of a word gets out."""
    longest: int
    """Characters of the longest beginning."""


@lru_cache(maxsize=64)
def _patterns(own: frozenset[str]) -> _Patterns:
    words = sorted(own.union(*(family.words for family in known())), key=lambda word: (-len(word), word))
    hangul = [re.escape(word) for word in words if "가" <= word[0] <= "힣"]
    chinese = [re.escape(word) for word in words if "一" <= word[0] <= "鿿"]
    latin = [re.escape(word) for word in words if word[0] < "\x7f"]
    any_word = "|".join([*hangul, *chinese, *latin])

    def name(number: str, group: str = "?:") -> str:
        ends = rf"(?:(?<=[一-鿿])|{_LATIN_ENDS}|{_HANGUL_ENDS})"
        return rf"({group}{any_word}){_TAIL.replace('{0}', number)}{ends}{_COMPANY}"

    more = "".join(rf"(?:(?:['\u2019]s|의)?[ /-]{name(str(number))})?" for number in (1, 2))
    first = {word.split(" ")[0] for word in words}
    begins = [re.escape(word) for word in sorted(first)]
    by_script = [
        rf"(?<![A-Za-z0-9])(?:{'|'.join(word for word in begins if word[0] < chr(127))})",
        rf"(?<![가-힣])(?:{'|'.join(word for word in begins if '가' <= word[0] <= '힣')})",
        "|".join(chinese),
        STRANGER,
    ]
    return _Patterns(
        re.compile(name("0", "?P<word>") + more, _FLAGS),
        re.compile("|".join(by_script), _FLAGS),
        frozenset(word[:size] for word in first for size in range(1, len(word))),
        max(map(len, first)),
    )


def _word(match: re.Match[str]) -> str:
    return match["word"].lower()


def spans(text: str, words: NamingWords) -> list[tuple[int, int]]:
    """Where the text names a model or a maker: (from, to) in characters, in order."""
    return list(_spans(text, words, 0, len(text)))


def mask(text: str, words: NamingWords) -> str:
    """The text with MASK in place of every such name; without one, the text itself."""
    masker = Masker(words)
    return masker.feed(text) + masker.end()


class Masker:
    """The same for a stream: however it is cut, what comes out is in sum what `mask` makes of the whole.

    Held back are at most RIGHT characters, and those only from where a name may begin.
    """

    def __init__(self, words: NamingWords) -> None:
        """A masker of one text."""
        self._words = words
        self._text = ""
        self._at = 0

    def feed(self, text: str) -> str:
        """What may be shown after this piece; may be empty."""
        self._text += text
        return self._release(self._decided())

    def end(self) -> str:
        """What was held back, when nothing follows."""
        return self._release(len(self._text))

    def _decided(self) -> int:
        """Up to where every name that begins can be judged."""
        text, patterns, size = self._text, self._words.patterns, len(self._text)
        # Whatever has RIGHT characters behind its beginning is decided; what begins later has to wait.
        late = patterns.trigger.search(text, max(self._at, size - RIGHT + 1))
        until = late.start() if late else size
        for start in range(max(self._at, size - patterns.longest), until):
            if text[start:].lower() in patterns.beginnings and _WORD_BEGINS.match(text, start):
                return start
        return until

    def _release(self, until: int) -> str:
        out = []
        for start, end in _spans(self._text, self._words, self._at, until):
            out += [self._text[self._at : start], MASK]
            self._at = end
        if self._at < until:
            out.append(self._text[self._at : until])
            self._at = until
        gone = max(0, self._at - LEFT - 8)  # the trigger looks a few characters farther back
        self._text, self._at = self._text[gone:], self._at - gone
        return "".join(out)


def _spans(text: str, words: NamingWords, at: int, until: int) -> Iterator[tuple[int, int]]:
    """The names that begin in text[at:until]."""
    while (start := _next_place(text, words.patterns.trigger, at, until)) is not None:
        span = _named_at(text, start, words)
        if span:
            yield span
        at = span[1] if span else start + 1


def _next_place(text: str, trigger: re.Pattern[str], at: int, until: int) -> int | None:
    """Where in text[at:until] a name may begin."""
    for begin in range(at, until, _STRIDE):
        end = min(begin + _STRIDE, until)
        place = trigger.search(text, begin, end + RIGHT)
        if place and place.start() < end:
            return place.start()
    return None


def _named_at(text: str, start: int, words: NamingWords) -> tuple[int, int] | None:
    """The name that begins at `start`. Looks at LEFT characters before and RIGHT from there on, and no farther."""
    before, window = text[max(0, start - LEFT) : start], text[start : start + RIGHT]
    found = words.patterns.name.match(window)
    if found is None:
        span = stranger(before, window)
        return (start + span[0], start + span[1]) if span else None
    after, versioned = window[found.end() :], bool(found["version0"])
    if introduces(before, after, versioned=versioned) or _stands_out(found, before, after, words):
        return start, start + found.end()
    return None


def _stands_out(found: re.Match[str], before: str, after: str, words: NamingWords) -> bool:
    """Whether it names somebody without an introduction."""
    word = _word(found)
    if (words.asked and not (word.isascii() and found["word"].islower())) or word in words.anywhere:
        return True
    return word in words.placed and (bool(found["version0"]) or stands_as_name(before, after))
