"""The teacher's candidate masks: computed once, cached, and put beside weak labels."""
