"""One recording through all stages, and the files that it leaves.

Start with simulation.py and run.py.
"""
