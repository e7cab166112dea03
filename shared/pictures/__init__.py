"""What photos show, read where it can do no harm: in processes of their own that may be killed.

Imports of this package stay few and light: it is what such a process is made of.
"""
