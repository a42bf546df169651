import pytest

from extracts.connectors.reach.hosts import UrlRefusedError
from extracts.connectors.reach.web import reaching


class TestRedirectToWhatIsNoAddress:
    @pytest.mark.parametrize(
        "error", [ValueError("bad"), UnicodeDecodeError("utf-8", b"x", 0, 1, "")]
    )
    def test_is_refused_as_one(self, error):
        with (
            pytest.raises(UrlRefusedError, match=r"files\.example\.com"),
            reaching("files.example.com"),
        ):
            raise error
