"""`kf_imitation evaluate --imitation`: does the robot look and move like the person?

formulas.py has the definitions (benchmark.md, section 3), methods.py which frames become poses,
imitator.py moves the head through them, figures.py compares it with the person.
"""
