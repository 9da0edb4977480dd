"""One record and one writer: load, create, update, touch, delete."""

from __future__ import annotations

import secrets

from sessions_wsgi._contract.hooks import Hooks, skip
from sessions_wsgi.backends import Version


class Records(Hooks):
    """The part of the contract that needs no second thread."""

    def test_missing_is_none(self) -> None:
        """A key that was never stored has no record."""
        assert self.backend.load(self.key) is None

    def test_created_is_loaded(self) -> None:
        """A load gives the data, and the version that `create` gave."""
        version = self.create(b"data")
        assert self.load()[:2] == (b"data", version)

    def test_any_bytes_are_kept(self) -> None:
        """Data comes back byte for byte: empty, binary, a megabyte; created or updated."""
        for data in b"", b"\0", b"\0\r\n ", bytes(range(256)), secrets.token_bytes(1_000_000):
            self.key = secrets.token_hex(32)
            version = self.create(data)
            assert self.load().data == data
            self.update(data[::-1], version)
            assert self.load().data == data[::-1]

    def test_deadline_is_kept(self) -> None:
        """The deadline comes back as it was given."""
        expires = self.soon() + 0.123456
        self.backend.create(self.key, b"", expires)
        self.assert_deadline(self.load(), expires)

    def test_expired_is_none(self) -> None:
        """A record is there until its deadline, and not after it."""
        self.create()
        self.advance(self.lifetime / 2)
        assert self.backend.load(self.key) is not None
        self.advance(self.lifetime)
        assert self.backend.load(self.key) is None

    def test_similar_keys_are_apart(self) -> None:
        """Keys made of one digit, or that differ in the last one only, are keys like any other."""
        keys = ["0" * 64, "f" * 64, self.key[:-1] + "0", self.key[:-1] + "1"]
        for key in keys:
            self.backend.delete(key)
            self.create(key.encode(), key)
        assert [self.load(key).data for key in keys] == [key.encode() for key in keys]
        assert self.backend.delete(keys[2]) is True
        assert [self.backend.delete(key) for key in keys] == [True, True, False, True]

    def test_backends_share_storage(self) -> None:
        """What one backend wrote, another on the same storage loads, updates and deletes."""
        if not self.shares:
            raise skip("this backend's storage is its own")
        first, second = self.backend, self.make(self.clock)
        version = self.create(b"one")
        self.backend = second
        self.update(b"two", version)
        assert first.load(self.key) == second.load(self.key)
        assert second.delete(self.key) is True
        assert first.load(self.key) is None

    def test_create_keeps_a_live_record(self) -> None:
        """To create what is there gives None and changes nothing."""
        self.create(b"first")
        first = self.load()
        assert self.backend.create(self.key, b"second", self.soon() + 1) is None
        self.assert_same(self.backend.load(self.key), first)

    def test_create_replaces_an_expired_record(self) -> None:
        """The key of an expired record is free."""
        self.create(b"old")
        self.expire()
        version = self.create(b"new")
        assert self.load()[:2] == (b"new", version)

    def test_versions_never_repeat(self) -> None:
        """A key never has the same version twice, even if its record was deleted or expired in between."""
        seen: list[Version] = []
        for end in self.expire, self.delete, self.expire, self.delete:
            seen.append(self.create())
            seen.append(self.update(b"", seen[-1]))
            seen.append(self.update(b"", seen[-1]))
            end()
        assert len(set(seen)) == len(seen)

    def test_update_replaces(self) -> None:
        """An update of the current version stores the data and the deadline, an earlier one as well."""
        version = self.create(b"old")
        for data, expires in (b"later", self.soon() + 1), (b"sooner", self.soon() - self.lifetime / 2):
            version = self.update(data, version, expires)
            assert self.load()[:2] == (data, version)
            self.assert_deadline(self.load(), expires)

    def test_stale_update_conflicts(self) -> None:
        """An update of an older version changes nothing and gives the record that is there."""
        version = self.create(b"base")
        self.update(b"theirs", version)
        theirs = self.load()
        self.assert_conflict(self.backend.update(self.key, b"mine", self.soon() + 1, version), theirs)
        self.assert_same(self.backend.load(self.key), theirs)

    def test_update_of_missing_is_gone(self) -> None:
        """An update of what was never stored creates nothing."""
        self.assert_gone(self.create(key=secrets.token_hex(32)))

    def test_update_of_expired_is_gone(self) -> None:
        """An update of what has expired creates nothing."""
        version = self.create()
        self.expire()
        self.assert_gone(version)

    def test_update_of_deleted_is_gone(self) -> None:
        """An update of what was deleted creates nothing."""
        version = self.create()
        self.delete()
        self.assert_gone(version)

    def test_update_of_recreated_conflicts(self) -> None:
        """A version from before a deletion does not update what was created after it."""
        version = self.create(b"old")
        self.delete()
        self.create(b"new")
        new = self.load()
        self.assert_conflict(self.backend.update(self.key, b"mine", self.soon(), version), new)
        self.assert_same(self.backend.load(self.key), new)

    def test_touch_moves_only_the_deadline(self) -> None:
        """A touch keeps data and version; the record lives until the new deadline."""
        version = self.create(b"data")
        assert self.backend.touch(self.key, self.soon() + self.lifetime, version) is True
        self.expire()
        assert self.load()[:2] == (b"data", version)
        self.expire()
        assert self.backend.load(self.key) is None

    def test_touch_may_shorten(self) -> None:
        """A touch can bring the deadline nearer."""
        version = self.create()
        assert self.backend.touch(self.key, self.soon() - self.lifetime / 2, version) is True
        self.assert_deadline(self.load(), self.soon() - self.lifetime / 2)

    def test_update_after_touch(self) -> None:
        """The version from before a touch is still the current one."""
        version = self.create()
        self.backend.touch(self.key, self.soon() + 1, version)
        self.update(b"new", version)
        assert self.load().data == b"new"

    def test_stale_touch_is_false(self) -> None:
        """A touch of an older version changes nothing."""
        version = self.create()
        self.update(b"theirs", version)
        theirs = self.load()
        assert self.backend.touch(self.key, self.soon() + 1, version) is False
        self.assert_same(self.backend.load(self.key), theirs)

    def test_touch_never_revives(self) -> None:
        """A touch of what is missing, expired or deleted brings nothing back."""
        version = self.create(key=secrets.token_hex(32))
        for end in self.expire, self.delete:
            assert self.backend.touch(self.key, self.soon(), version) is False
            assert self.backend.load(self.key) is None
            version = self.create()
            end()
        assert self.backend.touch(self.key, self.soon(), version) is False
        assert self.backend.load(self.key) is None

    def test_delete_removes(self) -> None:
        """What was deleted is not there."""
        self.create()
        assert self.backend.delete(self.key) is True
        assert self.backend.load(self.key) is None

    def test_delete_of_nothing_is_false(self) -> None:
        """To delete what is missing, deleted or expired is no error."""
        assert self.backend.delete(self.key) is False
        for end in self.delete, self.expire:
            self.create()
            end()
            assert self.backend.delete(self.key) is False
