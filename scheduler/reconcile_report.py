"""What a comparison with WeCom found: for each subject how many there are, here and there, and what became of the rest.

Kept in ``SyncRun.report`` as plain JSON, printed by ``scrm sync``, shown in the console.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

MEMBERS, DEPARTMENTS, TAGS, CHANNELS = "members", "departments", "tags", "channels"
RELATIONS, PROFILES, GROUPS = "relations", "profiles", "groups"
NAMES: Mapping[str, str] = {
    MEMBERS: "members",
    DEPARTMENTS: "departments",
    TAGS: "corp tags",
    CHANNELS: "channel codes",
    RELATIONS: "customers",
    PROFILES: "profiles",
    GROUPS: "customer groups",
}
"""In the order in which they are compared. A customer counts once for each rep who has them."""
MOST_EXAMPLES = 20


@dataclass(frozen=True)
class Example:
    """One difference. ``kind`` says in which respect; ``who`` names no more than ids where a person is meant."""

    kind: str
    who: str
    was: str = ""
    """What we held."""
    now: str = ""
    """What WeCom told; ``is`` in the JSON."""

    def as_json(self) -> dict[str, str]:
        """As it is kept."""
        return {"kind": self.kind, "who": self.who, "was": self.was, "is": self.now}


@dataclass(frozen=True)
class Subject:
    """One subject's figures; ``different`` minus ``fixed`` is what is left to people."""

    wecom: int = 0
    here: int = 0
    different: int = 0
    fixed: int = 0
    examples: tuple[dict[str, str], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Report:
    """All subjects; a value, so that what is written and what is remembered never part."""

    subjects: Mapping[str, Subject] = field(default_factory=dict)

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Report":
        """The report as it was kept."""
        return cls({name: Subject(**{**one, "examples": tuple(one["examples"])}) for name, one in kept.items()})

    def as_json(self) -> dict[str, Any]:
        """As it is kept: subjects in the order in which they are compared."""
        return {
            name: {**asdict(self.subjects[name]), "examples": list(self.subjects[name].examples)}
            for name in NAMES
            if name in self.subjects
        }

    def of(self, name: str) -> Subject:
        """A subject's figures so far."""
        return self.subjects.get(name, Subject())

    def counted(self, name: str, *, wecom: int = 0, here: int = 0) -> "Report":
        """The same with so many more looked at."""
        own = self.of(name)
        return self._with(name, replace(own, wecom=own.wecom + wecom, here=own.here + here))

    def differed(self, name: str, example: Example, *, fixed: bool, count: int = 1) -> "Report":
        """The same with a difference more, or so many alike."""
        own = self.of(name)
        examples = own.examples + ((example.as_json(),) if len(own.examples) < MOST_EXAMPLES else ())
        made = replace(own, different=own.different + count, fixed=own.fixed + count * fixed, examples=examples)
        return self._with(name, made)

    def noted(self, name: str, note: str) -> "Report":
        """The same with a sentence about a subject."""
        return self._with(name, replace(self.of(name), note=note))

    def _with(self, name: str, subject: Subject) -> "Report":
        return Report({**self.subjects, name: subject})

    @property
    def different(self) -> int:
        """Differences found in all."""
        return sum(one.different for one in self.subjects.values())

    @property
    def fixed(self) -> int:
        """Differences mended in all."""
        return sum(one.fixed for one in self.subjects.values())

    def lines(self) -> list[str]:
        """A line for each subject, such as ``customers: WeCom 4,812, here 4,809: fixed 3``."""
        return [_line(NAMES[name], self.subjects[name]) for name in NAMES if name in self.subjects]


def _line(name: str, one: Subject) -> str:
    left = one.different - one.fixed
    found = [f"fixed {one.fixed:,}"] if one.fixed else []
    found += [f"{left:,} different"] if left else []
    return f"{name}: WeCom {one.wecom:,}, here {one.here:,}: {', '.join(found) or 'the same'}"
