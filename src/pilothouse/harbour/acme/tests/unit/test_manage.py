"""An operator's commands do what they say, or say that they did not."""

import os
import sqlite3
from contextlib import closing
from unittest import mock

from app import manage
from app.store import Store
from tests.shop import ShopTest


class ManageTest(ShopTest):
    """Over a real database file."""

    def setUp(self) -> None:
        super().setUp()
        environment = mock.patch.dict(os.environ, {"ACME_STAGING_DB": str(self.database)}, clear=True)
        environment.start()
        self.addCleanup(environment.stop)

    def test_nothing_is_pending_after_all_migrations(self) -> None:
        answer = manage.pending()
        self.assertEqual((answer["database"], answer["pending"]), ("acme-test", []))

    def test_a_migration_that_fails_leaves_nothing_behind(self) -> None:
        broken = manage.Migration("0099_broken", "CREATE TABLE extra (id);\nCREATE TABLE items (id);\n")
        with (
            closing(sqlite3.connect(self.database, isolation_level=None)) as connection,
            self.assertRaisesRegex(manage.Failed, "items already exists"),
        ):
            manage.apply(connection, broken)
        self.assertNotIn("extra", "".join(manage.content(self.database)))

    def test_a_restore_brings_the_backed_up_rows_back(self) -> None:
        manage.backup("before")
        Store(self.database).add({"name": "Anchor", "price": 1200})
        self.assertEqual(manage.restore_status("before")["writes_since_backup"], 1)
        manage.restore("before")
        self.assertEqual((manage.restore_status("before")["state"], Store(self.database).items()), ("applied", []))

    def test_an_empty_backup_is_none(self) -> None:
        manage.backup("empty")
        manage.backup_file("empty").write_bytes(b"")
        self.assertFalse(manage.backup_status("empty")["restorable"])
