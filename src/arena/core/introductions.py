"""How a model introduces itself, in English and Korean: what stands before and after a name when it is its own.

Every function gets the text before the name and after it, a bounded piece of each; none looks at the name itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

# With the ASCII flag: what `i`, a blank or a digit matches must not depend on exotic relatives of theirs.
_FLAGS = re.ASCII | re.IGNORECASE
_GAP = r"(?:[^.!?\n]|\.(?=\d))"  # within a sentence; the dot of a version does not end it
_OPEN = r"[*_`\"'\u201c\u2018(\[]*"
_CLOSE = r"[*_`\"'\u201d\u2019)\]]*"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, _FLAGS)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A pattern that is compiled when it is first looked for: all of them take 70 ms, and only rounds need them."""

    pattern: str

    def search(self, text: str) -> re.Match[str] | None:
        """Where it stands in the text."""
        return _compiled(self.pattern).search(text)

    def match(self, text: str) -> re.Match[str] | None:
        """The same at the beginning of the text."""
        return _compiled(self.pattern).match(text)


# English

_BE = r"\bI(?:\s?am|['\u2019]m|\swas|['\u2019]ve\sbeen|\shave\sbeen)\b"
_MADE = (
    r"(?:(?:pre-?)?trained|developed|created|made|built|designed|(?:fine|instruction)-?\s?tuned|released|engineered"
    r"|provided|maintained|powered|programmed|produced)"
)
_AI = r"(?:language\smodels?|LLM|AI|artificial\sintelligence|assistant|chat\s?bot|model)"
_KIND = (
    r"(?:large|small|big|tiny|new|latest|friendly|helpful|virtual|official|open|open-source|multilingual|advanced"
    r"|powerful|local|(?:version|variant|instance|member|part|one)\sof)"
)
_ENDS = _Sign(
    rf"{_CLOSE}\s*(?:$|[,.!?;:()\u2014\u2013\n]|-\s|(?:and|by|from|an?|the|your|at|with|made|trained|developed|created|AI)\b)"
)
_SAYS_I = _Sign(
    rf"(?:{_BE}(?:\snot)?(?:\s(?:called|named|known\sas|just|simply|actually|really|the|your))*"
    rf"|\b(?:my\sname(?:\sis|['\u2019]s|:)|(?:you\s(?:can|may)\s|please\s)?call\sme|I\sgo\sby|I\sidentify\sas)"
    rf"(?:\s(?:actually|simply|just|the))*)[,:]?\s{_OPEN}$"
)
_KIND_OF = _Sign(rf"(?:{_BE}|\bas)(?:\s(?:an?|the|your|{_KIND}))+\s{_OPEN}$")
_MADE_BY = _Sign(
    rf"(?:{_BE}|\bas\san?\b|\bthis\s(?:assistant|model|AI|chatbot)\b){_GAP}{{0,110}}\b{_MADE}\b(?:\sand\s\w+)?"
    rf"(?:\s\w+)?\sby\s(?:(?:[\w-]+\s){{0,5}}(?:at|of|from|called|named|team)\s)?(?:the\s)?{_OPEN}$"
)
_AI_FROM = _Sign(
    rf"(?:{_BE}|\bas\san?\b){_GAP}{{0,60}}\b{_AI}\b{_GAP}{{0,30}}(?:\b(?:by|from|at|called|named)|,)\s(?:the\s)?{_OPEN}$"
    rf"|{_BE}{_GAP}{{0,30}},\sby\s{_OPEN}$"
)
_BASED = _Sign(
    rf"(?:{_BE}|\bI\s(?=run)){_GAP}{{0,60}}\b(?:based\son|built\s(?:up)?on(?:\stop\sof)?|powered\sby|derived\sfrom"
    rf"|tuned\sfrom|run(?:ning)?\son|(?:version|variant|instance)\sof)\s(?:the\s|an?\s)?{_OPEN}$"
)
_MY_MAKER = _Sign(
    rf"\bmy\s(?:creators?|developers?|makers?|trainers?|parent\scompany)(?:\s(?:is|are|at|from)|,)?\s(?:the\s)?{_OPEN}$"
)
_AND_AI = _Sign(rf"{_CLOSE}(?:['\u2019]s|-(?:based|powered))?\s(?:[\w-]+\s){{0,3}}?{_AI}\b")
_DID_ME = _Sign(
    rf"{_CLOSE}(?:\sis\smy\s(?:name|creator|developer|maker)\b|(?:,?\s(?:that|who|which|has|have))*\s{_MADE}\sme\b)"
)

# Korean

_KO_ME = r"(?:^|[^가-힣])(?:저는|나는|전(?!\s?(?:세계|국|체))|난|제가|내가|저를|나를|저희는|저도)"
_KO_AI = r"(?:언어\s?모델|모델|AI|인공\s?지능|챗봇|어시스턴트|비서|LLM)"
_KO_MADE = r"(?:개발|훈련|학습|만들|만든|제작|제공|출시|공개|구축|설계|탄생)"
_KO_BE = r"(?:입니다|이에요|예요|이예요|이야|야(?![가-힣])|이며|이고|인데|이라|라고|라는|다(?![가-힣])|이다)"
_KO_SENTENCE = _Sign(rf"{_KO_ME}[\s,]{{1,2}}(?:{_GAP}{{0,70}}[\s(,])?{_OPEN}$")
_KO_NEXT = _Sign(rf"(?:{_KO_ME}|이름은)(?:\s(?:바로|그냥|제\s이름은|이름은))*,?\s?{_OPEN}$")
_KO_START = _Sign(rf"(?:^|[.!?\n]|안녕하세요,?\s)[\s>#-]*{_OPEN}$")
_KO_IS = _Sign(rf"{_CLOSE}\s?{_KO_BE}")
_KO_IS_AI = _Sign(rf"{_CLOSE}\s?(?:기반의?|의|이?라는|이?라고)?\s{_GAP}{{0,30}}?{_KO_AI}(?![을를과와])")
_KO_MAKING = _Sign(rf"{_KO_ME}\s{_GAP}*?(?:{_KO_MADE}|{_KO_AI}){_GAP}*$")
_KO_MADE_ME = _Sign(
    rf"(?:저를|나를|날)\s{_GAP}{{0,20}}{_KO_MADE}(?:한|시킨)?\s(?:곳|회사|기업|사람들?|팀)[은는]\s{_OPEN}$"
)
_KO_MADE_BY = _Sign(
    rf"{_CLOSE}\s?(?:사|팀|의\s(?:연구)?팀)?(?P<by>에서|이|가|의|에\s의해서?|에\s의하여|로부터)\s"
    rf"(?P<between>(?:[가-힣A-Za-z]+\s){{0,3}}?){_KO_MADE}(?P<rest>{_GAP}{{0,60}})"
)
_KO_PASSIVE = _Sign(r"(?:되|됐|돼|받|어졌|어진)|된(?:\s저|$|\s*[.,])")
_KO_ACTIVE = _Sign(r"(?:었|했|시켰)")
_KO_SOME_AI = _Sign(
    rf"{_KO_AI}(?:\s?{_KO_BE}|로서|로써|으로|[.,!\n]|$|\s[A-Za-z가-힣0-9.-]{{1,20}}?{_KO_BE})|[A-Za-z0-9]\)?\s?(?:입니다|이에요|예요|이라|라고|라는|이며|이고)"
)

# Small models slip into Chinese
_ZH_NEXT = _Sign(rf"我(?:是|叫|来自)(?:[^。！？\n]{{0,40}})$|(?:^|[。，\n])由{_OPEN}$")  # noqa: RUF001

# Makers of whom nobody has heard

STRANGER = r"(?<=\bby\s)(?=[\"\u201c*'(]?(?-i:[A-Z]))|(?<=[저나]는\s)(?=[A-Za-z0-9가-힣*\"\u201c'])"
"""Where the name of one may begin; whether it does is `stranger`'s to say."""
_STRANGER_BEFORE = _Sign(
    rf"(?:{_BE}(?:{_GAP}{{0,50}},)?|\bas)\s(?:just\s)?(?:an?|the)\s(?:[\w-]+\s){{0,3}}{_AI}\b{_GAP}{{0,30}}\b{_MADE}(?:\sand\s\w+)?\sby\s$"
)
_STRANGER_NAME = _Sign(r"[\"\u201c*'(]*(?P<name>(?-i:[A-Z])[\w&-]*(?:\s(?-i:[A-Z])[\w&-]*){0,3})")
_STRANGER_KO = _Sign(
    rf"{_OPEN}(?P<name>[A-Za-z가-힣0-9&-]{{2,20}}?(?:\s[A-Za-z]+){{0,2}})(?:사|팀)?(?:에서|이|가|에\s의해)\s(?:[가-힣]+\s)?"
    rf"(?:개발|훈련|학습|제작)(?:한|된|시킨)\s(?:[가-힣]+\s){{0,2}}{_KO_AI}\s?{_KO_BE}"
)


def introduces(before: str, after: str, *, versioned: bool) -> bool:
    """Whether somebody says of himself that he is, or comes from, what stands between; `versioned`: with a number."""
    if any(pattern.search(before) for pattern in (_MADE_BY, _MY_MAKER, _BASED)) or _DID_ME.match(after):
        return True
    ends, and_ai = _ENDS.match(after), _AND_AI.match(after)
    if _SAYS_I.search(before) and (ends or and_ai or versioned):
        return True
    if _AI_FROM.search(before) and ends:
        return True
    if (_KIND_OF.search(before) and and_ai) or _ZH_NEXT.search(before):
        return True
    return _introduces_in_korean(before, after)


def _introduces_in_korean(before: str, after: str) -> bool:
    is_it = _KO_IS.match(after)
    if (is_it or _KO_IS_AI.match(after)) and (_KO_NEXT.search(before) or _KO_MAKING.search(before)):
        return True
    if is_it and _KO_MADE_ME.search(before):
        return True
    made = _KO_MADE_BY.match(after)
    if made is None:
        return False
    some_ai = _KO_SOME_AI.search(made["rest"])
    if not _KO_SENTENCE.search(before):
        return bool(some_ai and _KO_START.search(before))
    # "I worked on something at Naver" has an object in between, and a place instead of an agent.
    agent = made["by"] in {"이", "가"} and not made["between"]
    return bool(some_ai or _KO_PASSIVE.match(made["rest"]) or (agent and _KO_ACTIVE.match(made["rest"])))


def stranger(before: str, window: str) -> tuple[int, int] | None:
    """The name of an unknown maker in `window`, the text from a STRANGER place on: (from, to) in it; None: no name."""
    found = _STRANGER_KO.match(window)
    if found is None and _STRANGER_BEFORE.search(before):
        found = _STRANGER_NAME.match(window)
    return found.span("name") if found else None


# Where a name stands, outside of an introduction

_LABEL = _Sign(rf"(?:^|\n)[\s>#-]*{_OPEN}$")
_COLON = _Sign(rf"{_CLOSE}:")
_AS = _Sign(rf"(?:^|\n|[.!?,]\s)\s*(?:as|this\sis|sincerely,|regards,|yours,|\u2014|\u2013)\s{_OPEN}$")
_HERE = _Sign(rf"{_CLOSE}\shere\b(?=\s*[,.!:])")
_OF_AI = _Sign(
    rf"{_CLOSE}(?:['\u2019]s|-(?:based|powered))?\s(?:large\s)?(?:language\smodel|LLM|AI|assistant|chat\s?bot)\b"
)
_KO_OF_AI = _Sign(rf"{_CLOSE}(?:의|에서\s\w+)?\s?(?:언어\s?모델|AI|인공\s?지능|챗봇)")


def stands_as_name(before: str, after: str) -> bool:
    """Whether what is between stands where a name does: `Llama:`, `As Falcon, `, `Solar here.`, `Google's AI`."""
    if _LABEL.search(before) and _COLON.match(after):
        return True
    if _AS.search(before) and _ENDS.match(after):
        return True
    return any(pattern.match(after) for pattern in (_HERE, _OF_AI, _KO_OF_AI))


# What the prompt is about

_OF_MODELS = _Sign(
    r"\b(?:LLMs?|language\smodels?|AI\s(?:compan|model|lab|assistant)|chat\s?bots?|open(?:-|\s)weights?)"
    r"|언어\s?모델|AI\s?(?:회사|기업|모델)|인공\s?지능|챗봇"
)
_ASKS_WHO = _Sign(
    rf"\b(?:who|what|which)(?:\s(?:AI|model|LLM|language\smodel|version|kind\sof\s(?:AI|model)))*\s(?:are|is)\s"
    rf"(?:you(?=\s*(?:$|[?.,!\n])|\s(?:and|exactly|really|based))|your\s(?:name|maker|creator|developer))"
    rf"|\bwho\s{_MADE}\syou\b|\b(?:your\sname|introduce\syourself)\b"
    r"|(?:너는?|넌|당신은|네가|당신이)\s?(?:누구|어떤\s?모델|무슨\s?모델|뭐야)|누가\s?(?:너를?|널|당신을)?\s?(?:만들|개발|훈련)"
    r"|(?:너의|네|당신의)\s?이름|(?:너|당신|스스로).{0,4}\s?소개"
)


def speaks_of_models(prompt: str) -> bool:
    """Whether a prompt is about language models, so that an answer may well list some."""
    return bool(_OF_MODELS.search(prompt))


def asks_who(prompt: str) -> bool:
    """Whether a prompt asks who is answering."""
    return bool(_ASKS_WHO.search(prompt))
