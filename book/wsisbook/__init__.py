"""The study: what turns declared rows into runs, tables, claims and pages."""
