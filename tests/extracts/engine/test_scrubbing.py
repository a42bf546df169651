from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from extracts.engine.scrubbing import Scrubber

HOSTILE = """p@ss w'o"r\\d/%$;ü"""


class TestScrubber:
    @pytest.mark.parametrize(
        "written",
        [
            HOSTILE,
            quote(HOSTILE),
            quote(HOSTILE, safe=""),
            quote_plus(HOSTILE),
            json.dumps(HOSTILE),
            json.dumps(HOSTILE, ensure_ascii=False),
            repr(HOSTILE),
            HOSTILE.replace("'", "''"),
            HOSTILE.replace("\\", "\\\\").replace("'", "\\'"),
            base64.b64encode(HOSTILE.encode()).decode(),
        ],
    )
    def test_masks_a_secret_however_it_is_written(self, written):
        text = Scrubber([HOSTILE]).text(f"refused: <{written}>")

        assert "***" in text
        for piece in ("p@ss", "w'o", "ü", "p%40ss"):
            assert piece not in text

    @pytest.mark.parametrize("user", ["m", "me", "joe", "root"])
    def test_masks_a_secret_in_a_header(self, user):
        header = base64.b64encode(f"{user}:{HOSTILE}".encode()).decode()

        masked = Scrubber([HOSTILE]).text(f"Basic {header}")

        left = masked.removeprefix("Basic ").split("***")
        assert len(left) == 2
        assert len(left[0]) + len(left[1]) <= len(user) * 2 + 12

    def test_masks_the_longer_of_two_that_overlap(self):
        assert Scrubber(["hunter", "hunter22"]).text("it was hunter22") == "it was ***"

    def test_masks_each_line_of_a_key(self):
        key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----"

        assert "hkiG9w0" not in Scrubber([key]).text("at hkiG9w0BAQEFAASC: bad key")

    def test_masks_a_short_one_where_it_stands_alone(self):
        assert (
            Scrubber(["abc"]).text("abc: no alphabet abcd, (abc)") == "***: no alphabet abcd, (***)"
        )

    def test_masks_what_is_in_lists_and_names(self):
        found = Scrubber(["hunter22"]).value({"hunter22": ["a hunter22", 7, None, ("hunter22",)]})

        assert found == {"***": ["a ***", 7, None, ["***"]]}

    @pytest.mark.parametrize("secrets", [[], [""]])
    def test_leaves_everything_without_a_secret(self, secrets):
        assert Scrubber(secrets).text("as it is") == "as it is"
