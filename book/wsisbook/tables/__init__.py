"""From recorded runs to tables, claims and verdicts, and what notebooks read."""
