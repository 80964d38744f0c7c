"""D1 to D10 of loyalty.md §6.3 against the real database code: learning, cutting, blocking, giving up, in any order."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from people import blocking, joining, resolving
from people.blocklist import names_nobody
from people.joining import Given
from soak import many
from storage.tables import BlockedValue, Evidence, Identity, Interaction, Verdict
from tests.opened import ONE
from tests.people.joined import START, House

PRIMARIES = [("external_userid", f"E{one}") for one in range(4)] + [("pos:member", f"M{one}") for one in range(4)]
SHARED = [("unionid", "U1"), ("unionid", "U2"), ("wx1:openid", "O1"), ("phone", "13911110001"),
          ("phone", "13911110002"), ("phone", "13800138000")]  # fmt: skip
PHONES = [one for one in SHARED if one[0] == "phone"]
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


class Identities(RuleBasedStateMachine):
    """Eight ways to come to us, and what they share."""

    house: House

    @initialize()
    def begin(self) -> None:
        self.house.empty()
        self.made: dict[tuple[str, str], int] = {}
        self.cuts: list[tuple[int, int]] = []
        self.told: dict[int, set[int]] = {}

    def _anchor(self, primary: tuple[str, str]) -> int:
        if primary not in self.made:
            self.house.learn(Given(*primary))
            (row,) = self.house.rows(Evidence, Evidence.home, Evidence.value == primary[1])
            self.made[primary] = row.anchor_id
            self.house.tell(row.anchor_id)
        return self.made[primary]

    @rule(primary=st.sampled_from(PRIMARIES), shared=st.sampled_from(SHARED), verified=st.booleans())
    def learn(self, primary: tuple[str, str], shared: tuple[str, str], verified: bool) -> None:
        anchor = self._anchor(primary)
        before = self.house.heads()
        self.house.learn(Given(*shared, verified=verified or shared[0] != "phone"), anchor=anchor)
        self._touches_only({anchor}, before)

    @rule(primary=st.sampled_from(PRIMARIES), phone=st.sampled_from(PHONES))
    def bind(self, primary: tuple[str, str], phone: tuple[str, str]) -> None:
        self.house.learn(Given(*phone, verified=False), anchor=self._anchor(primary), source="rep:lisi")

    @rule(phone=st.sampled_from(PHONES[:2]), verified=st.booleans())
    def buy(self, phone: tuple[str, str], verified: bool) -> None:
        with self.house.work() as work:
            place = joining.person_by(work, *phone, verified=verified, source="pos", at=work.now)
        blocked = phone in {(one.type, one.value) for one in self.house.rows(BlockedValue)}
        assert (place is None) == blocked
        if place is not None:
            assert self.house.heads()[place[1]] == place[0]

    @rule(data=st.data())
    @precondition(lambda self: any(len(one) > 1 for one in self.house.groups()))
    def cut(self, data: st.DataObject) -> None:
        together = sorted(one for group in self.house.groups() if len(group) > 1 for one in group)
        anchor = data.draw(st.sampled_from(together))
        before = self.house.heads()
        with self.house.work() as work:
            joining.cut(work, anchor, by="boss", why="两个人")
        group = {one for one, head in before.items() if head == before[anchor]}
        assert {one for one, head in self.house.heads().items() if head == self.house.heads()[anchor]} & group == {
            anchor
        }
        self.cuts += [(min(anchor, one), max(anchor, one)) for one in group if one != anchor]
        self._touches_only({anchor}, before)

    @rule(data=st.data())
    @precondition(lambda self: self.cuts)
    def uncut(self, data: st.DataObject) -> None:
        pair = self.cuts.pop(data.draw(st.integers(0, len(self.cuts) - 1)))
        with self.house.work() as work:
            joining.uncut(work, *pair, by="boss")

    @rule(shared=st.sampled_from(SHARED))
    def block(self, shared: tuple[str, str]) -> None:
        with self.house.work() as work:
            blocking.block(work, *shared, by="boss", why="是店里的")

    @rule(shared=st.sampled_from(SHARED))
    def unblock(self, shared: tuple[str, str]) -> None:
        with self.house.work() as work:
            blocking.unblock(work, *shared, by="boss")

    @rule(phone=st.sampled_from(PHONES), data=st.data())
    @precondition(lambda self: self.made)
    def release(self, phone: tuple[str, str], data: st.DataObject) -> None:
        anchor = data.draw(st.sampled_from(sorted(self.made.values())))
        with self.house.work() as work:
            joining.release(work, anchor, *phone, by="boss")

    @rule(data=st.data())
    @precondition(lambda self: self.made)
    def talk(self, data: st.DataObject) -> None:
        anchor = data.draw(st.sampled_from(sorted(self.made.values())))
        self.house.tell(anchor)

    def _touches_only(self, anchors: set[int], before: dict[int, int]) -> None:
        """D10: whoever evidence does not connect with these is who they were."""
        edges, found, new = self.house.edges(), set(), set(anchors)
        pairs = [(one.a, one.b) for one in self.house.rows(Verdict)]
        while new:
            found |= new | {other for one, other in [*pairs, *((b, a) for a, b in pairs)] if one in new}
            values = {one.about for one in edges if one.anchor in found}
            new = {one.anchor for one in edges if one.about in values} - found
        after = self.house.heads()
        assert {one: head for one, head in before.items() if one not in found} == {
            one: head for one, head in after.items() if one not in found and one in before
        }, "D10"

    @invariant()
    def d1_d8_everybody_is_one_person_and_ids_lead_there_at_once(self) -> None:
        heads = self.house.heads()
        assert all(heads[head] == head for head in heads.values())

    @invariant()
    def d3_it_is_what_comes_out_when_everything_is_worked_out_anew(self) -> None:
        rebuilt = self.house.rebuilt()
        heads = self.house.heads()
        assert {one: rebuilt.head.get(one, one) for one in heads} == heads

    @invariant()
    def d4_d5_no_two_unionids_no_cut_pair_no_limit_broken(self) -> None:
        heads, rebuilt = self.house.heads(), self.house.rebuilt()
        strong: dict[tuple[int, str], set[str]] = {}
        for one in self.house.rows(Evidence):
            if one.verified and one.released_at is None and (one.type, one.value) not in rebuilt.quarantined and (
                (one.anchor_id, one.type, one.value) not in rebuilt.excess
                and not names_nobody(one.type, one.value)
                and (one.type, one.value) not in {(row.type, row.value) for row in self.house.rows(BlockedValue)}
            ):  # fmt: skip
                strong.setdefault((heads[one.anchor_id], one.type), set()).add(one.value)
        assert all(len(values) <= resolving.limit_of(type_) for (_, type_), values in strong.items())
        cuts = [one for one in self.house.rows(Verdict) if not one.same and one.withdrawn_at is None]
        assert not any(heads[one.a] == heads[one.b] for one in cuts)

    @invariant()
    def d6_every_line_is_told_of_who_its_anchor_is_now(self) -> None:
        heads = self.house.heads()
        for one in self.house.rows(Interaction, Interaction.kind == "note"):
            anchor = one.details["of"]
            assert (one.person_id, one.anchor_id or one.person_id) == (heads[anchor], anchor)

    @invariant()
    def d7_a_blocked_value_is_nobodys(self) -> None:
        shut = {(one.type, one.value) for one in self.house.rows(BlockedValue)}
        assert not [one for one in self.house.rows(Identity)
                    if (one.type, one.value) in shut or names_nobody(one.type, one.value)]  # fmt: skip

    @invariant()
    def d9_the_last_audit_row_that_names_somebody_says_who_they_are(self) -> None:
        said: dict[str, frozenset[str]] = {}
        for row in self.house.audits():
            for group in row.details["after"].values():
                said |= dict.fromkeys(group, frozenset(group))
        heads = self.house.heads()
        for anchor, head in heads.items():
            group = frozenset(f"p_{one}" for one, other in heads.items() if other == head)
            assert said.get(f"p_{anchor}", frozenset({f"p_{anchor}"})) == group, "D9"

    @invariant()
    def whoever_is_known_by_something_is_found_by_it(self) -> None:
        heads = self.house.heads()
        for one in self.house.rows(Identity):
            assert heads[one.anchor_id or one.person_id] == one.person_id


def test_d1_to_d10_hold_whatever_comes_in_whatever_order(database_url: str) -> None:
    house = House(database_url)

    class OfThisHouse(Identities):
        pass

    OfThisHouse.house = house
    run_state_machine_as_test(
        OfThisHouse,
        settings=settings(
            max_examples=many(12 if house.engine.dialect.name == "sqlite" else 4, 500),
            stateful_step_count=many(15, 30),
            deadline=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
    house.close()


TOLD = st.lists(
    st.tuples(
        st.sampled_from([*PRIMARIES[:3], *PRIMARIES[4:6]]),
        st.sampled_from([("unionid", "U1"), ("unionid", "U2"), *PHONES[:2]]),
        st.integers(0, 90),
    ),
    min_size=6,
    max_size=12,
)
"""So much said about so few that much of it contradicts."""


@pytest.mark.parametrize("database_url", ONE, indirect=True)
def test_d2_the_order_in_which_it_comes_changes_nothing(database_url: str) -> None:
    house = House(database_url)

    @given(TOLD, st.randoms(use_true_random=False))
    @settings(max_examples=many(15, 500), deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
    def whatever(told: list[tuple[tuple[str, str], tuple[str, str], int]], chance: Random) -> None:
        found = []
        for order in (told, chance.sample(told, len(told))):
            house.empty()
            for primary, shared, day in order:
                house.learn(Given(*primary), Given(*shared), at=START + timedelta(days=day))
            found.append(house.known_as())
        assert found[0] == found[1]

    whatever()
    house.close()
