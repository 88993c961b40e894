"""Lava processes for the tests.

A package, because Lava executes every module next to a process to find its models.
"""
