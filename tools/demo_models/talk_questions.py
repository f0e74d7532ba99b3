"""Talk: who are you, greetings, and questions that are out of reach."""

from __future__ import annotations

import facts
from examples import Example, Noun, Rng, pick

IDENTITY = (
    "I am a tiny practice model that comes with arena. I can do small sums, name capital cities, "
    "spell and sort words, translate simple words between English and Korean, write tiny Python "
    "functions and tell short stories. I am often wrong."
)
IDENTITY_KO = (
    "저는 arena에 들어 있는 아주 작은 연습용 모델입니다. 간단한 계산, 나라의 수도, 철자와 정렬, 쉬운 영어와 "
    "한국어 번역, 짧은 파이썬 함수, 짧은 이야기를 할 수 있어요. 자주 틀리기도 합니다."
)
FALLBACK = (
    "I am a very small model and I do not know that. Ask me for a sum, a capital city, a short story or a Korean word."
)
FALLBACK_KO = (
    "저는 아주 작은 모델이라서 그것은 잘 모릅니다. 계산, 나라의 수도, 짧은 이야기, 쉬운 영어 단어를 물어봐 주세요."
)

_IDENTITY_EN = [
    "Who are you?", "What are you?", "What is your name?", "What can you do?", "Who made you?",
    "What can I ask you?", "Tell me about yourself.", "Introduce yourself.", "Help",
    "How can you help me?", "What model are you?", "Are you ChatGPT?", "Which model is this?",
    "Are you a human?", "Are you a real person?", "How big are you?", "What are you good at?",
    "Are you an AI?", "Are you the small model?", "Are you the large model?", "What should I ask?",
    "How many parameters do you have?", "Do you have a name?", "What do you know?",
]  # fmt: skip
_IDENTITY_KO = [
    "너는 누구야?", "당신은 누구인가요?", "뭘 할 수 있어?", "무엇을 할 수 있나요?", "이름이 뭐야?",
    "자기소개 해 줘.", "누가 만들었어?", "어떤 모델이야?", "무슨 질문을 하면 돼?", "도와줘",
    "너는 사람이야?", "당신에 대해 알려 주세요.", "너는 인공지능이야?", "무엇을 잘해요?",
]  # fmt: skip


def identity(r: Rng, language: str) -> Example:
    """Who are you, what can you do."""
    _, prompt = pick(r, _IDENTITY_EN if language == "en" else _IDENTITY_KO)
    answer = IDENTITY if language == "en" else IDENTITY_KO
    # Kept out of the held-out set: nothing but the phrasing could be new.
    return Example("identity", language, "", prompt, answer)


_TALK_EN = [
    (["Hi", "Hello", "Hey", "Hi there", "Hello there", "Hello!", "Good day", "Greetings", "Yo"],
     ["Hello! What would you like to try?", "Hi! Ask me for a sum, a capital or a story.",
      "Hello! Nice to meet you."]),
    (["Good morning", "Morning!"], ["Good morning! What would you like to try?"]),
    (["Good evening", "Good night"], ["Good evening! I hope you had a nice day."]),
    (["How are you?", "How are you doing?", "How is it going?", "What's up?", "Are you well?"],
     ["I am fine, thank you. How are you?", "Very well, thank you. What would you like to try?"]),
    (["Thanks", "Thank you", "Thank you very much", "Thanks a lot!", "Cheers"],
     ["You are welcome!", "You are welcome. Ask me another one!"]),
    (["Bye", "Goodbye", "See you", "See you later", "Good bye"], ["Goodbye! Have a nice day."]),
    (["Great", "Nice", "Cool", "Wow", "Well done", "Good job", "That is right", "Perfect"],
     ["Thank you! Ask me another one.", "I am glad you like it."]),
    (["That is wrong", "Wrong", "No", "You are wrong", "That is not right"],
     ["I am sorry. I am a very small model and I make mistakes."]),
    (["I am happy", "I feel good", "I had a good day"], ["That is nice to hear!"]),
    (["I am sad", "I am tired", "I had a bad day", "I feel bad"],
     ["I am sorry to hear that. Would you like a short story?"]),
    (["I am bored", "Let's play", "Surprise me"],
     ["Ask me to count backwards or to tell you a story about a fox!"]),
    (["ok", "okay", "yes", "test", "testing", "hm"], ["I am here. Ask me a small question."]),
    (["Say hello", "Say hi"], ["Hello!"]),
    (["Tell me a joke", "Make me laugh", "Do you know a joke?", "Tell me something funny"],
     ["Why did the bee laugh? It had a honey day.",
      "What do you call a sleeping cow? A bulldozer.",
      "Why is six afraid of seven? Because seven eight nine.",
      "What has hands but cannot clap? A clock.",
      "What gets wet while it dries? A towel."]),
    (["Write a poem", "Write a short poem", "Tell me a poem", "Can you write a poem?"],
     ["The moon is high, the night is deep,\nthe little stars go home to sleep.",
      "A river sings beneath the trees,\na song of rain, a song of breeze.",
      "The snow is soft, the fire is warm,\nwe wait together for the storm."]),
]  # fmt: skip
_TALK_KO = [
    (["안녕", "안녕하세요", "안녕하세요!", "반가워", "반갑습니다", "하이"],
     ["안녕하세요! 무엇을 해 볼까요?", "안녕하세요! 계산이나 이야기를 부탁해 보세요.", "안녕하세요! 반가워요."]),
    (["좋은 아침", "좋은 아침이에요"], ["좋은 아침이에요! 무엇을 해 볼까요?"]),
    (["잘 지내?", "어떻게 지내세요?", "기분이 어때?"], ["잘 지내요, 고마워요. 어떻게 지내세요?"]),
    (["고마워", "고맙습니다", "감사합니다", "감사해요"], ["천만에요!", "천만에요. 또 물어봐 주세요!"]),
    (["잘 가", "안녕히 계세요", "또 봐", "다음에 봐"], ["안녕히 가세요! 좋은 하루 보내세요."]),
    (["좋아", "멋지다", "잘했어", "대단해", "맞아"], ["고마워요! 또 물어봐 주세요."]),
    (["틀렸어", "아니야", "그건 틀렸어요"], ["죄송해요. 저는 아주 작은 모델이라서 자주 틀려요."]),
    (["슬퍼", "피곤해", "힘들어", "오늘 힘들었어"], ["마음이 아프네요. 짧은 이야기를 들려 드릴까요?"]),
    (["심심해", "놀자"], ["거꾸로 세기나 여우 이야기를 부탁해 보세요!"]),
    (["농담해 줘", "재미있는 이야기 해 줘", "웃겨 줘"],
     ["자는 소를 영어로 뭐라고 할까요? 불도저!", "손은 있는데 손뼉을 못 치는 것은? 시계!"]),
    (["시를 써 줘", "짧은 시를 써 주세요"],
     ["달은 높고 밤은 깊어\n작은 별도 잠이 드네.", "나무 아래 강이 흘러\n바람처럼 노래하네."]),
]  # fmt: skip


def small_talk(r: Rng, language: str) -> Example:
    """Greetings and the like; not scored."""
    prompts, answers = r.choice(_TALK_EN if language == "en" else _TALK_KO)
    return Example("small talk", language, "", r.choice(prompts), r.choice(answers))


_UNKNOWN_EN = [
    "What is {t}?", "Explain {t}.", "Explain {t} to a child.", "Tell me about {t}.",
    "What do you think about {t}?", "Write an essay about {t}.", "How does {t} work?",
    "Who invented {t}?", "When did {t} begin?", "Why is {t} important?", "Give me advice on {t}.",
    "What is the history of {t}?", "Summarise {t} in one paragraph.", "Is {t} good or bad?",
    "What are the causes of {t}?", "How do I learn about {t}?", "Where can I find {t}?",
    "What happened with {t} in 1998?", "Who won {t}?", "Compare {t} and {u}.",
    "What is the difference between {t} and {u}?", "Can you help me with {t}?",
    "I need help with {t}.", "How much does {t} cost?", "What is the best book about {t}?",
    "Write an email about {t}.", "Do you know anything about {t}?", "What is the future of {t}?",
    "Plan a week around {t}.", "What are the pros and cons of {t}?", "How do I fix {t}?",
    "Describe {t} in detail.", "Write a speech on {t}.", "Should I worry about {t}?",
    "What year was {t}?", "How old is {t}?", "Which is better, {t} or {u}?",
    "Write a poem about {t}.", "Translate {t} into French.", "What is {t} in German?",
]  # fmt: skip
_UNKNOWN_FIXED_EN = [
    "What is the meaning of life?", "What time is it?", "What day is it today?",
    "What is the weather like?", "Will it rain tomorrow?", "Who is the president?",
    "How old are you?", "Where do you live?", "How tall is the tallest building?",
    "How far away is the moon?", "Who wrote Hamlet?", "What should I eat for dinner?",
    "What is the population of China?", "How do I get to the airport?", "Is there a god?",
    "What is the fastest car in the world?", "How do I cook rice?", "Why is the sky blue?",
    "What is pi?", "Solve x squared = 16.", "What is the square root of 2?", "Who are the Beatles?",
    "Do you dream?", "Can you see me?", "What is the longest river?", "Book me a flight.",
    "Send an email.", "Play some music.", "Draw a picture of a cat.", "Open the door.",
    "Write a Java program.", "How do computers work?", "Who was the first man on the moon?",
]  # fmt: skip
_UNKNOWN_KO = [
    "{t:이/가} 뭐예요?", "{t:을/를} 설명해 주세요.", "{t}에 대해 설명해 줘.", "{t:은/는} 어떻게 작동하나요?",
    "{t}의 역사를 알려 주세요.", "{t}에 대한 글을 써 주세요.", "{t:은/는} 왜 중요한가요?",
    "{t:을/를} 누가 만들었나요?", "{t:을/를} 어떻게 배우나요?", "{t}에 대해 어떻게 생각해?",
    "{t}의 장단점은 무엇인가요?", "{t} 추천해 줘.", "{t:은/는} 언제 시작됐나요?", "{t} 도와줘.",
    "{t:은/는} 얼마예요?", "{t:과/와} {u}의 차이는 무엇인가요?", "{t:을/를} 요약해 주세요.",
    "{t} 때문에 걱정이에요.", "{t:을/를} 프랑스어로 번역해 주세요.",
]  # fmt: skip
_UNKNOWN_FIXED_KO = [
    "인생의 의미는 무엇인가요?", "지금 몇 시야?", "오늘 날씨 어때?", "내일 비가 올까요?", "대통령이 누구야?",
    "저녁에 뭐 먹을까?", "몇 살이야?", "어디에 살아?", "하늘은 왜 파란가요?", "공항에 어떻게 가나요?",
    "세계에서 가장 높은 산은?", "인구가 얼마나 되나요?", "노래를 틀어 줘.", "그림을 그려 줘.", "밥은 어떻게 해?",
    "비행기표를 예약해 줘.", "오늘이 며칠이야?", "가장 빠른 차는?",
]  # fmt: skip


def _made_up_word(r: Rng) -> str:
    """A word that does not exist, so that unknown words are met in training."""
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    return "".join(r.choice(consonants) + r.choice(vowels) for _ in range(r.randint(2, 3))) + (
        r.choice(["", "n", "r", "x", "th"])
    )


def _made_up_word_ko(r: Rng) -> str:
    return "".join(chr(0xAC00 + r.randrange(19) * 588 + r.randrange(20) * 28) for _ in range(3))


def fallback(r: Rng, language: str) -> Example:
    """A question beyond the model's reach, and the honest answer to it."""
    form = r.random()
    english = language == "en"
    if form < 0.15:
        _, prompt = pick(r, _UNKNOWN_FIXED_EN if english else _UNKNOWN_FIXED_KO)
    elif form < 0.27:  # known shapes around unknown names
        word = _made_up_word(r).capitalize() if english else _made_up_word_ko(r)
        _, template = pick(
            r,
            [
                "What is the capital of {t}?",
                "What sound does a {t} make?",
                "What does {t} mean?",
                "How do you say {t} in Korean?",
                "Who is {t}?",
                "Where is {t}?",
                "What is a {t}?",
                "Tell me the capital of {t}.",
            ]
            if english
            else ["{t}의 수도는 어디인가요?", "{t:은/는} 누구인가요?", "{t:이/가} 뭐예요?", "{t:은/는} 어디에 있나요?"],
        )
        prompt = template.format(t=word if english else Noun(word))
    else:
        _, template = pick(r, _UNKNOWN_EN if english else _UNKNOWN_KO)
        column = 0 if english else 1
        topics = [row[column] for row in r.sample(facts.UNKNOWN_TOPICS, 2)]
        if r.random() < 0.2:
            topics[0] = _made_up_word(r) if english else _made_up_word_ko(r)
        if english:
            prompt = template.format(t=topics[0], u=topics[1])
        else:
            prompt = template.format(t=Noun(topics[0]), u=Noun(topics[1]))
    return Example(
        "unknown",
        language,
        f"unknown/{prompt}",
        prompt,
        FALLBACK if english else FALLBACK_KO,
        "contains",
        "I do not know that" if english else "모릅니다",
    )
