"""A model that names itself: found in both languages, masked in every stream, and never seen where nobody is named."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arena.backends.scripted import Script, ScriptedBackend
from arena.core.events import Closed, Delta
from arena.core.families import in_play, known
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.naming import MASK, RIGHT, Masker, NamingWords, mask, spans
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Outcome, Pace, Round, RoundState, Schedule, Seat
from arena.engine.pace import Pacer
from arena.engine.play import Play, verdict_on
from arena.packs import packs
from arena.store.ledger import SqliteLedger

NOBODY = [Contestant(ModelRef("demo", "large")), Contestant(ModelRef("demo", "small"))]


def words_of(*names: str, prompt: str = "") -> NamingWords:
    return NamingWords.of([Contestant(ModelRef("ollama", name)) for name in names], prompt=prompt)


STRANGERS = words_of("large", "small")
EVERYBODY = words_of(*(f"{name}:7b" for family in known() for name in family.words if name.isascii()))

INTRODUCTIONS = [
    ("I am Qwen, created by Alibaba Cloud.", "qwen alibaba cloud"),
    ("I'm Qwen2.5-7B-Instruct.", "qwen 2.5 7b"),
    ("i am llama, how can i help?", "llama"),
    ("I’m Claude, made by Anthropic.", "claude anthropic"),
    ("Hello! My name is **Gemma** and I am happy to help.", "gemma"),
    ("You can call me Mistral.", "mistral"),
    ("I'm called Phi and I live in your computer.", "phi"),
    ("I am Phi-3.5 mini", "phi 3.5"),
    ("As a large language model trained by Google, I have no feelings.", "google"),
    ("As an AI developed by OpenAI, I can't say.", "openai"),
    ("As an AI language model created by the team at DeepSeek, I try.", "deepseek"),
    ("I was trained by Meta AI.", "meta"),
    ("I was developed by researchers at Microsoft.", "microsoft"),
    ("I have been fine-tuned by Cohere for this.", "cohere"),
    ("I am a language model made by Acme Labs.", "acme labs"),
    ("I'm an AI assistant built by Xyzzy.", "xyzzy"),
    ("I am Bob, a small language model trained by Acme Labs.", "acme labs"),
    ("I am based on the Llama 3 architecture.", "llama 3"),
    ("I'm powered by GPT-4o.", "gpt 4o"),
    ("I am a Llama-based assistant.", "llama"),
    ("I'm a large Granite model.", "granite"),
    ("My creators at Mistral AI told me so.", "mistral"),
    ("My developer is IBM.", "ibm"),
    ("OpenAI trained me in 2023.", "openai"),
    ("DeepSeek is my name.", "deepseek"),
    ("I'm not ChatGPT, sorry.", "chatgpt"),
    ("I am FALCON. What can I do for you?", "falcon"),
    ("I am Command R+, by Cohere.", "command cohere"),
    ('I am "Solar", a language model.', "solar"),
    ("I am an AI assistant called Zephyr.", "zephyr"),
    ("I am an AI assistant from LG AI Research.", "lg"),
    ("I am Yi, an AI by 01.AI.", "yi 01"),
    ("This assistant was trained by Naver.\nI am HyperCLOVA X.", "hyperclova"),
    ("저는 Qwen입니다.", "qwen"),
    ("저는 큐웬이에요!", "큐웬"),
    ("나는 라마야.", "라마"),
    ("안녕하세요! 저는 구글의 Gemma입니다.", "구글 gemma"),
    ("저는 구글에서 훈련된 대규모 언어 모델입니다.", "구글"),
    ("구글에서 훈련된 언어 모델입니다.", "구글"),
    ("저는 알리바바 클라우드에서 개발한 Qwen입니다.", "알리바바 qwen"),
    ("저는 알리바바 클라우드에 의해 개발되었습니다.", "알리바바"),
    ("제 이름은 엑사원입니다.", "엑사원"),
    ("저는 LG AI연구원에서 개발한 EXAONE이라고 합니다.", "exaone"),
    ("저는 업스테이지가 만든 인공지능 솔라입니다.", "업스테이지 솔라"),
    ("저는 카카오가 개발한 AI 어시스턴트 카나나예요.", "카카오 카나나"),
    ("저는 네이버의 하이퍼클로바X입니다.", "네이버 하이퍼클로바"),
    ("저를 만든 회사는 OpenAI입니다.", "openai"),
    ("저는 가나다랩에서 개발한 언어 모델입니다.", "가나다랩"),
    ("저는 오픈AI에서 만든 챗봇으로, 무엇이든 답합니다.", "오픈ai"),
    ("저는 메타가 만들었어요.", "메타"),
    ("저는 미스트랄이라는 AI입니다.", "미스트랄"),
    ("我是通义千问。", ""),
]

TOPICS = [
    "A llama is a domesticated animal of South America.",
    "Llamas spit when they are angry.",
    "I saw a llama in Peru.",
    "I'm a fan of llamas and of their wool.",
    "Google the term and you will find it.",
    "You could use Google for that.",
    "Google was founded in 1998 by Larry Page.",
    "A falcon dives at 320 km/h.",
    "The Falcon 9 rocket lands by itself.",
    "The golden ratio is written as phi.",
    "I'm phi-curious about numbers.",
    "Phi is about 1.618.",
    "I'm solar powered, like a plant.",
    "Solar panels turn light into power.",
    "Run this command in the shell.",
    "I am in command of this ship.",
    "As a command, it takes two arguments.",
    "Granite is an igneous rock made by slow cooling.",
    "The zephyr blew from the west.",
    "Orca whales hunt in groups.",
    "Gemini is a constellation and Apollo came after it.",
    "She read a claude of poems by Claude McKay.",
    "Claude Monet painted water lilies.",
    "The sonata was made by Apple trees.",
    "Meta-analysis is a method; metadata is data about data.",
    "This phone was made by Apple.",
    "The software was developed by Microsoft in 1995.",
    "Stand by Me was directed by Rob Reiner.",
    "As a child I was raised by Wolves.",
    "An AI model developed by NASA predicts floods.",
    "Mistral is a wind in France.",
    "Nous avons mangé; a bloom of algae.",
    "Hermes was a god; a dolphin is a mammal.",
    "I am going to yield to Kimi Räikkönen.",
    "라마단은 이슬람력의 아홉 번째 달입니다.",
    "라마는 남아메리카의 동물입니다.",
    "보통의 사람들은 전통의 맛을 좋아합니다.",
    "구글은 1998년에 설립되었습니다.",
    "메타데이터는 데이터에 대한 데이터입니다.",
    "저는 네이버에서 검색 엔진을 개발했습니다.",
    "나는 구글에서 개발한 지도를 쓴다.",
    "전 세계에서 구글 지도를 씁니다.",
    "솔라 패널은 빛을 전기로 바꿉니다.",
    "파이는 약 3.14입니다.",
    "저는 믿음이 중요하다고 생각합니다.",
    "팔콘은 매과의 새입니다.",
    "카카오 열매로 초콜릿을 만듭니다.",
    "GPT는 OpenAI에서 개발한 언어 모델입니다.",
]


@pytest.mark.parametrize(("text", "told"), INTRODUCTIONS, ids=lambda value: value[:40])
def test_an_introduction_is_masked_whoever_plays(text, told):
    hidden = mask(text, STRANGERS)
    assert MASK in hidden
    for word in told.split():
        assert word not in hidden.lower(), hidden
    assert spans(text, STRANGERS)


@pytest.mark.parametrize("words", [STRANGERS, words_of("granite:3b", "olmo-2:7b")], ids=["nobody", "granite"])
@pytest.mark.parametrize("text", TOPICS, ids=lambda text: text[:40])
def test_a_topic_is_left_alone(text, words):
    assert mask(text, words) == text
    assert spans(text, words) == []


ORDINARY_IN_PLAY = words_of("llama3.2:3b", "falcon:7b", "phi4", "solar", "command-r", "gemini", "zephyr")


@pytest.mark.parametrize("text", [text for text in TOPICS if "Falcon 9" not in text and "GPT" not in text], ids=str)
def test_not_even_where_a_namesake_plays(text):
    assert mask(text, ORDINARY_IN_PLAY) == text


@pytest.mark.parametrize(
    "text",
    ["Llama: sure!", "As Falcon, I say yes.", "Phi-4 thinks so.", "Solar here. Yes.", "A Zephyr-7b never lies.",
     "This is Google's AI speaking.", "라마 3.2의 답입니다."],
)  # fmt: skip
def test_an_ordinary_word_counts_where_a_name_stands(text):
    assert MASK in mask(text, ORDINARY_IN_PLAY)
    assert mask(text, STRANGERS) == text


def test_a_distinctive_word_counts_anywhere_unless_the_prompt_speaks_of_it():
    text = "Best regards, your Qwen 2.5."
    assert mask(text, words_of("qwen2.5:7b")) == f"Best regards, your {MASK}."
    assert mask(text, words_of("gemma2:9b")) == text
    for prompt in ("What is Qwen?", "Qwen이 뭐야?", "Name three language models.", "ChatGPT or not?"):
        assert mask(text, words_of("qwen2.5:7b", prompt=prompt)) == text
    assert mask("I am Qwen.", words_of("qwen2.5:7b", prompt="What is Qwen?")) == f"I am {MASK}."
    assert MASK in mask(text, words_of("qwen2.5:7b", prompt="What do solar panels do?"))


@pytest.mark.parametrize(
    ("prompt", "text"), [("Who made you?", "Google."), ("What is your name?", "Llama"), ("너는 누구야?", "큐웬")]
)
def test_who_is_asked_may_answer_in_one_word(prompt, text):
    assert mask(text, words_of("large", "small", prompt=prompt)).rstrip(".") == MASK
    assert mask("a llama spits", words_of("large", prompt=prompt)) == "a llama spits"


def test_a_name_that_somebody_gave_to_a_file_is_a_name():
    words = words_of("kestrel-3b-q8_0", "/home/me/models/bob/rumpel.gguf")
    assert mask("I'm Kestrel, and he is Bob; a kestrel flies.", words) == f"I'm {MASK}, and he is Bob; a kestrel flies."
    assert mask("Rumpel: yes", words) == f"{MASK}: yes"
    assert mask("at home with me", words) == "at home with me"


def test_families_that_the_endpoint_tells_play_too():
    assert "qwen" in in_play(["my-model", "qwen3moe"])[0]
    words = NamingWords.of(NOBODY, ["qwen3"])
    assert mask("Qwen says so", words) == f"{MASK} says so"


def test_the_mask_does_not_tell_how_long_the_name_is():
    assert len({mask(f"I am {name}.", STRANGERS) for name in ("Qwen", "DeepSeek", "HyperCLOVA X", "Qwen2.5-72B")}) == 1


def test_the_shipped_prompts_name_nobody():
    checked = 0
    for pack in packs():
        for prompt in pack.prompts:
            checked += 1
            names = ("qwen3:8b", "llama3.2:1b", "gemma3:4b", "phi4", "mistral:7b", "exaone3.5")
            assert mask(prompt.text, words_of(*names)) == prompt.text, prompt.slug
            assert mask(prompt.text, words_of(*names, prompt=prompt.text)) == prompt.text, prompt.slug
    assert checked > 50


PLAIN = st.lists(
    st.sampled_from(
        [*"abc .,\n", "I am ", "by ", "As a ", "저는 ", "입니다", "에서 개발한 ", "tower ", "Bob ", "한국", "é"]
    )
).map("".join)


@given(st.one_of(PLAIN, st.text(alphabet="defhjrsuvw 가나한.,!\n한é", max_size=300)))
def test_text_without_any_of_the_words_is_never_changed(text):
    assert mask(text, EVERYBODY) == text


LATIN = "I am |I'm |Qwen|qw|en|2.5|-7B|, trained |and developed |by |Alibaba Cloud|Mistral| AI|Hugging |Face|Acme| Labs"
OTHER = "저는 |큐웬|구글|에서 |훈련된 |언어 모델|입니다|라마|의 |"
ODD = "通义|千问|我是|가나다|İ|ſolar|\u212aimi|. |\n| |**| as an AI |LG"
NAMES = "Command| R|+|01.|01|AI|made |Zephyr|K|Solar|Pro| here.|llama|OpenAI|'s |GPT-4|o|HyperCLOVA| X|: "
PIECES = st.lists(
    st.sampled_from([*LATIN.split("|"), *OTHER.split("|"), *ODD.split("|"), *NAMES.split("|"), "x" * 150]), max_size=30
)
PLAYERS = [words_of("qwen2.5:7b", "zephyr"), STRANGERS, words_of("yi:6b", "solar-pro", prompt="who are you?")]


@settings(max_examples=400)
@given(PIECES, st.lists(st.integers(1, 40), min_size=1), st.sampled_from(PLAYERS))
@example(["I am ", "Qwen"], [1], STRANGERS)
@example(["as a large language model made by ", "Acme", " Labs"], [1], STRANGERS)
def test_however_a_stream_is_cut_it_is_masked_the_same(pieces, cuts, words):
    text, masker, out, at = "".join(pieces), Masker(words), "", 0
    while at < len(text):
        size = cuts[at % len(cuts)]
        out += masker.feed(text[at : at + size])
        at += size
    assert out + masker.end() == mask(text, words)
    assert mask(text, words) == _by_spans(text, words)


def _by_spans(text, words):
    out, at = [], 0
    for start, end in spans(text, words):
        out += [text[at:start], MASK]
        at = end
    return "".join([*out, text[at:]])


@given(st.text(alphabet="abcqwen by가저는 .", max_size=600))
def test_little_is_held_back(text):
    masker = Masker(STRANGERS)
    shown = sum(len(masker.feed(char)) for char in text)
    assert shown + len(masker.end()) == len(text)
    masker = Masker(STRANGERS)
    assert len(masker.feed(text)) > len(text) - RIGHT - 1


INTRODUCED = "Hello! I am Qwen2.5, a large language model trained by Alibaba Cloud. Ask me anything about the sea. " * 3


def played(chunks, *, blind=True):
    """Answers, events and what a paced screen shows, of two seats of which one names itself."""
    scripts = {"one": Script(chunks), "two": Script(["It is the sea, and the sea alone. " * 9])}
    seats = tuple(Seat(i, Contestant(ModelRef("scripted", name)), i) for i, name in enumerate(scripts))
    round_ = Round("r", Prompt("why?"), seats, Sampling(), Schedule.TURN, Pace.EVEN, blind)
    heard = []
    play = Play(round_, {"scripted": ScriptedBackend(scripts)}, heard.append, lambda *_: None)
    return asyncio.run(play.run()), heard


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 50))
def test_no_screen_ever_gets_a_word_of_it(size):
    answers, heard = played([INTRODUCED[at : at + size] for at in range(0, len(INTRODUCED), size)])
    assert answers[0].text == INTRODUCED, "the raw text is kept"
    pacer, screen = Pacer(2, Pace.EVEN), ["", ""]
    for step, event in enumerate(heard):
        pacer.feed(event)
        for seat, text in pacer.frame(step * 100_000_000):
            screen[seat] += text
            assert "qw" not in screen[seat].lower()
            assert "alib" not in screen[seat].lower()
    for seat, text in pacer.rest():
        screen[seat] += text
    assert screen[0] == mask(INTRODUCED, STRANGERS)
    assert screen[1] == answers[1].text
    assert isinstance(heard[-1], Closed)


def test_an_open_round_hides_nothing():
    answers, heard = played([INTRODUCED], blind=False)
    assert "".join(event.text for event in heard if isinstance(event, Delta) and event.seat == 0) == answers[0].text


def test_such_a_round_is_flagged():
    plain, telling = Answer(0, "The sea."), Answer(1, "I am Qwen.")
    assert verdict_on((plain, telling), STRANGERS) == (RoundState.READY, ("named",))
    assert verdict_on((plain, plain), STRANGERS) == (RoundState.READY, ())
    cut = Answer(1, "I am Qwen", outcome=Outcome.TRUNCATED)
    assert verdict_on((plain, cut), STRANGERS) == (RoundState.READY, ("named", "truncated"))


def test_the_store_masks_what_it_shows_before_the_vote(tmp_path):
    from test_store import ALPHA, BETA, a_round, an_answer

    with SqliteLedger(tmp_path / "arena.db") as ledger:
        round_ = a_round(ALPHA, BETA)
        ledger.open_round(round_)
        for seat in (0, 1):
            ledger.save_answer(round_.id, an_answer(seat, "I am Qwen, and I am Alpha."))
        ledger.close_round(round_.id, RoundState.READY, ["named"])
        sealed = ledger.sealed(round_.id).answers
        assert {answer.text for answer in sealed} == {f"I am {MASK}, and I am {MASK}."}
        assert {answer.text for answer in ledger.round(round_.id).answers} == {"I am Qwen, and I am Alpha."}
        assert json.loads(ledger._connection.rows("SELECT flags FROM rounds")[0]["flags"]) == ["named"]
