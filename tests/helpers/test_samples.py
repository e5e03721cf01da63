"""Pictures on demand, as lessons ask for them."""

import pytest

from helpers import make_pictures
from helpers.samples import NoSuchPicture


def test_the_named_ones_come_in_order_and_without_names_all() -> None:
    assert list(make_pictures("film", "ct")) == ["film", "ct"]
    assert len(make_pictures()) == 8


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(NoSuchPicture) as caught:
        make_pictures("ct", "cat")
    assert str(caught.value).startswith("there is no picture cat. There are: ct, ct-jpeg-2000, key")
