"""The Prometheus text format of several processes as one."""

import re
from collections.abc import Mapping

_COMMENT = re.compile(r"# (?:HELP|TYPE) (?P<family>\S+)")
_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?(?P<rest> .+)")


def merge(expositions: Mapping[str, str]) -> str:
    """Join expositions by process name: families together, every sample with the label `process`."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for process, text in expositions.items():
        comments, samples = families.setdefault("", ([], []))
        for line in text.splitlines():
            if comment := _COMMENT.match(line):
                comments, samples = families.setdefault(comment["family"], ([], []))
                if line not in comments:
                    comments.append(line)
            elif sample := _SAMPLE.fullmatch(line):
                samples.append(_labelled(sample, process))
    lines = [line for comments, samples in families.values() for line in (*comments, *samples)]
    return "".join(f"{line}\n" for line in lines)


def _labelled(sample: re.Match[str], process: str) -> str:
    others = f"{sample['labels']}," if sample["labels"] else ""
    return f'{sample["name"]}{{{others}process="{process}"}}{sample["rest"]}'
