"""Labels of other tools: read into one plain record, cleaned, and written for other tools.

`record.py` has the record and the report, one file a format reads and writes it, `clean.py` makes
what was read into what this library trains on, and `convert.py` is the whole way.
"""
