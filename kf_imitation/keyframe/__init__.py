"""How much the face changes, and which frames are worth imitating.

Start with selection/selector.py and explanation.py.
"""
