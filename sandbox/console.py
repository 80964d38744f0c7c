"""Corp tags, as the admin console and the client keep them: made, renamed, reordered, deleted.

Changes made here are changes nobody asked the API for, so every receiver hears of them.
"""

from collections.abc import Iterable, Sequence

from sandbox.actors import Actors
from sandbox.facts import Tag, TagGroup


class Console(Actors):
    """The actors, and the console's page of tags."""

    # --- tags in the console ----------------------------------------------------------------------------------

    def console_tags(self, group_name: str, names: Iterable[str]) -> TagGroup:
        """Make tags in the admin console (a group where there is none)."""
        with self.acting():
            group = self.group_named(group_name)
            if group is None:
                group = self.make_tag_group(group_name, agent_id=None)
                self._told_of_tag("create", group.id, "tag_group")
            known = {tag.name for tag in group.tags.values()}
            for name in (one for one in dict.fromkeys(names) if one not in known):
                self._told_of_tag("create", self.make_tag(group, name).id, "tag")
            return group

    def console_rename_tag(self, id_or_name: str, name: str) -> None:
        """Rename a tag in the console; ValueError for a name its group has already."""
        with self.acting():
            group, tag = self.tags[self.tag_id(id_or_name)]
            check_free(name, group.tags.values(), tag)
            tag.name = name
            self._told_of_tag("update", tag.id, "tag")

    def console_rename_group(self, id_or_name: str, name: str) -> None:
        """Rename a group in the console; ValueError for a name another has already."""
        with self.acting():
            group = self.tag_groups[self.tag_group_id(id_or_name)]
            check_free(name, self.tag_groups.values(), group)
            group.name = name
            self._told_of_tag("update", group.id, "tag_group")

    def console_delete_tag(self, id_or_name: str) -> None:
        """Delete a tag in the console, and its group with the last one."""
        with self.acting():
            tag_id = self.tag_id(id_or_name)
            group = self.tags[tag_id][0]
            self.drop_tag(tag_id)
            self._told_of_tag("delete", tag_id, "tag")
            if group.id not in self.tag_groups:
                self._told_of_tag("delete", group.id, "tag_group")

    def console_delete_group(self, group_id: str) -> None:
        """Delete a group (by id or name) with its tags; the tags' own events do not come."""
        with self.acting():
            found = self.tag_group_id(group_id)
            self.drop_tag_group(found)
            self._told_of_tag("delete", found, "tag_group")

    def console_shuffle(self, group_id: str = "", order: Sequence[str] = ()) -> None:
        """Reorder the tags of a group, or the groups where none is named; by ids or names, the first on top.

        Without an order, what was at the bottom comes to the top.
        """
        with self.acting():
            group = self.tag_groups[self.tag_group_id(group_id)] if group_id else None
            rows = (group.tags if group else self.tag_groups).values()
            reorder(rows, order)
            known = {"Id": group.id} if group else {"Id": ""}
            self.tell({"Event": "change_external_tag", **known, "ChangeType": "shuffle"})

    def tag_group_id(self, id_or_name: str) -> str:
        """The id of a tag group that may be given by name; KeyError if there is none."""
        named = self.group_named(id_or_name)
        if id_or_name not in self.tag_groups and named is None:
            raise KeyError(f"there is no tag group {id_or_name}")
        return named.id if named and id_or_name not in self.tag_groups else id_or_name

    def group_named(self, name: str) -> TagGroup | None:
        """The tag group of this name."""
        return next((group for group in self.tag_groups.values() if group.name == name), None)

    def make_tag_group(self, name: str, agent_id: int | None, order: int = 0) -> TagGroup:
        """A new tag group; nobody is told."""
        group = TagGroup(self.new_id("et", 32), name, order, self.second(), agent_id)
        self.tag_groups[group.id] = group
        return group

    def make_tag(self, group: TagGroup, name: str, order: int = 0) -> Tag:
        """A new tag; nobody is told."""
        tag = Tag(self.new_id("et", 32), name, order, self.second())
        group.tags[tag.id] = tag
        self.tags[tag.id] = (group, tag)
        return tag

    def drop_tag(self, tag_id: str) -> None:
        """Delete a tag; the last of a group takes the group along."""
        group, _ = self.tags.pop(tag_id)
        del group.tags[tag_id]
        if not group.tags:
            del self.tag_groups[group.id]

    def drop_tag_group(self, group_id: str) -> None:
        """Delete a tag group with its tags; nobody is told."""
        for tag_id in self.tag_groups.pop(group_id).tags:
            del self.tags[tag_id]

    def _told_of_tag(self, change: str, known_id: str, tag_type: str) -> None:
        self.tell({"Event": "change_external_tag", "Id": known_id, "TagType": tag_type, "ChangeType": change})


def check_free(name: str, siblings: Iterable[Tag | TagGroup], but: Tag | TagGroup) -> None:
    """Refuse a name that a sibling has."""
    if any(one.name == name and one is not but for one in siblings):
        raise ValueError(f"the name {name} is taken")


def reorder(rows: Iterable[Tag | TagGroup], order: Sequence[str]) -> None:
    """Number the rows anew, the greatest first: those named, then the others as they were."""
    shown = sorted(rows, key=lambda one: -one.order)
    wanted = {key: place for place, key in enumerate(order)}
    if order:
        shown.sort(key=lambda one: wanted.get(one.id, wanted.get(one.name, len(wanted))))
    else:
        shown.reverse()
    for place, one in enumerate(shown):
        one.order = len(shown) - place
