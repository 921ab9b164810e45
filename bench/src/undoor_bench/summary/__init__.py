"""One page of tables from the records that are committed."""
