"""Families of language models and who makes them: the words by which a model can say what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

# One line a family: its names | its makers. `_` is a blank, `~` marks an ordinary word, which has to stand where a name
# stands before it counts. Names of makers are all taken for ordinary words.
_TABLE = """
qwen qwq qvq qianwen tongyi 큐웬 퀜 쿠엔 千问 通义 | alibaba 알리바바 통의 阿里云 阿里巴巴
llama~ 라마~ | meta 메타 facebook 페이스북
gemma gemini~ bard~ palm~ 젬마 제미나이 제미니 | google 구글 deepmind 딥마인드
mistral mixtral ministral magistral codestral devstral pixtral 미스트랄 믹스트랄 | mistral_ai mistralai
phi~ 파이~ | microsoft 마이크로소프트
deepseek deep_seek 딥시크 深度求索 | deepseek_ai
gpt chatgpt gptoss 챗gpt 챗지피티 지피티 | openai open_ai 오픈ai 오픈에이아이
claude~ 클로드~ | anthropic 앤트로픽 앤스로픽
falcon~ 팔콘~ | tii technology_innovation_institute
exaone 엑사원 | lg 엘지
solar~ 솔라~ | upstage 업스테이지
kanana 카나나 | kakao 카카오
hyperclova hyperclovax clova clovax 하이퍼클로바 하이퍼클로바x 클로바 | naver 네이버
midm 믿음~ | kt 케이티
eeve | yanolja 야놀자
bllossom~ varco~ | ncsoft 엔씨소프트
command~ commandr aya~ 커맨드~ | cohere 코히어
granite~ 그래니트 그라나이트 | ibm 아이비엠
olmo olmoe tulu | ai2 allen_institute allenai
glm chatglm codegeex 智谱 | zhipu z.ai thudm 즈푸
yi~ | 01.ai 01_ai 01-ai 零一万物
internlm internvl | shanghai_ai_laboratory
vicuna~ 비쿠나~ | lmsys
zephyr~ smollm 제퍼~ | hugging_face huggingface 허깅페이스
dolphin~ | cognitive_computations
hermes~ openhermes | nous nous_research
wizardlm wizardcoder |
orca~ starling~ alpaca~ 알파카~ | stanford
stablelm | stability_ai
tinyllama minicpm | openbmb
nemotron nemo~ | nvidia 엔비디아
kimi 키미 | moonshot moonshot_ai
minimax | hailuo
hunyuan 훈위안 | tencent 텐센트
ernie~ 文心一言 | baidu 바이두
doubao 豆包 | bytedance 바이트댄스
baichuan 百川 | baichuan_ai
grok~ 그록 | xai
jamba | ai21
dbrx mpt~ | databricks mosaicml
bloom~ bloomz | bigscience
openelm | apple 애플
arctic~ | snowflake
lfm~ | liquid liquid_ai
reka~ | reka_ai
copilot~ 코파일럿 | github
"""

_STOP = """
instruct instruction chat base code coder coding vision text mini small medium large tiny nano micro big huge giant
latest preview demo model models gguf ggml safetensors hugging uncensored abliterated distill distilled thinking
reasoning reasoner think math long context experimental quant imatrix lora merged mix pro plus max flash lite turbo
ultra super fast slow test default local home user users var opt mnt data share cache blobs hub download downloads
the and new old one two three med fine tuned finetune awq gptq exl bnb mlx fp bf int http https localhost language
llm slm moe dpo sft rlhf orpo guard embed embedding assistant bot server open free community lmstudio unsloth
bartowski thebloke
"""
_COMMON = frozenset(_STOP.split())
"""What stands in many models' addresses and names none of them."""
_SHORT = 4
"""Letters from which a family is seen inside of a longer word, as llama in codellama."""


@dataclass(frozen=True, slots=True)
class Family:
    """Words for one family of models, lower-case."""

    names: frozenset[str]
    makers: frozenset[str]
    ordinary: frozenset[str]
    """Those that also mean something else: a bird, a metal, a search engine."""

    @property
    def words(self) -> frozenset[str]:
        """All of them."""
        return self.names | self.makers

    def has(self, token: str) -> bool:
        """Whether a lower-case part of an address speaks of this family."""
        return any(token == word or (len(word) >= _SHORT and word in token) for word in self.words)


@cache
def known() -> tuple[Family, ...]:
    """Every family of the table."""
    return tuple(_family(line) for line in _TABLE.strip().splitlines())


def _family(line: str) -> Family:
    names, makers = (part.split() for part in line.split("|"))
    owners = frozenset(word.replace("_", " ") for word in makers)
    plain = frozenset(word.rstrip("~").replace("_", " ") for word in names)
    marked = frozenset(word.rstrip("~").replace("_", " ") for word in names if word.endswith("~"))
    return Family(plain, owners, marked | owners)


def tokens(address: str) -> set[str]:
    """The parts of a model's name or family that are words, lower-case: `qwen` of `qwen3:8b-instruct-q4_K_M`.

    Of a path, its last two parts: what stands before is the user's own, not the model's.
    """
    tail = "/".join(re.split(r"[/\\]", address)[-2:]).lower()
    return {word for word in re.findall(r"[a-z]{2,}|[가-힣]{2,}", tail) if word not in _COMMON}


def in_play(addresses: Iterable[str]) -> tuple[set[str], set[str]]:
    """(distinctive words, ordinary words) of the families and makers of these models, and of their own names.

    What no family of the table has is a name that somebody gave; it may be any word, so it is an ordinary one.
    """
    parts = {token for address in addresses for token in tokens(address)}
    mine = [family for family in known() if any(family.has(part) for part in parts)]
    words = {word for family in mine for word in family.words}
    ordinary = {word for family in mine for word in family.ordinary}
    return words - ordinary, ordinary | {part for part in parts if len(part) > 2 and part not in words}
