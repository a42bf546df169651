"""The Django project: puts the apps together."""
