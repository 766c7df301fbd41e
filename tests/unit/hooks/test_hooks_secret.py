"""Secrets and signatures, as the library of Standard Webhooks knows them."""

import base64
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Verifier

from common.webhooks.secret import SecretKeys, UnknownKey, shown, signature

OLD, NEW = "o" * 32, "n" * 32


@given(st.binary(max_size=200), st.from_regex(r"evt_[0-9a-f]{32}", fullmatch=True))
def test_a_signature_is_what_the_library_makes(body, message_id):
    secret = SecretKeys([NEW]).secret(SecretKeys([NEW]).new_seed())
    text = body.hex()
    now = datetime.now(UTC)
    found = signature(secret, message_id, int(now.timestamp()), text.encode())
    assert found == Verifier(shown(secret)).sign(message_id, now, text)


def test_a_secret_is_shown_as_the_specification_says():
    keys = SecretKeys([NEW])
    text = shown(keys.secret(keys.new_seed()))
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", text)
    assert len(base64.b64decode(text.removeprefix("whsec_"))) == 32


def test_the_database_alone_does_not_have_the_secret():
    """The seed says nothing without the key, and two seeds have two secrets."""
    keys = SecretKeys([NEW])
    seed = keys.new_seed()
    with pytest.raises(UnknownKey):
        SecretKeys([OLD]).secret(seed)
    with pytest.raises(UnknownKey):
        SecretKeys([]).secret(seed)
    assert keys.secret(seed) == SecretKeys([NEW]).secret(seed)
    assert keys.secret(seed) != keys.secret(keys.new_seed())
    assert seed not in keys.secret(seed)


def test_keys_can_be_changed_one_after_the_other():
    seed = SecretKeys([OLD]).new_seed()
    both = SecretKeys([NEW, OLD])
    assert both.secret(seed) == SecretKeys([OLD]).secret(seed)
    assert both.secret(both.new_seed())
    with pytest.raises(UnknownKey):
        SecretKeys([OLD]).secret(both.new_seed())


def test_without_a_key_it_works_too():
    keys = SecretKeys([])
    assert keys.secret(keys.new_seed())
