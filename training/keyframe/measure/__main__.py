"""Run `python -m training.keyframe.measure`."""

from training.keyframe.measure.run import main

if __name__ == '__main__':
    main()
