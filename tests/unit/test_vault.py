"""Sealed by the newest key, opened by any, recognised by all; and nothing to be learnt without one."""

from __future__ import annotations

import pytest

from shared.vault import Unreadable, Vault, new_key

OLD, NEW, OTHER = new_key(), new_key(), new_key()


def test_what_is_sealed_is_opened_again_and_looks_different_every_time() -> None:
    vault = Vault.of(NEW)
    first, second = vault.seal("王女士"), vault.seal("王女士")
    assert first != second
    assert {vault.open(first), vault.open(second)} == {"王女士"}


def test_a_new_key_takes_over_and_the_old_one_still_opens() -> None:
    before, during, after = Vault.of(OLD), Vault.of(f"{NEW}, {OLD}"), Vault.of(NEW)
    assert during.open(before.seal("1")) == "1"
    assert after.open(during.seal("2")) == "2"
    with pytest.raises(Unreadable):
        after.open(before.seal("3"))


def test_what_was_changed_or_is_not_ours_is_not_opened() -> None:
    vault = Vault.of(NEW)
    sealed = vault.seal("0734-8888888")
    for broken in (sealed[:-2], sealed.swapcase(), "", "0734-8888888"):
        with pytest.raises(Unreadable):
            vault.open(broken)


def test_digests_recognise_across_a_change_of_keys() -> None:
    before, during = Vault.of(OLD), Vault.of(f"{NEW},{OLD}")
    assert during.digest("phone", "+86734") == Vault.of(NEW).digest("phone", "+86734")
    assert before.digest("phone", "+86734") in during.digests("phone", "+86734")
    assert len(during.digests("phone", "+86734")) == 2


def test_digests_differ_by_text_purpose_and_key() -> None:
    vault = Vault.of(NEW)
    content = {
        vault.digest("phone", "1"),
        vault.digest("phone", "2"),
        vault.digest("account", "1"),
        Vault.of(OTHER).digest("phone", "1"),
    }
    assert len(content) == 4


@pytest.mark.parametrize("keys", ["", " , ", "secret", "x" * 44, "<key>,secret"])
def test_what_is_no_key_is_refused(keys: str) -> None:
    with pytest.raises(ValueError, match="key"):
        Vault.of(keys.replace("<key>", new_key()))


def test_the_vault_shows_its_keys_to_nobody() -> None:
    assert OLD not in repr(Vault.of(OLD))
    assert OLD not in repr(vars(Vault.of(OLD)))
