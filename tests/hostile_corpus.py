"""Texts that a stranger may say: each tries to command a terminal, an interpreter of markup, or a spreadsheet, or to
take a long time.

`SMALL` has them by name, a few characters to a few thousand; `LARGE` those whose size is the attack, up to a megabyte.
Every text begins with its own number, so that what a test finds can be traced to it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

ESC, BEL, ST, C1_CSI, C1_OSC, C1_DCS, C1_ST = "\x1b", "\x07", "\x1b\\", "\x9b", "\x9d", "\x90", "\x9c"
MEGABYTE = 1 << 20

_CSI = {
    "colours": "31;1;5;8m",
    "clear": "2J",
    "clear scrollback": "3J",
    "clear line": "2K",
    "home": "H",
    "far away": "999;999H",
    "up": "99A",
    "back": "99D",
    "insert lines": "99L",
    "delete lines": "99M",
    "delete characters": "99P",
    "repeat": "99999b",
    "scroll region": "5;6r",
    "scroll": "99S",
    "main screen": "?1049l",
    "no cursor": "?25l",
    "no wrap": "?7l",
    "reverse video": "?5h",
    "132 columns": "?3h",
    "mouse": "?1003h",
    "paste": "?2004l",
    "freeze": "?2026h",
    "insert": "4h",
    "attributes": "c",
    "more attributes": ">c",
    "version": ">0q",
    "cursor report": "6n",
    "title report": "21t",
    "push title": "22;0t",
    "resize": "8;1;1t",
    "minimise": "2t",
    "soft reset": "!p",
    "mode report": "?2026$p",
    "kitty keys": ">31u",
    "checksum": "1;1;1;1;1;1*y",
    "margins": "?69h",
    "tab clear": "3g",
    "led": "1q",
    "cut": "31",
    "long": "1;" * 500 + "m",
}
_OSC = {
    "title": "0;owned",
    "icon": "1;owned",
    "palette": "4;1;rgb:00/00/00",
    "folder": "7;file:///etc",
    "link": "8;;file:///etc/passwd",
    "link with id": "8;id=a;ssh://x",
    "notify": "9;owned",
    "foreground": "10;?",
    "background": "11;#000000",
    "pointer": "22;wait",
    "font": "50;#1",
    "clipboard": "52;c;cm0gLXJmIH4=",
    "read clipboard": "52;c;?",
    "reset palette": "104",
    "shell": "133;A",
    "rxvt": "777;notify;a;b",
    "iterm": "1337;File=inline=1:AAAA",
    "iterm copy": "1337;CopyToClipboard=",
    "log": "46;/tmp/log",
}
_STRINGS = {
    "tmux": f"Ptmux;{ESC}{ESC}]52;c;aGk={BEL}",
    "sixel": "Pq#0;2;0;0;0~~",
    "kitty image": "_Ga=T,f=100;AAAA",
    "request": "P$qm",
    "terminfo": "P+q544e",
    "privacy": "^owned",
    "start": "Xowned",
    "screen title": "kowned",
    "keys": "P0;1|17/41",
}
_ESCAPES = {
    "reset": "c",
    "save": "7",
    "index": "D",
    "reverse index": "M",
    "align": "#8",
    "charset": "(0",
    "shift": "n",
    "keypad": "=",
    "memory lock": "l",
    "vt52": "<",
    "alone": "",
    "twice": ESC,
    "before korean": "한",
}
_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_UNSEEN = (
    *(
        0x00AD,
        0x034F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180B,
        0x180E,
        0x200B,
        0x200C,
        0x200D,
        0x2028,
        0x2029,
        0x2060,
        0x2061,
    ),
    *(0x2064, 0x206A, 0x206F, 0x2800, 0x3164, 0xFE00, 0xFE0F, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFB, 0xFFFC, 0x110BD, 0x1BCA0),
    *(0x1D173, 0x1D17A, 0xE0001, 0xE0020, 0xE007F, 0xE0100, 0xE01EF, 0xFFFE, 0xFFFF, 0x10FFFF, 0xE000, 0xFDD0),
)
_MARKS = (
    0x0300,
    0x0483,
    0x0591,
    0x064B,
    0x0E49,
    0x0F72,
    0x093C,
    0x1AB0,
    0x1DC0,
    0x20D0,
    0x20E3,
    0x302A,
    0x3099,
    0xFE20,
)
_SURROGATES = ("\ud83d", "\ude00", "\ude00\ud83d", "a\udfffb", "\ud83d \ude00", "\ud800" * 50)
_MARKUP = (
    "[red]x[/red]",
    "[/nope]",
    "[/]",
    "[",
    "]",
    "[[",
    "[@click=app.leave]press[/]",
    "[@click='app.bell']x[/@click]",
    "[link=file:///etc/passwd]x[/link]",
    "[bold",
    "[$error]x",
    "[on red blink reverse]x",
    "\\[red]x",
    "[b][i][/b][/i]",
    "[on $primary 200%]x[/]",
    "[#zzz]x",
    "[not a tag] [1] [] [a=b]",
    "{0.__class__}",
    "{name}",
    "{",
    "%s %(x)s %",
    "$HOME `id`",
    ":smile: :boom:",
    "<think>",
    "</think>",
    "<|im_start|>system",
    "<script>alert(1)</script>",
    "<!-- --> <br> <div>",
    "</td></tr></table></body>",
    "'\"><img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    "&lt;b&gt; &amp;amp;",
    "]]>",
    "<a href='javascript:alert(1)'>x</a>",
)
_ENTITIES = (
    "&#27;[2J",
    "&#x1b;c",
    "&#x9b;2J",
    "&#0;",
    "&#x202e;abc",
    "&rlm;abc",
    "&ZeroWidthSpace;",
    "&#xad;",
    "&#xd800;",
    "&#x7f;",
    "&#xfeff;",
    "&#xe0041;",
    "&NewLine;&Tab;",
    "&#13;",
    "&#99999999;",
)
_LINKS = (
    "[good.com](http://evil.com)",
    "[x](javascript:alert)",
    "[x](file:///etc/passwd)",
    "[x](ssh://a)",
    "[x](vscode://a)",
    "[x](--help)",
    "[x](http://a/%1b%5d52;c;aGk=%07)",
    "![x](/etc/passwd)",
    "<http://evil.com/%0a>",
    "[x]: http://evil.com 'y'\n\n[x]",
    "http://evil.com www.evil.com a@evil.com",
    '[x](<http://a b> "t")',
    "[![x](http://a)](http://b)",
)
_FORMULAS = (
    "=1+1",
    "=cmd|'/c calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    '"=1+1',
    '=HYPERLINK("http://a")',
    "\u200b=1+1",
    "\ufeff=1+1",
    "\u202e=1+1",
    "＝1+1",
    "=1+1\n=2+2",
    ";=1+1",
    ",=1+1",
    '",=1+1,"',
    "'=1+1",
)
_MARKDOWN = (
    "```",
    "```\nnever closed",
    "~~~\nnever closed",
    "````\n```\n````",
    "- " * 40 + "x",
    "> " * 100 + "x",
    "#" * 100,
    "* * *\n" * 30,
    "1. a\n1000000000. b\n999999999. c",
    "| a | b |\n|---|\n| c |",
    "|" * 60 + "\n" + "|-" * 60 + "|",
    "| a |\n|---|\n" * 20,
    "***" * 50,
    "__a__" * 30,
    "~~" * 61,
    "`" * 99 + "a",
    "a\\\n" * 20,
    "    code\n\tcode",
    "a  \nb",
    "- [ ] x\n- [x] y",
    "[^1]: note\n\n[^1]",
    "Setext\n===\nSetext\n---\n",
    "-\n-\n-\n",
    "+\n  +\n    +",
    "![" * 50,
    "](" * 50,
    "<" * 99,
    "&" * 99,
    "\\" * 99,
)


def _named() -> Iterator[tuple[str, str]]:
    for code in (*range(0x20), *range(0x7F, 0xA0)):
        yield f"U+{code:04X}", f"a{chr(code)}b{chr(code)}"
    for name, rest in _CSI.items():
        yield f"CSI {name}", f"{ESC}[{rest}x"
        yield f"C1 CSI {name}", f"{C1_CSI}{rest}x"
    for name, rest in _OSC.items():
        yield f"OSC {name}", f"{ESC}]{rest}{BEL}x"
        yield f"OSC {name}, ST", f"{ESC}]{rest}{ST}x"
        yield f"C1 OSC {name}", f"{C1_OSC}{rest}{C1_ST}x"
        yield f"OSC {name}, open", f"x{ESC}]{rest}"
    for name, rest in _STRINGS.items():
        yield f"string {name}", f"{ESC}{rest}{ST}x"
        yield f"string {name}, open", f"x{ESC}{rest}"
        yield f"C1 string {name}", f"{C1_DCS}{rest[1:]}{C1_ST}"
    for name, rest in _ESCAPES.items():
        yield f"ESC {name}", f"x{ESC}{rest}"
    for code in (*_BIDI, *_UNSEEN):
        yield f"U+{code:04X} {unicodedata.name(chr(code), '')}".strip(), f"a{chr(code)}b{chr(code)}한{chr(code) * 3}"
    for code in (*_MARKS, 0x200B, 0x200C, 0x200D, 0x2060, 0xFE0F, 0xE0100, 0x180B, 0x1F3FB, 0x1F1E6):
        yield f"flood of U+{code:04X}", f"a{chr(code) * 2000}b"
    for group, texts in (
        ("surrogate", _SURROGATES),
        ("markup", _MARKUP),
        ("entity", _ENTITIES),
        ("link", _LINKS),
        ("formula", _FORMULAS),
        ("markdown", _MARKDOWN),
    ):
        for number, text in enumerate(texts):
            yield f"{group} {number}", text


def _large() -> Iterator[tuple[str, str]]:
    for name, unit in {
        "letters": "x",
        "hangul": "한",
        "blanks": " ",
        "tabs": "\t",
        "line breaks": "\n",
        "carriage returns": "\r",
        "escapes": ESC,
        "marks": "\u0301",
        "hebrew marks": "\u0591",
        "joiners": "\u200d",
        "non-joiners": "\u200c",
        "zero width": "\u200b",
        "selectors": "\U000e0100",
        "flags": "\U0001f1f0",
        "skin tones": "👍🏽",
        "families": "👨\u200d👩\u200d👧",
        "paragraphs": "a\n\n",
        "headings": "# a\n",
        "rules": "---\n\n",
        "quotes": ">",
        "brackets": "[",
        "images": "![",
        "links": "[a](",
        "autolinks": "<a:",
        "stars": "*",
        "words": "*a ",
        "underscores": "_a",
        "code": "`a",
        "backticks": "`",
        "angles": "<",
        "ampersands": "&",
        "pipes": "|",
        "items": "- a\n",
        "numbered": "1. a\n",
        "nested items": "- ",
        "backslashes": "\\",
        "fences": "```\n",
        "breaks": "a  \n",
        "long words": "wörd " * 3,
        "tildes": "~~a",
        "references": "[a]: b\n",
        "exclamations": "!",
        "hard lines": "a\\\n",
        "html": "<div>",
        "markup": "[red]",
        "comments": "<!--",
    }.items():
        yield f"a megabyte of {name}", unit * (MEGABYTE // len(unit.encode()))
    yield "2,000 columns", "|a" * 2000 + "|\n" + "|-" * 2000 + "|\n" + ("|b" * 2000 + "|\n") * 3
    yield "a table of 20,000 rows", "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 20_000
    yield "a table with a long cell", "| a | b |\n|---|---|\n| " + "x" * 300_000 + " | 2 |\n"
    yield "nested quotes", "".join(f"{'>' * depth} a\n" for depth in range(1, 400))
    yield "nested lists", "".join(f"{'  ' * depth}- a\n" for depth in range(400))
    yield "a fence of one line", "```\n" + "x" * MEGABYTE
    yield "a fence of many lines", "```python\n" + "x = [(1, 2), '3']\n" * 40_000 + "```\n"
    yield "emphasis that never ends", "**a " * 100_000
    yield "code that never ends", "`" + "``a " * 100_000


def _numbered(texts: Iterator[tuple[str, str]], first: int) -> dict[str, str]:
    return {name: f"{number}{_glue(text)}{text}" for number, (name, text) in enumerate(texts, first)}


def _glue(text: str) -> str:
    """What stands at the beginning of a line stays there."""
    return "\n\n" if text[:1] in tuple("`~|#>-*+1<") else ":"


SMALL = _numbered(_named(), 1000)
LARGE = _numbered(_large(), 9000)
FORMULAS = tuple(_FORMULAS)
