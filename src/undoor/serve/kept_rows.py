"""Flagged inputs as rows of a service's database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sql

from undoor.serve.kept_input import KeptInput
from undoor.serve.tables import FLAGGED, PREDICTIONS


def select_kept(connection: sql.Connection) -> sql.Select[Any]:
    """Return the query of all kept inputs, each as `undoor.serve.kept_input.kept_input` takes it.

    Databases of before have no table of predictions: what they keep are classes.
    """
    if not sql.inspect(connection).has_table(PREDICTIONS.name):
        return sql.select(FLAGGED, sql.null().label(PREDICTIONS.c.prediction.name))
    same = PREDICTIONS.c.flagged_id == FLAGGED.c.id
    both = FLAGGED.outerjoin(PREDICTIONS, same)
    return sql.select(FLAGGED, PREDICTIONS.c.prediction).select_from(both)


def insert(connection: sql.Connection, item: KeptInput) -> int:
    """Write a flagged input and return its number."""
    key = connection.execute(sql.insert(FLAGGED).values(**item.columns())).inserted_primary_key
    assert key is not None
    if item.prediction is not None:
        values = {"flagged_id": int(key[0]), "prediction": item.prediction}
        connection.execute(sql.insert(PREDICTIONS).values(values))
    return int(key[0])


def forget_oldest(connection: sql.Connection, repair_sha256: str, limit: int) -> None:
    """Delete all flagged inputs of a repair but the `limit` newest."""
    last = connection.execute(
        sql.select(FLAGGED.c.id)
        .where(FLAGGED.c.repair_sha256 == repair_sha256)
        .order_by(FLAGGED.c.id.desc())
        .offset(limit)
        .limit(1)
    ).scalar()
    if last is not None:
        old = (FLAGGED.c.repair_sha256 == repair_sha256) & (FLAGGED.c.id <= last)
        forgotten = sql.select(FLAGGED.c.id).where(old)
        connection.execute(sql.delete(PREDICTIONS).where(PREDICTIONS.c.flagged_id.in_(forgotten)))
        connection.execute(sql.delete(FLAGGED).where(old))
