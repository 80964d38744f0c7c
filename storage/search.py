"""The words of the stories, found again: pairs of neighbouring characters, kept in the database's own full-text index.

Every text of two and more characters is found wherever it stands, because it is looked for by its pairs and each pair
of the text is in the index; a segmenter would cut the same words differently in another sentence and miss them (see
docs/decisions/0007). SQLite keeps them with FTS5, PostgreSQL as a tsvector with a GIN index, in ``story_text``.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator

from sqlalchemy import ARRAY, ColumnElement, Text, bindparam, column, select, table, text
from sqlalchemy.orm import Session

from storage.tables import Interaction

WORD = re.compile(r"[a-z0-9]+|[^\W\da-z_]+")
"""A run of Latin letters and digits, or a run of any other letters."""
MOST = 4000
"""So many characters of one text are indexed; nobody looks for what stands after them."""
STORY = table("story_text", column("rowid"), column("tokens"))


def tokens(said: str) -> list[str]:
    """What a text is found by: Latin words and numbers whole, of other letters each pair (a lone one by itself)."""
    return list(dict.fromkeys(_tokens(said[:MOST])))


def _tokens(said: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFKC", said).lower()
    for found in WORD.finditer(plain):
        run = found[0]
        if run.isascii() or len(run) == 1:
            yield run[:64]
        else:
            yield from (run[at : at + 2] for at in range(len(run) - 1))


def index(db: Session, interaction_id: int, said: str) -> None:
    """Let this line of a story be found by its text."""
    words = tokens(said.encode(errors="ignore").decode())
    if not words:
        return
    if db.get_bind().dialect.name == "sqlite":
        line = text("INSERT INTO story_text (rowid, tokens) VALUES (:id, :words)")
        db.execute(line, {"id": interaction_id, "words": " ".join(words)})
    else:
        line = text("INSERT INTO story_text (rowid, tokens) VALUES (:id, array_to_tsvector(:words))")
        db.execute(line.bindparams(bindparam("words", type_=ARRAY(Text))), {"id": interaction_id, "words": words})


def forget(db: Session, interaction_ids: Collection[int]) -> None:
    """These lines are not found any more."""
    if interaction_ids:
        gone = text("DELETE FROM story_text WHERE rowid IN :ids").bindparams(bindparam("ids", expanding=True))
        db.execute(gone, {"ids": list(interaction_ids)})


def index_all(db: Session) -> int:
    """Let every line with a text be found: after a restore, as the index is in no backup. How many lines there are."""
    said = select(Interaction.id, Interaction.details).order_by(Interaction.id).execution_options(yield_per=1000)
    count = 0
    for interaction_id, details in db.execute(said):
        if words := details.get("text"):
            index(db, interaction_id, str(words))
            count += 1
    return count


def holding(db: Session, wanted: str) -> ColumnElement[bool]:
    """The condition that a line of a story holds this text, as it was typed but for case and width.

    What has no pair (a single character, a sign) is compared with the texts themselves.
    """
    words = tokens(wanted)
    if not words or any(len(word) == 1 and not word.isascii() for word in words):
        said: ColumnElement[str] = Interaction.details["text"].as_string()
        return said.contains(wanted.strip(), autoescape=True)
    if db.get_bind().dialect.name == "sqlite":
        question = " ".join(f'"{word}"' for word in words)
        found = text("story_text MATCH :question").bindparams(question=question)
        return Interaction.id.in_(select(STORY.c.rowid).where(found))
    quoted = " & ".join("'{}'".format(word.replace("'", "''")) for word in words)
    pairs = text("CAST(:words AS tsquery)").bindparams(words=quoted)
    return Interaction.id.in_(select(STORY.c.rowid).where(STORY.c.tokens.op("@@")(pairs)))
