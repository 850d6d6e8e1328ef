"""Stored responses: kept in the accounts' database, to be read and continued by the key that made them."""
