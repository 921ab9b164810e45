"""Make text from untrusted sources safe for each format: one function per format.

Class names, file names and reasons may be whatever a supplier wrote. In a terminal they must not
send escapes, in a page they must not be markup or links, in a sheet no formulas.
"""

from __future__ import annotations

import re
import unicodedata

# Printable for Python, but nobody sees them.
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Marks that sit on one letter; more of them are drawn over the lines above and below.
MAX_MARKS = 4
# What build servers take for commands when they read a log: Azure and TeamCity anywhere, GitHub at
# the beginning of a line.
COMMAND = re.compile(r"##(?=\w*\[)|^::")
# An invisible place to break a line, behind which nothing is a link or a mention any more.
BREAK = "\u200b"
LINKED = (
    (re.compile(r":(?=//)"), f":{BREAK}"),
    (re.compile(r"\b(www)\.", re.I), rf"\1{BREAK}."),
    (re.compile(r"(?<=[\w.+-])@|@(?=\w)"), f"@{BREAK}"),
    # Issues, merge requests, snippets, labels, milestones, epics, alerts of GitHub and GitLab.
    (re.compile(r"([#!$~%&^])(?=\w)"), rf"\1{BREAK}"),
    (re.compile(r"\b(GH-)(?=\d)", re.I), rf"\1{BREAK}"),
    # Pictures by name, as :bomb:.
    (re.compile(r":(?=[\w+-]+:)"), f":{BREAK}"),
)
MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&$^!])")
# What begins a list or a heading at the beginning of a line.
LEADING = re.compile(r"^(\d*)([-+=:.)])")
FORMULA = re.compile(r"^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
# What XML 1.0 cannot hold, not even escaped.
NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def line(value: object) -> str:
    r"""Return one line for a terminal, a log or a page of plain text.

    White space becomes single spaces. Controls (ANSI escapes among them), bidirectional overrides
    and what is invisible are written as escapes, and so are commands to build servers.

    >>> line("a\n\x1b[31mb\u202e"), line("::error::x")
    ('a \\x1b[31mb\\u202e', '\\::error::x')
    """
    joined = " ".join(str(value).split())
    marks = 0
    out: list[str] = []
    for character in joined:
        marks = marks + 1 if unicodedata.combining(character) else 0
        seen = character.isprintable() and character not in INVISIBLE and marks <= MAX_MARKS
        out.append(character if seen else _escape(character))
    return COMMAND.sub(_broken, "".join(out))


def unlinked(value: object) -> str:
    """Return one line in which no viewer makes a link of an address, mention or reference."""
    text = line(value)
    for pattern, instead in LINKED:
        text = pattern.sub(instead, text)
    return text


def markdown(value: object) -> str:
    r"""Return text that a paragraph, a list or a table in Markdown shows as it is.

    >>> print(markdown("a|b <img> [x](y)"))
    a\|b \<img\> \[x\](y)
    """
    return LEADING.sub(r"\1\\\2", MARKUP.sub(r"\\\1", unlinked(value)))


def sarif(value: object) -> str:
    r"""Return the text of a SARIF message, where brackets are links and braces are placeholders.

    >>> print(sarif("{0} [x]"))
    {{0}} \[x\]
    """
    text = unlinked(value).replace("{", "{{").replace("}", "}}")
    text = text.replace("[", "\\[").replace("]", "\\]")
    return text.replace("](", f"]{BREAK}(")


def csv_cell(value: object) -> object:
    """Return a cell of a sheet: numbers as they are, text on one line and never a formula.

    >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell(-1)
    ("'=1+1", '-0.5', -1)
    """
    if not isinstance(value, str):
        return value
    text = line(value)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.match(text) else text


def xml(value: str) -> str:
    """Return text that an XML file can hold once it is escaped; lines stay lines.

    It names no attachments, which Jenkins would copy.
    """
    return NO_XML.sub("\ufffd", value).replace("[[ATTACHMENT", "[ [ATTACHMENT")


def shortened(value: object, limit: int) -> str:
    """Return one line, cut to at most `limit` characters."""
    text = line(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _broken(command: re.Match[str]) -> str:
    return "#\\#" if command[0] == "##" else "\\::"


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
