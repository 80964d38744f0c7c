"""The form of an answer: questions and keywords one a line, written as in ``console.rule_form``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from werkzeug.datastructures import MultiDict

from console import forms, here
from console.rule_form import FIELDS, read_keyword, shown_keyword
from console.words import _
from storage.tables import Answer
from tagging import answers
from tagging.answers import Draft
from tagging.channels import Invalid
from tagging.keywords import LISTS


@dataclass(frozen=True)
class Form:
    """The fields as they stand on the page; lists as text, one a line."""

    name: str = ""
    questions: str = ""
    any: str = ""
    all: str = ""
    none: str = ""
    text: str = ""
    menu: str = ""
    hand_over: bool = False
    place: str = "0"
    version: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)

    def draft(self) -> Draft:
        """What the form asks for. Raises ``Invalid`` for what cannot even be read."""
        if not (self.place.isascii() and self.place.isdecimal() and len(self.place) <= 4):
            raise Invalid([("place", _("请填 0–9999 的整数"))])
        lists = {name: [read_keyword(line) for line in forms.entries(getattr(self, FIELDS[name]))] for name in LISTS}
        return Draft(
            name=self.name,
            definition={
                name: value for name, value in {**lists, "questions": forms.entries(self.questions)}.items() if value
            },
            text=self.text.strip(),
            menu=tuple(forms.entries(self.menu)),
            hand_over=self.hand_over,
            place=int(self.place),
        )


def of_answer(answer: Answer) -> Form:
    """The form of an answer as it is."""
    draft = answers.draft_of(answer)
    lists = {FIELDS[name]: "\n".join(map(shown_keyword, draft.definition.get(name) or [])) for name in LISTS}
    return Form(
        name=draft.name,
        questions="\n".join(draft.definition.get("questions") or []),
        text=draft.text,
        menu="\n".join(draft.menu),
        hand_over=draft.hand_over,
        place=str(draft.place),
        version=answer.version,
        any=lists["any"],
        all=lists["all"],
        none=lists["none"],
    )


def read(sent: "MultiDict[str, str]") -> Form:
    """The form as it was sent."""
    return Form(
        name=sent.get("name", "").strip(),
        questions=sent.get("questions", ""),
        any=sent.get("any", ""),
        all=sent.get("all", ""),
        none=sent.get("none", ""),
        text=sent.get("text", "").replace("\r\n", "\n"),
        menu=sent.get("menu", ""),
        hand_over="hand_over" in sent,
        place=sent.get("place", "").strip() or "0",
        version=here.number(sent.get("version")) or 0,
    )
