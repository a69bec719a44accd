"""Run `python -m training.keyframe.export`."""

from training.keyframe.export.run import main

if __name__ == '__main__':
    main()
