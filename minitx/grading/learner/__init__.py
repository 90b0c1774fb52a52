"""What a learner meets: working copies, hints, progress, `watch`, `check` in a notebook."""
