"""Run `python -m training.landmarks.train`."""

from training.landmarks.train.run import main

if __name__ == '__main__':
    main()
