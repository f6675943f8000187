"""Backup and restore: the whole database as one file, which SQLite and PostgreSQL both read.

The panel's own format, and not that of ``pg_dump``: hosts such as Railway don't have that, and its file can't move a
panel from one kind of database to the other.
"""
