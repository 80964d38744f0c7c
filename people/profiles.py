"""What WeCom and reps tell of somebody, brought up to date: name, picture, remarks, and the ways to know them in these.

They are kept with the anchor through which they came, and told to ``people.joining``: a unionid may say that two are
one person.
"""

from sqlalchemy import select

from people import identities, joining, merging, persons
from people.joining import Given
from storage.tables import Identity, Person, Relation
from storage.work import Work
from wecom.gateway import Profile


def remember(work: Work, person: Person, profile: Profile) -> Person:
    """Bring name, picture and the reps' remarks up to date with what WeCom told us. Relations are there already.

    Gives who they are then: what WeCom told may say that they are somebody we know.
    """
    person = persons.head_of(work.db, person)
    anchor = anchor_of(work, person, profile.external_userid)
    anchor.name = profile.name or anchor.name
    anchor.avatar = profile.avatar
    anchor.gender, anchor.kind, anchor.corp_name = profile.gender, profile.kind, profile.corp_name
    anchor.profile_at = work.now
    phones = _remarks(work, profile)
    if anchor is not person:
        merging.derive(work.db, person.id)
    if profile.unionid:
        told = [Given(persons.UNIONID, profile.unionid)]
        person = joining.learn(work, anchor.id, told, source="wecom")
    return _remember_phones(work, anchor, profile.external_userid) if phones else person


def anchor_of(work: Work, person: Person, external_userid: str) -> Person:
    """The anchor of this person to which an external_userid leads: themselves, unless they are several."""
    own = (Identity.type == persons.EXTERNAL, Identity.value == external_userid, Identity.person_id == person.id)
    number = work.db.scalar(select(Identity.anchor_id).where(*own))
    return person if number is None else work.db.get_one(Person, number)


def _remarks(work: Work, profile: Profile) -> bool:
    """Keep what each rep wrote; whether that changed the numbers among it."""
    own = select(Relation).where(Relation.external_userid == profile.external_userid)
    with work.db.no_autoflush:
        by_rep = {one.userid.lower(): one for one in work.db.scalars(own)}
    sides = [(by_rep[one.userid.lower()], one) for one in profile.follows if one.userid.lower() in by_rep]
    before = [list(relation.remark_phones or []) for relation, _ in sides]
    for relation, side in sides:
        relation.remark, relation.description = side.remark, side.description
        relation.add_way, relation.remark_phones = side.add_way, list(side.phones)
    return before != [list(side.phones) for _, side in sides]


def _remember_phones(work: Work, anchor: Person, external_userid: str) -> Person:
    """Keep what reps wrote down as somebody's numbers, as evidence that only proposes; who they are then.

    A number that stands in no remark any more was a mistake and is forgotten. One that is somebody else's stays theirs.
    """
    work.db.flush()
    remarks = select(Relation.remark_phones).where(Relation.external_userid == external_userid)
    written = identities.spelt_phones(one for some in work.db.scalars(remarks).all() for one in some or [])
    if anchor.phone not in written:
        anchor.phone = next(iter(written), None)
    told = [Given(identities.PHONE, one, verified=False) for one in written]
    head = joining.learn(work, anchor.id, told, source=persons.REMARK)
    kept = {(identities.PHONE, one) for one in written}
    joining.forget(work, anchor.id, persons.REMARK, kept, identities.PHONE)
    if head.id != anchor.id:
        merging.derive(work.db, head.id)
    return head
