"""Cut a ClickHouse script into its statements."""

import re

_PART = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<quoted>  '(?:[^'\\]|\\.)*(?:'|\Z) | "(?:[^"\\]|\\.)*(?:"|\Z) | `(?:[^`\\]|\\.)*(?:`|\Z) )
  | (?P<end>     ; )
    """,
    re.VERBOSE | re.DOTALL,
)


def statements(script: str) -> list[str]:
    """Return the statements between semicolons, without comments and surrounding blanks; empty ones are left out.

    Semicolons and dashes in strings and quoted names mean nothing. A doubled quote reads as two strings, which
    cuts the same way. Heredocs (`$tag$`) are not known here.
    """
    found: list[str] = []
    current: list[str] = []
    position = 0
    for part in _PART.finditer(script):
        current.append(script[position : part.start()])
        position = part.end()
        match part.lastgroup:
            case "comment":
                current.append(" ")
            case "quoted":
                current.append(part.group())
            case _:
                found.append("".join(current))
                current = []
    found.append("".join([*current, script[position:]]))
    return [text for statement in found if (text := statement.strip())]
