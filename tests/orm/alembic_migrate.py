#!/usr/bin/env -S /usr/bin/python3 -B
"""alembic_migrate.py DATABASE STEP: one of the steps below, through Alembic's own operations (batch mode)."""
import sys

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations


def create(op):
    op.create_table("account", sa.Column("id", sa.Integer, primary_key=True), sa.Column("email", sa.String(50), nullable=False),
                    sa.Column("level", sa.Integer))
    op.create_table("entry", sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id")), sa.Column("amount", sa.Numeric(10, 2)))
    op.create_index("entry_account", "entry", ["account_id"])


def add(op):
    with op.batch_alter_table("account") as batch:
        batch.add_column(sa.Column("city", sa.String(20), nullable=False, server_default="Rome"))
    op.add_column("entry", sa.Column("note", sa.Text))


def alter(op):
    with op.batch_alter_table("account", recreate="always") as batch:
        batch.alter_column("level", existing_type=sa.Integer, nullable=False, server_default="1")
        batch.create_unique_constraint("account_city_email", ["email", "city"])


def rename(op):
    with op.batch_alter_table("account") as batch:
        batch.alter_column("city", new_column_name="town", existing_type=sa.String(20), existing_nullable=False,
                           existing_server_default="Rome")
    op.rename_table("entry", "booking")


def drop(op):
    with op.batch_alter_table("booking") as batch:
        batch.drop_column("note")
    op.create_table("passing", sa.Column("id", sa.Integer, primary_key=True))
    op.drop_table("passing")


def include_name(name, kind, _parents):
    """The filter that docs/schema-changes.md shows."""
    return not (kind == "table" and name.startswith("__marmot_"))


def autogenerate(connection):
    """What Alembic would change to make the file what the models say: nothing of Marmot's, with the filter."""
    context = MigrationContext.configure(connection, opts={"include_name": include_name})
    found = [repr(change) for change in compare_metadata(context, sa.MetaData())]
    assert not any("__marmot" in change for change in found), found


engine = sa.create_engine(f"sqlite:///{sys.argv[1]}", connect_args={"timeout": 20})
with engine.connect() as connection:
    if sys.argv[2] == "autogenerate":
        autogenerate(connection)
    else:
        with connection.begin():
            globals()[sys.argv[2]](Operations(MigrationContext.configure(connection)))
