"""The shop as a customer and an operator see it, over HTTP."""

import json

from tests.shop import ServedShopTest


class ShopOverHttpTest(ServedShopTest):
    """With a server and a database of its own."""

    def test_a_new_item_appears_in_the_list_and_on_the_homepage(self) -> None:
        self.assertEqual(self.post("/items", {"name": "Anchor", "price": 1200})[0], 201)
        self.assertEqual([item["name"] for item in json.loads(self.get("/items")[1])], ["Anchor"])
        self.assertIn("<li>Anchor</li>", self.get("/")[1])

    def test_items_can_be_searched(self) -> None:
        for name in ("Anchor", "Buoy", "Anchor chain"):
            self.post("/items", {"name": name, "price": 100})
        self.assertEqual(len(json.loads(self.get("/items?q=anchor")[1])), 2)

    def test_what_is_no_item_is_refused(self) -> None:
        self.assertEqual(self.post("/items", {"price": "free"})[0], 400)
        self.assertEqual(self.post("/items", ["Anchor"])[0], 400)

    def test_the_version_is_the_one_of_the_package(self) -> None:
        status, body = self.get("/version")
        self.assertEqual(status, 200)
        self.assertRegex(json.loads(body)["version"], r"^\d+\.\d+\.\d+$")

    def test_health_looks_into_the_database(self) -> None:
        self.assertEqual(json.loads(self.get("/health")[1]), {"status": "ok", "database": "acme-test"})
        self.database.unlink()
        self.assertEqual(self.get("/health")[0], 503)

    def test_requests_are_counted(self) -> None:
        self.get("/items")
        self.get("/nowhere")
        text = self.get("/metrics")[1]
        self.assertIn('http_requests_total{code="200"} 1\n', text)
        self.assertIn('http_requests_total{code="404"} 1\n', text)
