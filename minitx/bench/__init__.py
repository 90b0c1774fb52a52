"""Measurements that a user can repeat: minitx beside what people would otherwise import."""
