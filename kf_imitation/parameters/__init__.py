"""One definition of every parameter, and the files that set them.

Start with settings.py.
"""
