"""For those who write the course: stubs, notebooks and the proof of the graders.

Nothing a learner runs imports this package; it needs the extra `dev`.
"""
