"""Run `python -m training.keyframe.train`."""

from training.keyframe.train.run import main

if __name__ == '__main__':
    main()
