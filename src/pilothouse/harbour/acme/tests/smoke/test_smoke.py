"""The few looks that tell whether a deployed shop is open. PILOTHOUSE_TARGET names it; without it a shop is started."""

import json
import os

from tests.shop import ServedShopTest, call

TARGET = os.environ.get("PILOTHOUSE_TARGET", "")


class SmokeTest(ServedShopTest):
    """Only reads, so that it may look at production."""

    def setUp(self) -> None:
        if TARGET:
            self.url = TARGET.rstrip("/")
        else:
            super().setUp()

    def test_the_homepage_greets(self) -> None:
        status, body = call(f"{self.url}/")
        self.assertEqual((status, "<h1>Acme" in body), (200, True))

    def test_the_items_are_listed(self) -> None:
        status, body = call(f"{self.url}/items")
        self.assertEqual((status, type(json.loads(body))), (200, list))

    def test_the_shop_is_healthy(self) -> None:
        self.assertEqual(call(f"{self.url}/health")[0], 200)

    def test_the_version_is_told(self) -> None:
        self.assertIn("version", json.loads(call(f"{self.url}/version")[1]))

    def test_an_unknown_page_is_a_404(self) -> None:
        self.assertEqual(call(f"{self.url}/nowhere")[0], 404)
