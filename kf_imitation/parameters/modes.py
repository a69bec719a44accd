"""The modes of the keyframe detector, docs/keyframes.md; apart, for the command line's options."""

MODES = ('peak', 'settle', 'travel', 'combined')
