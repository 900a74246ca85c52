"""From recorded runs to tables, claims, verdicts and their figures."""
