"""The tables of a service's database."""

from __future__ import annotations

import sqlalchemy as sql

METADATA = sql.MetaData()
FLAGGED = sql.Table(
    "undoor_flagged",
    METADATA,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("time", sql.Float, nullable=False),
    sql.Column("model_sha256", sql.String(64), nullable=False, index=True),
    sql.Column("repair_sha256", sql.String(64), nullable=False, index=True),
    sql.Column("target", sql.Integer),
    sql.Column("label", sql.Integer),
    sql.Column("score", sql.Float),
    sql.Column("reason", sql.String(40), nullable=False),
    sql.Column("shape", sql.String(200), nullable=False),
    sql.Column("input", sql.LargeBinary, nullable=False),
    # A number is never given twice: an answer names it.
    sqlite_autoincrement=True,
)
# Of predictions that are no numbers of classes, as JSON. A table of its own, since databases of
# before have the other one without such a column.
PREDICTIONS = sql.Table(
    "undoor_predictions",
    METADATA,
    sql.Column("flagged_id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("prediction", sql.Text, nullable=False),
)
COUNTS = sql.Table(
    "undoor_counts",
    METADATA,
    sql.Column("repair_sha256", sql.String(64), primary_key=True),
    sql.Column("target", sql.Integer, primary_key=True),
    sql.Column("minute", sql.BigInteger, primary_key=True),
    sql.Column("judged", sql.BigInteger, nullable=False),
    sql.Column("flagged", sql.BigInteger, nullable=False),
)
TESTS = sql.Table(
    "undoor_tests",
    METADATA,
    sql.Column("repair_sha256", sql.String(64), primary_key=True),
    sql.Column("target", sql.Integer, primary_key=True),
    sql.Column("state", sql.Text, nullable=False),
    sql.Column("alarm_since", sql.Float),
)
