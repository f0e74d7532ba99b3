# ruff: noqa: E501 - tables read best with one row on a line
"""Short stories for the demo corpus, put together from many small parts.

Each plot is a row of beats and each beat has several wordings, so that two
stories rarely share more than a sentence or two.
"""

from __future__ import annotations

import re

import facts
from examples import Noun, Rng

_ANIMALS = [
    ("cat", "고양이"), ("dog", "강아지"), ("fox", "여우"), ("rabbit", "토끼"), ("bear", "곰"),
    ("owl", "올빼미"), ("duck", "오리"), ("frog", "개구리"), ("horse", "말"), ("mouse", "생쥐"),
    ("turtle", "거북이"), ("lion", "사자"), ("elephant", "코끼리"), ("penguin", "펭귄"),
    ("dragon", "용"), ("monkey", "원숭이"), ("squirrel", "다람쥐"), ("wolf", "늑대"),
]  # fmt: skip
_OBJECTS = [
    ("lantern", "등불"), ("map", "지도"), ("kite", "연"), ("key", "열쇠"), ("flute", "피리"),
    ("stone", "돌"), ("book", "책"), ("boat", "작은 배"), ("bell", "종"), ("letter", "편지"),
    ("drum", "북"), ("mirror", "거울"), ("ring", "반지"), ("blanket", "담요"), ("clock", "시계"),
    ("umbrella", "우산"), ("hat", "모자"), ("robot", "로봇"), ("balloon", "풍선"),
]  # fmt: skip
_PLACES = [
    ("forest", "숲"), ("river", "강"), ("garden", "정원"), ("library", "도서관"),
    ("mountain", "산"), ("harbour", "항구"), ("village", "마을"), ("market", "시장"),
    ("lake", "호수"), ("castle", "성"), ("island", "섬"), ("meadow", "풀밭"), ("desert", "사막"),
    ("school", "학교"), ("bridge", "다리"), ("tower", "탑"),
]  # fmt: skip
_MOODS = [
    "shy", "curious", "brave", "lonely", "cheerful", "clever", "gentle", "tired", "young", "old",
    "quiet", "hungry", "kind", "proud", "patient",
]  # fmt: skip
_MOODS_KO = [
    "수줍은",
    "호기심 많은",
    "용감한",
    "외로운",
    "명랑한",
    "똑똑한",
    "순한",
    "지친",
    "어린",
    "늙은",
    "조용한",
    "착한",
]

_OPENINGS = [
    "Once upon a time, {n} lived near a {p}.", "One morning, {n} walked to the {p}.",
    "In a small house by the {p} lived {n}.", "{n} had always wanted to see the {p}.",
    "It was the first day of spring when {n} came to the {p}.", "Every evening {n} sat by the {p}.",
    "Far away, beyond the {p}, lived {n}.", "{n} woke up before the sun and went to the {p}.",
    "On a windy day, {n} was alone at the {p}.", "Nobody in the town knew the {p} better than {n}.",
    "{n} was visiting the {p} for the very first time.", "The snow was deep when {n} reached the {p}.",
]  # fmt: skip
_MEETINGS = [
    "There {n} met a {m} {a}.", "Behind a tree stood a {m} {a}.", "Suddenly a {m} {a} came out of the grass.",
    "A {m} {a} was sitting there, all alone.", "{n} heard a noise and saw a {m} {a}.",
    "Then a {m} {a} came along the road.", "Under a bush {n} found a {m} {a}.",
]  # fmt: skip
_ENDINGS = [
    "From that day on, {n} and the {a} were friends.", "{n} never forgot the {a}.",
    "And they laughed all the way home.", "{n} fell asleep with a smile.",
    "That night the stars were brighter than ever.", "And if you visit the {p}, you may still see them there.",
    "{n} had learned that small steps lead far.", "They knew that sharing makes every day better.",
    "{n} had learned that kindness is never lost.", "The {a} came back every year.",
    "Since then, the {p} has never been lonely.", "It was the best day of the year.",
]  # fmt: skip

_PLOTS: list[list[list[str]]] = [
    [  # something is lost
        ['"I have lost my {o}," said the {a}.', "The {a} was looking for its {o}.",
         '"Have you seen my {o}?" asked the {a}.'],
        ["{n} promised to help.", '{n} thought for a moment and said, "Let us look together."',
         '"Do not worry," said {n}.'],
        ["They looked under every stone near the {p}.", "They asked an old woman, but she had not seen it.",
         "They searched until the sun was low.", "First they found only leaves and an old shoe."],
        ["At last they saw the {o} high up in a tree.", "The {o} was lying in the water, shining.",
         "A bird had taken the {o} to its nest and gladly gave it back.", "The {o} had been in the bag all the time!"],
    ],
    [  # a storm
        ["Dark clouds came over the {p}.", "Then it began to rain.", "The wind grew stronger and stronger."],
        ["The {a} was afraid of the thunder.", '"We must find a dry place," said the {a}.',
         "The {a} did not know where to go."],
        ["{n} opened an old door and they went inside.", "{n} held up the {o} to keep them dry.",
         "They hid in a small cave and told each other stories."],
        ["When the storm was over, a rainbow stood above the {p}.", "In the morning everything was clean and new.",
         "Soon the sun came out again."],
    ],
    [  # a race
        ['"I am faster than you," said the {a}.', "The {a} wanted a race around the {p}.",
         "Everyone had come to see the great race."],
        ["{n} was not fast, but {n} did not give up.", "At first the {a} was far ahead.",
         "{n} ran and ran without looking back."],
        ["Halfway, the {a} stopped to look at a {o}.", "Then the {a} fell over a {o}.",
         "Near the end, the {a} became tired and sat down."],
        ["{n} stopped and helped the {a} up, and they finished together.", "{n} won, and the {a} clapped.",
         "In the end nobody won, and nobody minded."],
    ],
    [  # a gift
        ["It was the birthday of the {a}, but nobody knew.", "{n} wanted to give the {a} a gift.",
         "The {a} had never had a birthday party."],
        ["{n} had no money, only an old {o}.", "All day long {n} worked on a {o}.",
         "{n} wrapped a {o} in green leaves."],
        ["The {a} opened it slowly.", '"For me?" asked the {a}.', "The {a} could not believe its eyes."],
        ["It was the finest {o} in the whole {p}.", "They danced until midnight.",
         "Then they shared a warm cake with honey."],
    ],
    [  # learning something
        ["The {a} wanted to learn to sing.", '"I wish I could read," said the {a}.',
         "The {a} dreamed of flying over the {p}."],
        ["{n} had an idea and fetched a {o}.", '"Every day a little," said {n}.',
         "{n} showed the {a} how to begin."],
        ["The first try was very funny.", "They tried again and again.", "It went wrong ten times."],
        ["But one day it worked!", "After a week, the {a} could do it alone.",
         "Slowly the {a} became better, and then very good."],
    ],
    [  # a secret
        ['"I know a secret," whispered the {a}.', "The {a} carried an old {o} with a strange sign.",
         "On the ground lay a {o} that glowed in the dark."],
        ["They followed a narrow path.", "Behind the {p} there was a hidden door.",
         "{n} counted ten steps and began to dig."],
        ["Inside was a room full of light.", "There they found a box with a {o} in it.",
         "Everything was covered with dust and gold."],
        ["They took nothing but a little light in a glass.", "They promised to tell nobody.",
         "{n} closed the door again, gently."],
    ],
    [  # a journey
        ["The {a} was on its way to the sea.", '"I want to see the moon from close by," said the {a}.',
         "The {a} had to bring a {o} to its grandmother."],
        ["{n} came along with some bread and a {o}.", "They walked for three days.", "{n} carried the heavy bag."],
        ["A river was in their way, so they built a raft.", "They lost the path, but the stars showed it to them.",
         "At night it was cold, and they made a small fire."],
        ["When they arrived, everyone was waiting for them.", "At last they were there.",
         "The view was more beautiful than any picture."],
    ],
    [  # a quarrel and a repair
        ["By mistake, {n} broke the {o} of the {a}.", "The {a} and {n} both wanted the same {o}.",
         '"That {o} is mine!" cried the {a}.'],
        ["They were angry and did not speak for a day.", "{n} felt very sorry.", "The {a} turned away and was sad."],
        ['Then {n} said, "I am sorry."', "In the evening {n} brought some warm soup.",
         '"Let us share it," said {n} at last.'],
        ["Together they made a new {o}, better than the old one.", "The {a} smiled, and all was well.",
         "They took turns, and that was much more fun."],
    ],
]  # fmt: skip

_OPENINGS_KO = [
    "옛날에 {n:이/가} {p} 근처에 살았어요.", "어느 날 아침, {n:은/는} {p}에 갔어요.", "{p} 옆 작은 집에 {n:이/가} 살았어요.",
    "{n:은/는} 늘 {p}에 가 보고 싶었어요.", "봄이 오는 첫날, {n:은/는} {p}에 도착했어요.", "{n:은/는} 저녁마다 {p}에 앉아 있었어요.",
    "바람이 부는 날, {n:은/는} 혼자 {p}에 있었어요.", "눈이 많이 온 날, {n:은/는} {p}까지 걸어갔어요.",
]  # fmt: skip
_MEETINGS_KO = [
    "그곳에서 {m} {a:을/를} 만났어요.", "나무 뒤에 {m} {a:이/가} 서 있었어요.", "갑자기 {m} {a:이/가} 나타났어요.",
    "{m} {a:이/가} 혼자 앉아 있었어요.", "어디선가 소리가 나서 보니 {m} {a:이/가} 있었어요.",
]  # fmt: skip
_ENDINGS_KO = [
    "그날부터 {n:과/와} {a:은/는} 친구가 되었어요.", "{n:은/는} 그날을 잊지 않았어요.", "둘은 웃으며 집으로 돌아갔어요.",
    "{n:은/는} 미소를 지으며 잠들었어요.", "그날 밤 별이 아주 밝았어요.", "작은 친절은 사라지지 않아요.",
    "{a:은/는} 해마다 다시 찾아왔어요.", "그날은 가장 즐거운 하루였어요.",
]  # fmt: skip
_PLOTS_KO: list[list[list[str]]] = [
    [
        ['"내 {o:을/를} 잃어버렸어." {a:이/가} 말했어요.', "{a:은/는} {o:을/를} 찾고 있었어요."],
        ["{n:은/는} 도와주기로 했어요.", '"걱정하지 마." {n:이/가} 말했어요.', '"같이 찾아보자." {n:이/가} 말했어요.'],
        ["둘은 해가 질 때까지 찾았어요.", "둘은 {p} 곳곳을 살펴보았어요.", "처음에는 나뭇잎만 보였어요."],
        ["마침내 나무 위에서 {o:을/를} 찾았어요.", "{o:은/는} 물가에서 반짝이고 있었어요.", "{o:은/는} 가방 안에 있었어요!"],
    ],
    [
        ["검은 구름이 몰려왔어요.", "갑자기 비가 오기 시작했어요.", "바람이 점점 세졌어요."],
        ["{a:은/는} 천둥이 무서웠어요.", '"마른 곳을 찾아야 해." {a:이/가} 말했어요.'],
        ["{n:은/는} 오래된 문을 열고 안으로 들어갔어요.", "둘은 작은 동굴에서 이야기를 나누었어요."],
        ["비가 그치자 무지개가 떴어요.", "아침이 되자 모든 것이 새로워 보였어요.", "곧 해가 다시 나왔어요."],
    ],
    [
        ['"나는 너보다 빨라." {a:이/가} 말했어요.', "{a:은/는} 달리기 시합을 하고 싶었어요."],
        ["{n:은/는} 느렸지만 포기하지 않았어요.", "처음에는 {a:이/가} 훨씬 앞섰어요."],
        ["그런데 {a:이/가} {o:을/를} 보다가 멈추었어요.", "{a:은/는} 지쳐서 그만 앉았어요."],
        ["{n:은/는} {a:을/를} 일으켜 주었고 둘은 함께 도착했어요.", "{n:이/가} 이겼고 {a:은/는} 손뼉을 쳤어요."],
    ],
    [
        ["그날은 {a}의 생일이었어요.", "{n:은/는} {a}에게 선물을 주고 싶었어요."],
        ["{n}에게는 낡은 {o:밖에/밖에} 없었어요.", "{n:은/는} 하루 종일 {o:을/를} 만들었어요."],
        ["{a:은/는} 천천히 선물을 열었어요.", '"나한테 주는 거야?" {a:이/가} 물었어요.'],
        ["둘은 밤늦도록 춤을 추었어요.", "둘은 따뜻한 케이크를 나누어 먹었어요."],
    ],
    [
        ["{a:은/는} 노래를 배우고 싶었어요.", '"나도 글을 읽고 싶어." {a:이/가} 말했어요.', "{a:은/는} 하늘을 나는 꿈을 꾸었어요."],
        ["{n:은/는} 좋은 생각이 떠올랐어요.", '"날마다 조금씩 해 보자." {n:이/가} 말했어요.'],
        ["처음에는 아주 우스웠어요.", "둘은 몇 번이고 다시 해 보았어요."],
        ["그러던 어느 날 드디어 해냈어요!", "{a:은/는} 조금씩 잘하게 되었어요."],
    ],
    [
        ['"나는 비밀을 알고 있어." {a:이/가} 속삭였어요.', "땅 위에서 {o:이/가} 빛나고 있었어요."],
        ["둘은 좁은 길을 따라갔어요.", "{p} 뒤에 숨은 문이 있었어요."],
        ["방 안에는 빛이 가득했어요.", "상자 안에는 {o:이/가} 들어 있었어요."],
        ["둘은 아무에게도 말하지 않기로 약속했어요.", "{n:은/는} 문을 조용히 닫았어요."],
    ],
]  # fmt: skip

_REQUESTS = [
    "Tell me a story about a {a}.", "Write a short story about a {a} and a {o}.", "Tell me a story about {n} and a {a}.",
    "Write a story about a {a}.", "Tell me a short story.", "Write a short story about {n}.", "Tell me a story.",
    "Can you tell me a story about a {a}?", "Make up a story with a {a}, a {o} and a {p}.",
    "Write a short story about a {o}.", "Tell me a story about a {m} {a}.", "Write a tale about {n} at the {p}.",
    "I would like a story about a {a} in a {p}.", "Write me a bedtime story about a {a}.",
    "Write a three sentence story about a {a}.", "Write a story about a {o} and a {p}.",
]  # fmt: skip
_REQUESTS_KO = [
    "{a} 이야기를 들려주세요.", "{a:과/와} {o:이/가} 나오는 짧은 이야기를 써 주세요.", "{n:과/와} {a} 이야기를 해 줘.",
    "짧은 이야기를 들려주세요.", "이야기 하나 해 줘.", "{n:이/가} 나오는 이야기를 써 주세요.", "{o}에 대한 이야기를 써 줘.",
    "{p:이/가} 나오는 짧은 이야기를 들려줘.", "{m} {a} 이야기를 써 주세요.",
]  # fmt: skip


def fix_articles(text: str) -> str:
    """Turn ``a owl`` into ``an owl``."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def story(r: Rng, language: str) -> tuple[str, str]:
    """A request for a story and the story."""
    korean = language == "ko"
    column = 1 if korean else 0
    animal, thing, place = (r.choice(table)[column] for table in (_ANIMALS, _OBJECTS, _PLACES))
    name = r.choice(facts.KOREAN_NAMES if korean else facts.NAMES)
    mood = r.choice(_MOODS_KO if korean else _MOODS)
    make = Noun if korean else str
    slots = {
        "a": make(animal), "o": make(thing), "p": make(place), "n": make(name), "m": make(mood)
    }  # fmt: skip
    request = r.choice(_REQUESTS_KO if korean else _REQUESTS)
    plot = r.choice(_PLOTS_KO if korean else _PLOTS)
    beats = [
        r.choice(_OPENINGS_KO if korean else _OPENINGS),
        r.choice(_MEETINGS_KO if korean else _MEETINGS),
        *(r.choice(beat) for beat in plot),
        r.choice(_ENDINGS_KO if korean else _ENDINGS),
    ]
    if "three sentence" in request:
        beats = [beats[0], beats[2], beats[-1]]
    text = " ".join(beats).format(**slots)
    prompt = request.format(**slots)
    if not korean:
        text, prompt = fix_articles(text), fix_articles(prompt)
    return prompt, text
