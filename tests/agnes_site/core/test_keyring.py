from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from agnes_site.core.keyring import KeyRing, KeysUnusableError, Sealed, SecretUnreadableError

ONE, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


@pytest.fixture
def ring(tmp_path):
    return KeyRing(file=tmp_path / "keys" / "secrets")


class TestKeyRing:
    def test_opens_what_it_sealed(self, ring):
        sealed = ring.seal("hünter2 '\"\\", bound_to="a/b")

        assert ring.open(sealed, bound_to="a/b") == "hünter2 '\"\\"
        assert b"nter2" not in sealed.ciphertext

    def test_seals_the_same_text_differently_each_time(self, ring):
        first, second = (ring.seal("hunter2", bound_to="a") for _ in range(2))

        assert first.ciphertext != second.ciphertext

    def test_opens_nothing_at_another_place(self, ring):
        sealed = ring.seal("hunter2", bound_to="source/1")

        with pytest.raises(SecretUnreadableError):
            ring.open(sealed, bound_to="source/2")

    @pytest.mark.parametrize("place", [0, 12, -1])
    def test_opens_nothing_that_was_altered(self, ring, place):
        sealed = ring.seal("hunter2", bound_to="a")
        altered = bytearray(sealed.ciphertext)
        altered[place] ^= 1

        with pytest.raises(SecretUnreadableError):
            ring.open(Sealed(key_id=sealed.key_id, ciphertext=bytes(altered)), bound_to="a")

    @pytest.mark.parametrize("ciphertext", [b"", b"short", bytes(12)])
    def test_opens_nothing_that_is_none(self, ring, ciphertext):
        key_id = ring.seal("x", bound_to="a").key_id

        with pytest.raises(SecretUnreadableError):
            ring.open(Sealed(key_id=key_id, ciphertext=ciphertext), bound_to="a")

    def test_names_the_key_that_is_gone(self, ring):
        sealed = ring.seal("hunter2", bound_to="a")
        ring.add()
        ring.drop([sealed.key_id])

        with pytest.raises(SecretUnreadableError, match=sealed.key_id):
            ring.open(sealed, bound_to="a")

    def test_seals_with_the_newest_key_and_opens_with_all(self, ring):
        before = ring.seal("old", bound_to="a")
        added = ring.add()
        after = ring.seal("new", bound_to="a")

        assert after.key_id == added == ring.ids()[0]
        assert ring.open(before, bound_to="a") == "old"

    def test_keeps_its_file_for_the_owner_only(self, ring):
        ring.seal("x", bound_to="a")

        assert stat.S_IMODE(ring.file.stat().st_mode) == 0o600
        assert stat.S_IMODE(ring.file.parent.stat().st_mode) == 0o700

    def test_makes_one_first_key_when_many_ask_at_once(self, tmp_path):
        def seal(number: int) -> str:
            return KeyRing(file=tmp_path / "keys" / "secrets").seal("x", bound_to="a").key_id

        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(seal, range(32)))

        assert len(ids) == 1

    def test_says_what_is_wrong_with_its_file_without_showing_it(self, ring):
        ring.file.parent.mkdir()
        ring.file.write_text("hunter2\n")

        with pytest.raises(KeysUnusableError) as caught:
            ring.seal("x", bound_to="a")

        assert "hunter2" not in str(caught.value)
        assert "openssl rand -base64 32" in caught.value.hint

    def test_says_when_its_folder_is_none(self, ring):
        ring.file.parent.write_text("in the way")

        with pytest.raises(KeysUnusableError, match="cannot be read"):
            ring.seal("x", bound_to="a")

    def test_says_when_its_folder_cannot_be_made(self, ring):
        ring.file.parent.symlink_to("nowhere")

        with pytest.raises(KeysUnusableError, match="cannot be written"):
            ring.seal("x", bound_to="a")

    def test_never_shows_a_key(self, ring):
        sealed = ring.seal("hunter2", bound_to="a")
        key = ring.file.read_text().strip()

        assert key not in f"{ring._keys()!r} {sealed!r}"


class TestGivenKeys:
    def test_are_taken_in_their_order_in_either_alphabet(self, tmp_path):
        url_safe = base64.urlsafe_b64encode(b"\xff" * 32).decode()
        ring = KeyRing(file=tmp_path / "none", given=f"{url_safe}, {ONE}")
        old = KeyRing(file=tmp_path / "none", given=ONE).seal("old", bound_to="a")

        assert ring.open(old, bound_to="a") == "old"
        assert ring.seal("new", bound_to="a").key_id == ring.ids()[0] != old.key_id

    def test_are_not_changed_here(self, tmp_path):
        ring = KeyRing(file=tmp_path / "none", given=f"{ONE},{OTHER}")

        with pytest.raises(KeysUnusableError, match="AGNES_SECRETS_KEYS"):
            ring.add()

    @pytest.mark.parametrize("given", ["hünter2", "x", f"{ONE},", f"{ONE[:-4]}===="])
    def test_are_refused_without_showing_them(self, tmp_path, given):
        with pytest.raises(KeysUnusableError) as caught:
            KeyRing(file=tmp_path / "none", given=given).ids()

        assert caught.value.message == "AGNES_SECRETS_KEYS holds something that is not a key."
