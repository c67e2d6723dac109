"""The store keeps and finds items."""

from app.store import Rejected, Store
from tests.shop import ShopTest


class StoreTest(ShopTest):
    """Over a real database file."""

    def setUp(self) -> None:
        super().setUp()
        self.store = Store(self.database)

    def test_an_added_item_is_listed(self) -> None:
        self.store.add({"name": "Anchor", "price": 1200})
        self.assertEqual([item["name"] for item in self.store.items()], ["Anchor"])

    def test_the_newest_item_comes_first(self) -> None:
        self.store.add({"name": "Anchor", "price": 1200})
        self.store.add({"name": "Buoy", "price": 300})
        self.assertEqual([item["name"] for item in self.store.items()], ["Buoy", "Anchor"])

    def test_a_query_finds_parts_of_names_in_any_case(self) -> None:
        self.store.add({"name": "Anchor", "price": 1200})
        self.store.add({"name": "Buoy", "price": 300})
        self.assertEqual([item["name"] for item in self.store.items("ANC")], ["Anchor"])

    def test_an_item_without_a_name_is_rejected(self) -> None:
        with self.assertRaises(Rejected):
            self.store.add({"price": 1200})

    def test_a_database_tells_who_it_is(self) -> None:
        self.assertEqual(self.store.identity(), "acme-test")
