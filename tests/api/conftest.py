"""A caller with a key for everything."""

import pytest

from tests.api.caller import Caller
from tests.shop import Shop


@pytest.fixture
def api(shop: Shop) -> Caller:
    return Caller(shop)
