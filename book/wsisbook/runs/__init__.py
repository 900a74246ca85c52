"""From a declared row to a recorded run: study files, settings, the store."""
